//! Opens connections, plain or encrypted, and sets the options of their sockets.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::dial::dial;
use crate::{ConnectionStep, Endpoint, Fault, tls};

/// The read half of a connection, plain or encrypted.
pub type BoxRead = Box<dyn AsyncRead + Send + Unpin>;
/// The write half of a connection, plain or encrypted.
pub type BoxWrite = Box<dyn AsyncWrite + Send + Unpin>;

/// Idle time after which the kernel probes the peer: a node that lost power is detected within
/// about a minute (30 s and three probes) even if nothing is sent.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Time between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A peer is nearby if the connect, one round trip, takes less than this: 500 us.
const NEARBY: Duration = Duration::from_micros(500);
/// The receive buffer of a socket with a peer nearby, 512 KiB; Linux doubles it, up to
/// `net.core.rmem_max`. By default Linux takes the large reads of a pump for a long round trip and
/// buffers many MiB for each link, up to the whole flow-control window. With half of this size
/// nearly every read is short, and pumps sleep and wake more often. At [`NEARBY`] a window of this
/// size still allows 1 GB/s.
const NEARBY_RECEIVE_BYTES: usize = 512 * 1024;

/// The congestion control for a peer on the same machine: the one that every Linux has and every
/// user may choose. There is no congestion there, and the default of the system may pace (`bbr`
/// does), which takes a timer for every few segments and delays the writer.
#[cfg(target_os = "linux")]
const SAME_MACHINE_CONGESTION: &[u8] = b"reno";

/// A connection, plain or encrypted.
pub(crate) struct Connected {
    pub(crate) halves: (BoxRead, BoxWrite),
    /// Whether nobody on a network can read what is sent: it is encrypted, or stays on this
    /// machine.
    pub(crate) is_private: bool,
}

/// Connects to `endpoint`, with TLS if it has that, within `deadline`.
pub(crate) async fn connect(endpoint: &Endpoint, deadline: Duration) -> Result<Connected, Fault> {
    let until = Instant::now() + deadline;
    let timed_out = |step| Fault::TimedOut { step, after: deadline };
    let dialled = timeout_at(until, dial(&endpoint.address)).await;
    let dialled = dialled.map_err(|_| timed_out(ConnectionStep::Connect))?;
    let stream = dialled.and_then(|(stream, connected_in)| prepare(stream, connected_in));
    let (stream, is_private) = stream.map_err(|source| Fault::Connect { source })?;
    let Some(tls) = &endpoint.tls else {
        let (reader, writer) = stream.into_split();
        return Ok(Connected { halves: (Box::new(reader), Box::new(writer)), is_private });
    };
    let halves = timeout_at(until, tls::handshake(tls, stream)).await;
    let (reader, writer) =
        halves.map_err(|_| timed_out(ConnectionStep::Tls))?.map_err(Fault::Tls)?;
    Ok(Connected { halves: (Box::new(reader), Box::new(writer)), is_private: true })
}

/// Returns also whether the peer is on the same machine. If it is not nearby, the system adapts the
/// sizes of buffers to the round trip.
fn prepare(stream: TcpStream, connected_in: Duration) -> io::Result<(TcpStream, bool)> {
    let is_here = prepare_socket(&stream)?;
    if !is_here && connected_in < NEARBY {
        SockRef::from(&stream).set_recv_buffer_size(NEARBY_RECEIVE_BYTES)?;
    }
    Ok((stream, is_here))
}

/// Sets the options of every socket, on either side: no delay of writes, keepalive, and within one
/// machine no pacing and a small receive buffer. Returns whether the peer is on the same machine.
///
/// # Errors
/// OS errors, for example for a socket that is no longer connected.
pub fn prepare_socket(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    let [peer, own] = [stream.peer_addr()?, stream.local_addr()?].map(|at| at.ip().to_canonical());
    let same_machine = peer.is_loopback() || peer == own;
    if same_machine {
        do_not_pace(&socket);
        socket.set_recv_buffer_size(NEARBY_RECEIVE_BYTES)?;
    }
    Ok(same_machine)
}

/// Limits how much the kernel keeps of what is written and not sent yet, in bytes; 0 ends the
/// limit. Without one a socket takes more only once a third of some MiB has left it, so that a slow
/// reader seems to stand still for minutes. If the system refuses, that is what remains.
pub fn limit_unsent(stream: &TcpStream, bytes: u32) {
    #[cfg(target_os = "linux")]
    let _refused = SockRef::from(stream).set_tcp_notsent_lowat(bytes);
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, bytes);
}

/// If the system refuses, its default stays: that is slower, and works.
fn do_not_pace(socket: &SockRef<'_>) {
    #[cfg(target_os = "linux")]
    let _refused = socket.set_tcp_congestion(SAME_MACHINE_CONGESTION);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn prepared(connected_in: Duration) -> TcpStream {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        prepare(stream, connected_in).unwrap().0
    }

    /// What a program may ask for here; only Linux says.
    fn receive_bytes_max() -> usize {
        let text = std::fs::read_to_string("/proc/sys/net/core/rmem_max");
        text.map_or(usize::MAX, |text| text.trim().parse().unwrap())
    }

    #[tokio::test]
    async fn a_peer_of_the_same_machine_is_nearby_however_busy_it_is() {
        for connected_in in [Duration::ZERO, NEARBY, Duration::from_secs(1)] {
            let stream = prepared(connected_in).await;
            let bytes = SockRef::from(&stream).recv_buffer_size().unwrap();
            let asked = NEARBY_RECEIVE_BYTES.min(receive_bytes_max());
            // Linux counts its own records too, and says twice what was asked for.
            assert!([1, 2].contains(&(bytes / asked)), "{bytes}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nothing_is_paced_within_a_machine() {
        let stream = prepared(Duration::ZERO).await;
        let name = SockRef::from(&stream).tcp_congestion().unwrap();
        assert!(name.starts_with(SAME_MACHINE_CONGESTION), "{name:?}");
    }
}
