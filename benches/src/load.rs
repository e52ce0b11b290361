//! Sets and gets of random documents, over several connections with several requests in flight.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcbp::framing::{self, FrameInfo, Level};
use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opaque, Opcode, VbId};

use crate::connection::Connection;
use crate::server::{Server, VBUCKETS};
use crate::subdoc;
use crate::watch;

/// How many requests of the first load are in flight: enough to keep both sides busy.
const FILL_DEPTH: u64 = 512;
/// Values of the first load are slices of this much noise, so that those in one block differ.
const NOISE_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Set,
    /// A set with durability level persist-to-majority.
    Persisted,
    Get,
    /// A get of a document of `subdoc`, to compare with.
    Whole,
    /// A sub-document lookup, of the same.
    Lookup,
    /// A sub-document counter, of the same.
    Counter,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set => "set",
            Self::Persisted => "persisted set",
            Self::Get => "get",
            Self::Whole => "JSON get",
            Self::Lookup => "subdoc lookup",
            Self::Counter => "subdoc counter",
        })
    }
}

/// Connections, and the requests in flight on each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    pub(crate) depth: usize,
}

impl Shape {
    pub(crate) const ALL: [Self; 4] =
        [Self::new(1, 1), Self::new(1, 64), Self::new(16, 1), Self::new(16, 64)];

    pub(crate) const fn new(connections: usize, depth: usize) -> Self {
        Self { connections, depth }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.connections, self.depth)
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().parse().ok().filter(|&number| number > 0);
        let parts = text.split_once('x').map(|(c, d)| (number(c), number(d)));
        let Some((Some(connections), Some(depth))) = parts else {
            return Err("give connections and requests in flight, as in 16x64".to_owned());
        };
        Ok(Self { connections, depth })
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    pub(crate) depth: usize,
    pub(crate) documents: u64,
    pub(crate) value: usize,
    pub(crate) time: Duration,
}

/// The result of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Operations per second.
    pub(crate) rate: f64,
    /// Microseconds of the server's processor time per operation, with what it leaves for later.
    /// `None` if it is not on this machine.
    pub(crate) cpu_us: Option<f64>,
}

impl Load {
    /// Runs it.
    pub(crate) fn run(&self, server: &Server) -> io::Result<Measured> {
        let connections: Vec<_> =
            (0..self.connections).map(|_| server.connect()).collect::<Result<_, _>>()?;
        let (began, cpu_before) = (Instant::now(), server.cpu_seconds()?);
        let counts: Vec<io::Result<u64>> = std::thread::scope(|scope| {
            let work = |(n, connection)| scope.spawn(move || self.work(server, n, connection));
            let workers: Vec<_> = (0..).zip(connections).map(work).collect();
            let panicked = || Err(io::Error::other("a worker panicked"));
            let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|_| panicked())
            };
            workers.into_iter().map(join).collect()
        });
        let total: u64 = counts.into_iter().sum::<io::Result<u64>>()?;
        let seconds = began.elapsed().as_secs_f64();
        watch::settle(server)?;
        let cpu = server.cpu_seconds()?.zip(cpu_before).map(|(after, before)| after - before);
        let cpu_us = cpu.map(|seconds| seconds * 1e6 / total as f64);
        Ok(Measured { rate: total as f64 / seconds, cpu_us })
    }

    /// What the connection with this number does.
    fn work(&self, server: &Server, number: u64, mut connection: Connection) -> io::Result<u64> {
        let value = noise(self.value);
        let mut out = Vec::new();
        let (mut count, began) = (0, Instant::now());
        while began.elapsed() < self.time {
            out.clear();
            for i in count..count + self.depth as u64 {
                let n = self.document(number, i);
                push(&mut out, server, self.kind, n, &value);
            }
            connection.send(&out)?;
            connection.successes(self.depth)?;
            count += self.depth as u64;
        }
        Ok(count)
    }

    /// The document of a connection's request `i`: a random one; but a document takes one durable
    /// write at a time, so for those each connection has documents of its own, in turn.
    fn document(&self, connection: u64, i: u64) -> u64 {
        match self.kind {
            Kind::Persisted => (i * self.connections as u64 + connection) % self.documents,
            _ => fastrand::u64(..self.documents),
        }
    }
}

/// Appends a request about document `n`.
pub(crate) fn push(out: &mut Vec<u8>, server: &Server, kind: Kind, n: u64, value: &[u8]) {
    match kind {
        Kind::Set => push_set(out, server, n, value),
        Kind::Persisted => {
            out.extend_from_slice(&set(server, n, value, &durability(Level::PersistToMajority)));
        }
        Kind::Get => push_get(out, server, n),
        Kind::Whole => subdoc::push(out, Opcode::GET, n),
        Kind::Lookup => subdoc::push(out, Opcode::SUBDOC_GET, n),
        Kind::Counter => subdoc::push(out, Opcode::SUBDOC_COUNTER, n),
    }
}

/// Stores every document once, each with a different value.
pub(crate) fn fill(server: &Server, documents: u64, value: usize) -> io::Result<()> {
    let noise = noise(value + NOISE_BYTES);
    let mut connection = server.connect()?;
    let mut out = Vec::new();
    for from in (0..documents).step_by(FILL_DEPTH as usize) {
        let batch = from..documents.min(from + FILL_DEPTH);
        out.clear();
        for n in batch.clone() {
            let at = fastrand::usize(..NOISE_BYTES);
            push_set(&mut out, server, n, noise.get(at..at + value).unwrap_or_default());
        }
        connection.send(&out)?;
        connection.successes((batch.end - batch.start) as usize)?;
    }
    Ok(())
}

/// Appends a SET of document `n`; the opaque of its answer names the vBucket.
pub(crate) fn push_set(out: &mut Vec<u8>, server: &Server, n: u64, value: &[u8]) {
    out.extend_from_slice(&set(server, n, value, &[]));
}

/// The framing extras of a write that is durable at `level`.
pub(crate) fn durability(level: Level) -> Vec<u8> {
    let mut framing = Vec::new();
    framing::push(&mut framing, FrameInfo { id: framing::DURABILITY, value: &[level.wire()] });
    framing
}

fn set(server: &Server, n: u64, value: &[u8], framing: &[u8]) -> Bytes {
    let extras = StoreExtras::default().encode();
    let (key, vb) = (key(n), vb(server, n));
    let frame = FrameBuilder::request(Opcode::SET).vbucket(vb).opaque(Opaque(u32::from(vb.0)));
    // memcached does not know the form of a request that can have framing extras.
    let frame = if framing.is_empty() { frame } else { frame.framing(framing) };
    let frame = frame.extras(&extras);
    frame.key(key.as_bytes()).value(value).build()
}

fn push_get(out: &mut Vec<u8>, server: &Server, n: u64) {
    let key = key(n);
    let frame = FrameBuilder::request(Opcode::GET).vbucket(vb(server, n));
    out.extend_from_slice(&frame.key(key.as_bytes()).build());
}

fn key(n: u64) -> String {
    format!("document-{n:010}")
}

/// The vBucket of a document; 0 for memcached, which has none.
fn vb(server: &Server, n: u64) -> VbId {
    let vb = if server.login.is_some() { n % u64::from(VBUCKETS) } else { 0 };
    VbId(u16::try_from(vb).unwrap_or(0))
}

/// Bytes that do not compress and are not JSON.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(128..)).take(bytes).collect()
}
