//! The listener: takes connections up to the limit and starts a session for each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use log::warn;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::context::Context;
use crate::tls::Socket;
use crate::{dcp, session};

/// How long the listener rests after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Runs until the node stops.
pub(super) async fn run(listener: TcpListener, node: Arc<Context>, tasks: TaskTracker) {
    // Said once for every time the limit is reached, not for every connection.
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            () = node.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("cannot accept a connection error={error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        node.counters.connections.add(1);
        let Ok(permit) = Arc::clone(&node.connection_permits).try_acquire_owned() else {
            node.counters.rejected_connections.add(1);
            if !std::mem::replace(&mut full, true) {
                let limit = node.limits.connections_max;
                warn!("connections turned away, the limit is reached peer={peer} limit={limit}");
            }
            continue;
        };
        full = false;
        if let Err(error) = relay::prepare_socket(&stream) {
            warn!("cannot set up a socket peer={peer} error={error}");
            continue;
        }
        let node = Arc::clone(&node);
        tasks.spawn(async move {
            if let Some(socket) = encrypt(stream, peer, &node).await
                && let Some(handover) = session::serve(socket, peer, node).await
            {
                dcp::serve(handover).await;
            }
            drop(permit);
        });
    }
}

/// The socket as a session takes it; `None` where TLS fails or the node stops.
async fn encrypt(stream: TcpStream, peer: SocketAddr, node: &Context) -> Option<Socket> {
    let Some(tls) = &node.tls else { return Some(Socket::Plain(stream)) };
    let accepted = tokio::select! {
        () = node.shutdown.cancelled() => return None,
        accepted = timeout(node.limits.authentication, tls.accept(stream)) => accepted,
    };
    let why = match accepted {
        Ok(Ok(socket)) => return Some(socket),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no handshake in time".to_owned(),
    };
    warn!("no TLS with a client peer={peer} error={why}");
    None
}
