//! The measurements: bytes per second, the round trip of a NOOP, the set-up of streams.

use std::io::Read as _;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mcbp::{Frame, FrameBuilder, Opcode, Status};

use crate::frames::{CHUNK_BYTES, acknowledge, answer, mutations};
use crate::peers::{Links, Peer};
use crate::process::Process;
use crate::results::{Cell, Sample, SetUp};
use crate::ways::{Way, Workshop};
use crate::{Fallible, SET_UP_STREAMS, STREAMS};

/// How long data flows before the measurement, until buffers have grown.
const WARM_UP: Duration = Duration::from_millis(300);
/// The flow-control window of a connection, 20 MiB: that of a data node with a few GiB.
const WINDOW_BYTES: usize = 20 << 20;
/// How much the consumer acknowledges at once: a fifth of the window.
const ACK_BYTES: usize = WINDOW_BYTES / 5;
/// Round trips before the timed ones.
const WARM_UP_TRIPS: usize = 500;

/// The state at one moment.
struct Moment {
    at: Instant,
    bytes: u64,
    processor: Option<Duration>,
}

impl Moment {
    fn now(received: &AtomicU64, process: Option<&Process>) -> Fallible<Self> {
        let processor = process.map(Process::processor_time).transpose()?;
        Ok(Self { at: Instant::now(), bytes: received.load(Ordering::Relaxed), processor })
    }
}

/// Lets data flow over all links of `cell` for `time`.
pub(crate) fn throughput(workshop: &Workshop, cell: Cell, time: Duration) -> Fallible<Sample> {
    let chunk = mutations(cell.frame_bytes)?;
    let Links { consumers, producers, process, .. } =
        Links::connect(workshop, cell.way, cell.links, STREAMS)?;
    let received = AtomicU64::new(0);
    let ends = stoppers(&consumers, &producers)?;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for consumer in consumers {
            threads.push(scope.spawn(|| consume(consumer, &received)));
        }
        for producer in producers {
            threads.push(scope.spawn(|| produce(producer, &chunk)));
        }
        let sample = watch(time, &received, process.as_ref());
        let broken = threads.iter().any(thread::ScopedJoinHandle::is_finished);
        // The sidecar first, because it would connect again.
        drop(process);
        hang_up(&ends);
        for thread in threads {
            let ended = thread.join().map_err(|_| "a panic")?;
            if broken {
                ended.map_err(|error| format!("{cell}: {error}"))?;
            }
        }
        sample
    })
}

fn watch(time: Duration, received: &AtomicU64, process: Option<&Process>) -> Fallible<Sample> {
    thread::sleep(WARM_UP);
    let from = Moment::now(received, process)?;
    thread::sleep(time);
    let to = Moment::now(received, process)?;
    let gigabytes = (to.bytes - from.bytes) as f64 / 1e9;
    let spent = to.processor.zip(from.processor).map(|(to, from)| to.saturating_sub(from));
    Ok(Sample {
        gigabytes_per_s: gigabytes / (to.at - from.at).as_secs_f64(),
        processor_s_per_gigabyte: spent.map(|spent| spent.as_secs_f64() / gigabytes),
        memory_bytes: process.map(Process::memory_bytes_max).transpose()?,
    })
}

fn stoppers(consumers: &[Peer], producers: &[Peer]) -> Fallible<Vec<TcpStream>> {
    consumers.iter().chain(producers).map(|peer| Ok(peer.socket.stopper()?)).collect()
}

fn hang_up(ends: &[TcpStream]) {
    for end in ends {
        // It may have ended with the process in between.
        let _ = end.shutdown(Shutdown::Both);
    }
}

