//! A listener that goes on after errors such as "too many open files".

use std::net::SocketAddr;
use std::time::Duration;

use log::warn;
use logline::value;
use tokio::net::{TcpListener, TcpStream};

/// How long the listener pauses after an error.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct Acceptor {
    listener: TcpListener,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener }
    }

    /// Waits for the next connection. Errors are logged.
    pub(crate) async fn next(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    warn!("cannot accept a connection error={}", value(error));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}
