//! A listener that goes on after errors such as "too many open files".

use std::net::SocketAddr;
use std::time::Duration;

use log::warn;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::log_limit::LogLimit;

/// How long the listener pauses after an error.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct Acceptor {
    listener: TcpListener,
    errors: LogLimit,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, errors: LogLimit::default() }
    }

    /// Waits for the next connection. Errors are logged.
    pub(crate) async fn next(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    if self.errors.allows() {
                        warn!("cannot accept a connection error=\"{error}\"");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Logs how many errors were suppressed, until `shutdown`.
    pub(crate) async fn report(&self, shutdown: &CancellationToken) {
        let log = |count| warn!("suppressed accept-error messages suppressed={count}");
        self.errors.report(shutdown, log).await;
    }
}
