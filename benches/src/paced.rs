//! Requests at a fixed rate, and how long each takes.
//!
//! Requests are due at fixed times, and a latency counts from then: a server that stands still for
//! a while is late for all that were due meanwhile, not for the one that waited (coordinated
//! omission).

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use histogram::Histogram;

use crate::connection::Connection;
use crate::server::Server;

/// Connections that share a rate.
const CONNECTIONS: u32 = 8;
/// A bucket of the histogram is a 128th wide, up to 2^40 ns.
const PRECISION: (u8, u8) = (7, 40);

/// How long requests took.
pub(crate) struct Latencies(Histogram);

impl Latencies {
    pub(crate) fn new() -> io::Result<Self> {
        Histogram::new(PRECISION.0, PRECISION.1).map(Self).map_err(io::Error::other)
    }

    /// In milliseconds; `None` if there was no request.
    pub(crate) fn percentile(&self, quantile: f64) -> Option<f64> {
        let bucket = self.0.quantile_bucket(quantile).ok().flatten()?;
        Some(bucket.end() as f64 / 1e6)
    }

    /// Counts those of `other` too.
    pub(crate) fn add(&mut self, other: &Self) -> io::Result<()> {
        self.0.checked_add_assign(&other.0).map_err(io::Error::other)
    }

    fn count(&mut self, took: Duration) -> io::Result<()> {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.increment(nanoseconds).map_err(io::Error::other)
    }
}

/// What is asked for, and how often.
pub(crate) struct Paced<'a> {
    pub(crate) server: &'a Server,
    pub(crate) bucket: &'a str,
    /// Requests for each second.
    pub(crate) rate: u32,
    /// Appends one request, whose answer must be a success.
    pub(crate) push: &'a (dyn Fn(&mut Vec<u8>) + Sync),
}

impl Paced<'_> {
    /// Asks for `time`.
    pub(crate) fn run(&self, time: Duration) -> io::Result<Latencies> {
        self.until(&OnceLock::from(Instant::now() + time))
    }

    /// Asks while `work` is done.
    pub(crate) fn during<T>(
        &self,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<(T, Latencies)> {
        let end = OnceLock::new();
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| self.until(&end));
            let done = work();
            // Nobody else sets it.
            let _set = end.set(Instant::now());
            let took = asking.join().unwrap_or_else(|_| Err(panicked()))?;
            Ok((done?, took))
        })
    }

    /// Asks until `end`, also what was due before it and is late.
    fn until(&self, end: &OnceLock<Instant>) -> io::Result<Latencies> {
        let connect = |_| self.server.connect_to(self.bucket);
        let connections: Vec<_> = (0..CONNECTIONS).map(connect).collect::<Result<_, _>>()?;
        let began = Instant::now();
        let outcomes: Vec<io::Result<Latencies>> = std::thread::scope(|scope| {
            let work = |(at, connection)| {
                let every = Duration::from_secs(1) * CONNECTIONS / self.rate.max(1);
                // Connections take turns, so that requests are spread evenly.
                let first = began + every * at / CONNECTIONS;
                scope.spawn(move || self.ask(connection, (first, every), end))
            };
            let threads: Vec<_> = (0..CONNECTIONS).zip(connections).map(work).collect();
            threads.into_iter().map(|it| it.join().unwrap_or_else(|_| Err(panicked()))).collect()
        });
        let mut all = Latencies::new()?;
        outcomes.into_iter().try_for_each(|outcome| all.add(&outcome?))?;
        Ok(all)
    }

    /// Sends a request whenever one is due, and measures from then until its answer.
    fn ask(
        &self,
        mut connection: Connection,
        (mut due, every): (Instant, Duration),
        end: &OnceLock<Instant>,
    ) -> io::Result<Latencies> {
        let mut took = Latencies::new()?;
        let mut frame = Vec::new();
        while end.get().is_none_or(|end| due < *end) {
            frame.clear();
            (self.push)(&mut frame);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            connection.send(&frame)?;
            connection.successes(1)?;
            took.count(due.elapsed())?;
            due += every;
        }
        Ok(took)
    }
}

fn panicked() -> io::Error {
    io::Error::other("a thread panicked")
}
