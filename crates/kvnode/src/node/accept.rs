//! The listener: gives connections their seats and starts a session for each.

use std::net::SocketAddr;
use std::sync::Arc;

use log::warn;
use logline::value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::acceptor::Acceptor;
use crate::admission::Seat;
use crate::context::Context;
use crate::put_off::noted;
use crate::tls::Socket;
use crate::{dcp, session};

/// Runs until the node stops.
pub(super) async fn run(listener: TcpListener, node: Arc<Context>, tasks: TaskTracker) {
    let acceptor = Acceptor::new(listener);
    let accepting = async {
        loop {
            let (stream, peer) = tokio::select! {
                accepted = acceptor.next() => accepted,
                () = node.is_accepting.asked() => {
                    node.is_accepting.answer();
                    continue;
                }
            };
            node.counters.connections.add(1);
            let Some(seat) = node.door.enter(peer.ip()) else {
                node.counters.rejected_connections.add(1);
                let limit = node.door.limits().total;
                warn!("connection rejected, the limit is reached peer={peer} limit={limit}");
                continue;
            };
            match relay::prepare_socket(&stream) {
                Ok(_) => drop(tasks.spawn(noted(serve(stream, peer, Arc::clone(&node), seat)))),
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
async fn serve(stream: TcpStream, peer: SocketAddr, node: Arc<Context>, seat: Seat) {
    let seat = Arc::new(seat);
    if let Some(socket) = encrypt(stream, peer, &node, &seat).await
        && let Some(handover) = session::serve(socket, peer, Arc::clone(&seat), node).await
    {
        dcp::serve(handover).await;
    }
}

/// Returns the socket of a session; `None` if TLS fails or the seat is lost.
async fn encrypt(
    stream: TcpStream,
    peer: SocketAddr,
    node: &Context,
    seat: &Seat,
) -> Option<Socket> {
    let Some(tls) = &node.tls else { return Some(Socket::Plain(stream)) };
    let accepted = tokio::select! {
        () = seat.lost().cancelled() => return None,
        accepted = timeout(node.limits.authentication(), tls.accept(stream)) => accepted,
    };
    let error = match accepted {
        Ok(Ok(socket)) => return Some(socket),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no handshake in {} s", node.limits.authentication().as_secs()),
    };
    warn!("TLS handshake failed peer={peer} error={}", value(error));
    None
}
