//! Measures how long after its acknowledgement a write is durable at the target, at a constant
//! rate of writes: one thread writes, one reads the answers, one asks the target for its seqnos.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use mcbp::{Feature, FrameBuilder, Opcode, Status};

use super::seqnos::Seqnos;
use crate::connection::Connection;
use crate::load;
use crate::server::{Server, VBUCKETS};

/// How often the target is asked, which is the resolution of the lag.
const POLL: Duration = Duration::from_micros(500);
/// How often writes that are due are sent.
const TICK: Duration = Duration::from_millis(1);
/// The deadline of the target for the last write.
const ARRIVAL_WAIT: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) writes_per_s: u32,
    pub(super) time: Duration,
    pub(super) documents: u64,
    pub(super) value: usize,
}

/// The lag in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lag {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) most_ms: f64,
}

/// An acknowledged write.
struct Acknowledged {
    vb: usize,
    seqno: u64,
    at: Instant,
}

impl Load {
    /// Overwrites random documents at the source.
    pub(super) fn run(&self, source: &Server, target: &Server) -> io::Result<Lag> {
        let mut connection = source.connect()?;
        let features = Feature::MUTATION_SEQNO.0.to_be_bytes();
        connection.ask(&FrameBuilder::request(Opcode::HELLO).key(b"bench").value(&features))?;
        let writer = connection.writer()?;
        let seqnos = Seqnos::of(target)?;
        let count = (f64::from(self.writes_per_s) * self.time.as_secs_f64()) as u64;
        let (told, acknowledged) = channel();
        thread::scope(|scope| {
            let writing = scope.spawn(|| self.write(writer, source, count));
            // It owns the sender to the watching thread, which ends with it.
            let taking = scope.spawn(move || take_answers(connection, count, &told));
            let lags = watch(seqnos, &acknowledged);
            for thread in [writing, taking] {
                thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
            }
            Lag::of(lags?).ok_or_else(|| io::Error::other("nothing was written"))
        })
    }

    /// Sends the writes that are due, until the end.
    fn write(&self, mut to: TcpStream, source: &Server, count: u64) -> io::Result<()> {
        let noise = load::noise(self.value);
        let (began, mut written) = (Instant::now(), 0);
        while written < count {
            let due = began.elapsed().as_secs_f64() * f64::from(self.writes_per_s);
            let due = (due as u64).min(count);
            let mut out = Vec::new();
            for _ in written..due {
                load::push_set(&mut out, source, fastrand::u64(..self.documents), &noise);
            }
            to.write_all(&out)?;
            written = due;
            thread::sleep(TICK);
        }
        Ok(())
    }
}

/// Forwards the seqno of each answer and its time of arrival.
fn take_answers(
    mut connection: Connection,
    count: u64,
    told: &Sender<Acknowledged>,
) -> io::Result<()> {
    for _ in 0..count {
        let mut refused = None;
        connection.answers(1, |frame| {
            let at = Instant::now();
            match frame.extras.last_chunk::<8>() {
                Some(seqno) if frame.header.status() == Status::SUCCESS => {
                    let (vb, seqno) = (frame.header.opaque.0 as usize, u64::from_be_bytes(*seqno));
                    // The receiver is gone if the connection to the target was lost.
                    let _ = told.send(Acknowledged { vb, seqno, at });
                }
                _ => refused = Some(frame.header.status()),
            }
        })?;
        if let Some(status) = refused {
            return Err(io::Error::other(format!("a write was answered with {status}")));
        }
    }
    Ok(())
}

/// Asks the target until it has all acknowledged writes.
fn watch(mut target: Seqnos, acknowledged: &Receiver<Acknowledged>) -> io::Result<Vec<Duration>> {
    let mut waiting: Vec<VecDeque<Acknowledged>> = Vec::new();
    waiting.resize_with(usize::from(VBUCKETS), VecDeque::new);
    let (mut missing, mut lags, mut all_came) = (0_u64, Vec::new(), Instant::now());
    loop {
        let ended = loop {
            match acknowledged.try_recv() {
                Ok(write) => {
                    all_came = write.at;
                    missing += 1;
                    waiting.get_mut(write.vb).ok_or_else(strange)?.push_back(write);
                }
                Err(error) => break error == TryRecvError::Disconnected,
            }
        };
        let seqnos = target.ask()?;
        let now = Instant::now();
        for (queue, high) in waiting.iter_mut().zip(seqnos) {
            while queue.front().is_some_and(|write| write.seqno <= high)
                && let Some(write) = queue.pop_front()
            {
                lags.push(now.saturating_duration_since(write.at));
                missing -= 1;
            }
        }
        if ended && missing == 0 {
            return Ok(lags);
        }
        if now > all_came + ARRIVAL_WAIT {
            return Err(io::Error::other(format!("{missing} writes did not reach the target")));
        }
        thread::sleep(POLL);
    }
}

fn strange() -> io::Error {
    io::Error::other("an answer names no vBucket")
}

impl Lag {
    /// Percentiles; `None` without values.
    fn of(mut lags: Vec<Duration>) -> Option<Self> {
        lags.sort_unstable();
        let at = |percent: usize| {
            let index = (lags.len() * percent / 100).min(lags.len().saturating_sub(1));
            lags.get(index).map(|lag| lag.as_secs_f64() * 1e3)
        };
        Some(Self { p50_ms: at(50)?, p99_ms: at(99)?, most_ms: at(100)? })
    }
}
