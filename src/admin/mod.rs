//! The admin API: HTTP and JSON, for people and programs, on a thread of its own.
//!
//! It listens before anything else starts, so that probes get an answer and a port in use is
//! reported immediately. Requests that need replication are refused until it has started. The API
//! decides nothing about replication: it forwards requests to the handle. `docs/admin-api.md` has
//! the requests.

mod access;
mod body;
mod capture;
mod capture_end;
mod capture_lines;
mod capture_seats;
mod changes;
mod commands;
mod connections;
mod contract;
mod desired;
mod effective;
mod error;
mod events;
#[cfg(test)]
pub(crate) mod fixtures;
mod history;
mod listen;
mod log_level;
mod look;
mod memory;
mod memory_lag;
mod metrics;
mod moves;
mod one_vbucket;
mod openapi;
mod overview;
mod overview_rows;
mod page;
mod places;
mod preconditions;
mod problems;
mod reads;
mod ready;
mod reload;
mod routes;
mod sampler;
mod server;
mod session;
mod state;
mod verify;
mod verify_views;
mod views;
mod words;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use actix_web::rt;
use dcp_actors::BucketStatus;
use tokio_util::sync::CancellationToken;

use self::access::Access;
use self::listen::in_words;
use self::session::Session;
use self::state::State;
use crate::session::SessionNode;
use crate::sources::Sources;

pub(crate) use self::effective::json as effective_json;
pub use self::state::{Durability, EmbeddedFacts, Replicating};

/// Why the admin API did not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be bound.
    #[error(
        "the admin API could not listen on {listen}: {source}{}give another [admin] listen",
        in_words(holder.as_deref())
    )]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Who listens there, if that is known.
        holder: Option<String>,
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
    session: Arc<Session>,
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
        let config = sources.config();
        let (listener, address) = listen::bound(&config)?;
        let session = Session::new(address, &config.state).map_err(AdminError::Start)?;
        let session = Arc::new(session);
        let state = Arc::new(State::new(sources.clone(), stop.clone(), Arc::clone(&session)));
        let access = Access::of(address, sources.clone(), Arc::clone(&session));
        let end = CancellationToken::new();
        let (ready, started) = sync_channel(1);
        let (served, ended) = (Arc::clone(&state), end.clone());
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || serve(listener, served, access, ended, &ready))
            .map_err(AdminError::Start)?;
        let over = |_| Err(io::Error::other("its thread ended before it listened"));
        started.recv().unwrap_or_else(over).map_err(AdminError::Start)?;
        session.follow(config.admin.token.is_some());
        log::info!("admin API listens url=http://{address}");
        Ok(Self { address, state, session, end, thread })
    }

    /// The address of the dashboard, with the token that its actions need. Not for a log.
    #[must_use]
    pub fn dashboard_url(&self) -> String {
        self.session.dashboard_url(self.state.sources.config().admin.token.as_ref())
    }

    /// The address it listens on, with the actual port where the configuration has port 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why the sidecar is not ready, by the status of its buckets, as `/ready` says it; empty when
    /// it is.
    pub fn not_ready(&self) -> impl Fn(&[BucketStatus]) -> Vec<String> + Send + use<> {
        let state = Arc::clone(&self.state);
        move |buckets| state.missing(buckets)
    }

    /// Cancelled once a stop is requested, before the time of the drain.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.state.stop.clone()
    }

    /// Tells the commands on this machine of the data nodes inside this process, which have
    /// started. Only the first call has an effect.
    pub fn name_nodes(&self, nodes: Vec<SessionNode>) {
        self.session.name_nodes(nodes);
        self.state.follow_session();
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
        self.session.remove();
    }
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