/// Reads as fast as it can, and acknowledges what was read.
pub(crate) fn consume(mut peer: Peer, received: &AtomicU64) -> Fallible<()> {
    let mut room = vec![0; CHUNK_BYTES];
    let mut owed = peer.reader.rest_bytes();
    loop {
        let count = peer.socket.stream.read(&mut room)?;
        if count == 0 {
            return Err("the consumer's connection ended".into());
        }
        received.fetch_add(count as u64, Ordering::Relaxed);
        owed += count;
        if owed >= ACK_BYTES {
            acknowledge(&mut peer.socket.stream, u32::try_from(owed)?)?;
            owed = 0;
        }
    }
}

/// Writes as fast as the window allows.
fn produce(peer: Peer, chunk: &[u8]) -> Fallible<()> {
    let mut outlet = Outlet::new(peer);
    loop {
        outlet.send(chunk)?;
    }
}

/// The producer's end of a link, and the rest of its flow-control window.
pub(crate) struct Outlet {
    peer: Peer,
    window: usize,
}

impl Outlet {
    pub(crate) const fn new(peer: Peer) -> Self {
        Self { peer, window: WINDOW_BYTES }
    }

    /// Writes whole frames of at most a window, once the window has room for them.
    pub(crate) fn send(&mut self, frames: &[u8]) -> Fallible<()> {
        let Self { peer, window } = self;
        while *window < frames.len() {
            let bytes = peer.reader.next(&mut peer.socket.stream)?;
            let frame = Frame::parse(&bytes)?;
            if let (Opcode::DCP_BUFFER_ACK, Some(count)) =
                (frame.opcode(), frame.extras.first_chunk::<4>())
            {
                *window += usize::try_from(u32::from_be_bytes(*count))?;
            }
        }
        peer.socket.stream.write_all(frames)?;
        peer.socket.stream.flush()?;
        *window -= frames.len();
        Ok(())
    }
}

/// The round-trip times of `count` NOOPs of the producer, in sequence, on an idle link.
pub(crate) fn round_trips(workshop: &Workshop, way: Way, count: usize) -> Fallible<Vec<Duration>> {
    let Links { mut consumers, mut producers, process, .. } =
        Links::connect(workshop, way, 1, STREAMS)?;
    let ends = stoppers(&consumers, &producers)?;
    let (consumer, producer) = consumers.pop().zip(producers.pop()).ok_or("no link")?;
    thread::scope(|scope| {
        let echo = scope.spawn(|| echo(consumer));
        let trips = ping(producer, count);
        drop(process);
        hang_up(&ends);
        // The echo ends with its connection. If it ends early, the ping fails.
        let _ended = echo.join();
        trips
    })
}

fn ping(mut peer: Peer, count: usize) -> Fallible<Vec<Duration>> {
    let noop = FrameBuilder::request(Opcode::DCP_NOOP).build();
    let mut trips = Vec::with_capacity(count);
    for number in 0..WARM_UP_TRIPS + count {
        let began = Instant::now();
        peer.socket.stream.write_all(&noop)?;
        peer.socket.stream.flush()?;
        let bytes = peer.reader.next(&mut peer.socket.stream)?;
        if Frame::parse(&bytes)?.opcode() != Opcode::DCP_NOOP {
            return Err("something else came back for a NOOP".into());
        }
        if number >= WARM_UP_TRIPS {
            trips.push(began.elapsed());
        }
    }
    Ok(trips)
}

fn echo(mut peer: Peer) -> Fallible<()> {
    loop {
        let bytes = peer.reader.next(&mut peer.socket.stream)?;
        peer.socket.stream.write_all(&answer(&bytes, Status::SUCCESS, &[], &[])?)?;
        peer.socket.stream.flush()?;
    }
}

/// The time to set up many streams with peers that answer immediately; `None` for a way that
/// has no streams.
pub(crate) fn set_up(workshop: &Workshop, way: Way) -> Fallible<Option<SetUp>> {
    if !way.is_sidecar() {
        return Ok(None);
    }
    let links = Links::connect(workshop, way, 1, SET_UP_STREAMS)?;
    drop(links.process);
    Ok(links.set_up)
}
