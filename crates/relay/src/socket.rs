//! Opens TCP connections and sets what every connection to a data node needs.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::{Fault, Step};

/// The read half of a connection, plain or encrypted.
pub type BoxRead = Box<dyn AsyncRead + Send + Unpin>;
/// The write half of a connection, plain or encrypted.
pub type BoxWrite = Box<dyn AsyncWrite + Send + Unpin>;

/// Silence after which the kernel probes the peer: a node that lost its power is found within
/// about a minute (30 s and three probes) even where nothing is sent.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Time between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Connects to `address` (host and port) within `deadline`.
///
/// Buffer sizes stay the system's: it adapts them to the path, a fixed size would end that.
pub(crate) async fn connect(
    address: &str,
    deadline: Duration,
) -> Result<(BoxRead, BoxWrite), Fault> {
    let connecting = tokio::time::timeout(deadline, TcpStream::connect(address)).await;
    let timed_out = |_| Fault::TimedOut { step: Step::Connect, after: deadline };
    let stream = connecting.map_err(timed_out)?.and_then(prepare);
    let (reader, writer) = stream.map_err(|source| Fault::Connect { source })?.into_split();
    Ok((Box::new(reader), Box::new(writer)))
}

fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}
