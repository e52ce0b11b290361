//! The admin API: HTTP and JSON, for people and programs, on a thread of its own.
//!
//! It listens before anything else starts, so that probes get an answer and a port in use is
//! reported immediately. Requests that need replication are refused until it has started. The API
//! decides nothing about replication: it forwards requests to the handle. `docs/admin-api.md` has
//! the requests.

mod access;
mod body;
mod commands;
mod connections;
mod desired;
mod effective;
mod error;
mod events;
mod log_level;
mod metrics;
mod moves;
mod places;
mod preconditions;
mod reads;
mod ready;
mod reload;
mod routes;
mod server;
mod state;
mod views;
mod words;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use actix_web::rt;
use socket2::{Domain, Socket, Type};
use tokio_util::sync::CancellationToken;

use self::access::Access;
use self::state::State;
use crate::sources::Sources;

pub(crate) use self::effective::json as effective_json;
pub use self::state::{Durability, EmbeddedFacts, Replicating};

/// Connections that wait to be accepted: where many come at once, each waits for a moment.
const BACKLOG: i32 = 1024;

/// Why the admin API did not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be bound.
    #[error("the admin API could not listen on {listen}: {source}: give another [admin] listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The OS error.
        source: io::Error,
    },
    /// The operating system has no thread or file descriptor left.
    #[error("the admin API could not be started: {0}")]
    Start(io::Error),
}

/// A running admin API.
pub struct Admin {
    address: SocketAddr,
    state: Arc<State>,
    /// Ends the server.
    end: CancellationToken,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Starts to listen and answer. A request to shut down cancels `stop`.
    ///
    /// # Errors
    /// An [`AdminError`]; nothing is left running.
    pub fn start(sources: &Sources, stop: &CancellationToken) -> Result<Self, AdminError> {
        let listen = sources.config().admin.listen;
        let failed = |source| AdminError::Listen { listen, source };
        let listener = bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = Arc::new(State::new(sources.clone(), stop.clone()));
        let (access, end) = (Access::of(listen, sources.clone()), CancellationToken::new());
        let (ready, started) = sync_channel(1);
        let (served, ended) = (Arc::clone(&state), end.clone());
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || serve(listener, served, access, ended, &ready))
            .map_err(AdminError::Start)?;
        let over = |_| Err(io::Error::other("its thread ended before it listened"));
        started.recv().unwrap_or_else(over).map_err(AdminError::Start)?;
        log::info!("admin API listens url=http://{address}");
        Ok(Self { address, state, end, thread })
    }

    /// The address it listens on, with the actual port where the configuration has port 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands over the running replication. Only the first call has an effect.
    pub fn attach(&self, running: Replicating) {
        self.state.attach(running);
    }

    /// Stops the API. Responses in progress have a second to finish.
    pub async fn stop(self) {
        self.end.cancel();
        let thread = self.thread;
        // An error would be a panic of the thread, and a panic ends the process.
        _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, None)?;
    // A port that another program listens on is refused all the same.
    socket.set_reuse_address(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

type Started = SyncSender<io::Result<()>>;

fn serve(
    listener: TcpListener,
    state: Arc<State>,
    access: Access,
    end: CancellationToken,
    ready: &Started,
) {
    // The receiver waits for one message, so sending it does not fail.
    let runtime = match rt::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            _ = ready.send(Err(error));
            return;
        }
    };
    let started = || _ = ready.send(Ok(()));
    let served = server::serve(listener, state.into(), access, end, started);
    if let Err(error) = runtime.block_on(served) {
        // Before it listened; later it does not fail.
        _ = ready.send(Err(error));
    }
}
