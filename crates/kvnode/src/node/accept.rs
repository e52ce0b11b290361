//! The listener: accepts connections up to the limit and starts a session for each.

use std::net::SocketAddr;
use std::sync::Arc;

use log::warn;
use logline::value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::acceptor::Acceptor;
use crate::context::Context;
use crate::tls::Socket;
use crate::{dcp, session};

/// Runs until the node stops.
pub(super) async fn run(listener: TcpListener, node: Arc<Context>, tasks: TaskTracker) {
    let acceptor = Acceptor::new(listener);
    let accepting = async {
        loop {
            let (stream, peer) = acceptor.next().await;
            node.counters.connections.add(1);
            let Ok(permit) = Arc::clone(&node.connection_permits).try_acquire_owned() else {
                node.counters.rejected_connections.add(1);
                let limit = node.limits.connections_max;
                warn!("connection rejected, the limit is reached peer={peer} limit={limit}");
                continue;
            };
            match relay::prepare_socket(&stream) {
                Ok(_) => drop(tasks.spawn(serve(stream, peer, Arc::clone(&node), permit))),
                Err(error) => warn!("cannot set up a socket peer={peer} error={}", value(error)),
            }
        }
    };
    tokio::select! {
        () = node.shutdown.cancelled() => {}
        () = accepting => {}
    }
}

/// Serves a connection to its end: a session, and DCP after it if it opens that.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    node: Arc<Context>,
    _permit: OwnedSemaphorePermit,
) {
    if let Some(socket) = encrypt(stream, peer, &node).await
        && let Some(handover) = session::serve(socket, peer, node).await
    {
        dcp::serve(handover).await;
    }
}

/// Returns the socket of a session; `None` if TLS fails or the node stops.
async fn encrypt(stream: TcpStream, peer: SocketAddr, node: &Context) -> Option<Socket> {
    let Some(tls) = &node.tls else { return Some(Socket::Plain(stream)) };
    let accepted = tokio::select! {
        () = node.shutdown.cancelled() => return None,
        accepted = timeout(node.limits.authentication, tls.accept(stream)) => accepted,
    };
    let error = match accepted {
        Ok(Ok(socket)) => return Some(socket),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no handshake in {} s", node.limits.authentication.as_secs()),
    };
    warn!("TLS handshake failed peer={peer} error={}", value(error));
    None
}
