//! The admin API: HTTP and JSON, for people and programs, on a thread of its own.
//!
//! It listens before anything else starts, so that probes get an answer and a port in use is
//! reported immediately. Requests that need replication are refused until it has started. The API
//! decides nothing about replication: it forwards requests to the handle. `docs/admin-api.md` has
//! the requests.

mod access;
mod body;
mod commands;
mod effective;
mod error;
mod log_level;
mod metrics;
mod moves;
mod reads;
mod ready;
mod routes;
mod state;
mod views;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use actix_web::{App, HttpServer, web};
use logline::value;
use tokio_util::sync::CancellationToken;

use self::access::Access;
use self::state::State;
use crate::config::Config;

pub use self::state::{Durability, EmbeddedFacts, Replicating};

/// Connections at the same time: enough for people and a few programs with several each.
const CONNECTIONS_MAX: usize = 256;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;
/// How long the head of a request may take: it is one packet, a few seconds on a bad network.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept open: longer than the usual interval of polling programs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the clean close of a connection may take.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// How long responses in progress may take when the server is stopped; all commands have been
/// answered by then.
const STOP_WAIT_S: u64 = 1;

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
    server: ServerHandle,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Starts to listen and answer. A request to shut down cancels `stop`.
    ///
    /// # Errors
    /// An [`AdminError`]; nothing is left running.
    pub fn start(config: &Config, stop: &CancellationToken) -> Result<Self, AdminError> {
        let listen = config.admin.listen;
        let failed = |source| AdminError::Listen { listen, source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = Arc::new(State::new(config, stop.clone()));
        let access = Access::of(&config.admin);
        let (ready, started) = sync_channel(1);
        let served = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || serve(listener, served, access, &ready))
            .map_err(AdminError::Start)?;
        let ended = |_| Err(io::Error::other("its thread ended before it listened"));
        let server = started.recv().unwrap_or_else(ended).map_err(AdminError::Start)?;
        log::info!("admin API listens url=http://{address}");
        Ok(Self { address, state, server, thread })
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
        self.server.stop(true).await;
        let thread = self.thread;
        // An error would be a panic of the thread, and a panic ends the process.
        _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

type Started = io::Result<ServerHandle>;

fn serve(listener: TcpListener, state: Arc<State>, access: Access, ready: &SyncSender<Started>) {
    System::new().block_on(async move {
        let (state, access) = (web::Data::from(state), Arc::new(access));
        let app = move || {
            App::new()
                .app_data(state.clone())
                .app_data(routes::path_config())
                .configure(routes::routes)
                .wrap(access::middleware(Arc::clone(&access)))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .max_connections(CONNECTIONS_MAX)
            .backlog(BACKLOG)
            .client_request_timeout(HEAD_WAIT)
            .client_disconnect_timeout(CLOSE_WAIT)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(STOP_WAIT_S)
            .listen(listener)
            .map(HttpServer::run);
        match server {
            Ok(server) => {
                // The receiver waits for this one message, so sending does not fail.
                _ = ready.send(Ok(server.handle()));
                if let Err(error) = server.await {
                    log::error!("admin API ended, replication continues error={}", value(error));
                }
            }
            Err(error) => _ = ready.send(Err(error)),
        }
    });
}
