//! Opens connections, plain or encrypted, and sets what every connection to a data node needs.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::{Endpoint, Fault, Step, tls};

/// The read half of a connection, plain or encrypted.
pub type BoxRead = Box<dyn AsyncRead + Send + Unpin>;
/// The write half of a connection, plain or encrypted.
pub type BoxWrite = Box<dyn AsyncWrite + Send + Unpin>;

/// Silence after which the kernel probes the peer: a node that lost its power is found within
/// about a minute (30 s and three probes) even where nothing is sent.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Time between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Connects to `endpoint`, and shakes hands where it has TLS, both within `deadline`.
///
/// Buffer sizes stay the system's: it adapts them to the path, a fixed size would end that.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    deadline: Duration,
) -> Result<(BoxRead, BoxWrite), Fault> {
    let until = Instant::now() + deadline;
    let timed_out = |step| Fault::TimedOut { step, after: deadline };
    let stream = timeout_at(until, TcpStream::connect(&endpoint.address)).await;
    let stream = stream.map_err(|_| timed_out(Step::Connect))?.and_then(prepare);
    let stream = stream.map_err(|source| Fault::Connect { source })?;
    let Some(tls) = &endpoint.tls else {
        let (reader, writer) = stream.into_split();
        return Ok((Box::new(reader), Box::new(writer)));
    };
    let halves = timeout_at(until, tls::handshake(tls, stream)).await;
    halves.map_err(|_| timed_out(Step::Tls))?.map_err(Fault::Tls)
}

fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}
