//! Reads of the disk that failed: every one counts, a few are told, of the others their number.
//!
//! A damaged block can fail thousands of reads a second, and a log that is full of them hides what
//! else is wrong.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use log::error;
use tokio_util::sync::CancellationToken;

use super::Bucket;
use crate::counter::Counter;
use crate::sync::lock;

/// Failures of a bucket that are told one by one: enough to see what they have in common.
const LINES_MAX: u64 = 5;
/// The time for which they count together.
const WINDOW: Duration = Duration::from_secs(60);
/// How often it is looked whether that time is over.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default, Debug)]
pub(crate) struct ReadFailures {
    count: Counter,
    burst: Mutex<Burst>,
}

/// Failures that count together.
#[derive(Default, Debug)]
struct Burst {
    began: Option<Instant>,
    count: u64,
}

impl ReadFailures {
    /// Counts one; says whether it is to be told.
    pub(crate) fn add(&self) -> bool {
        self.count.add(1);
        lock(&self.burst).add(Instant::now())
    }

    /// How many there were.
    pub(crate) fn get(&self) -> u64 {
        self.count.get()
    }

    fn tell_rest(&self, bucket: &str, rest: Option<u64>) {
        if let Some(left_out) = rest {
            let all = self.get();
            error!("reads failed that were not told bucket={bucket} left_out={left_out} all={all}");
        }
    }
}

impl Burst {
    fn add(&mut self, now: Instant) -> bool {
        self.began.get_or_insert(now);
        self.count += 1;
        self.count <= LINES_MAX
    }

    /// How many were left out, once the time is over; the next failure begins anew.
    fn over(&mut self, now: Instant) -> Option<u64> {
        let over = self.began.is_some_and(|began| now.saturating_duration_since(began) >= WINDOW);
        if over { self.end() } else { None }
    }

    fn end(&mut self) -> Option<u64> {
        let Self { count, .. } = std::mem::take(self);
        Some(count.saturating_sub(LINES_MAX)).filter(|&left_out| left_out > 0)
    }
}

impl Bucket {
    /// Tells how many failed reads were left out, until `shutdown`.
    pub(crate) async fn run_failure_reports(self: Arc<Self>, shutdown: CancellationToken) {
        let failures = &self.counters().read_failures;
        let telling = async {
            loop {
                tokio::time::sleep(LOOK).await;
                let rest = lock(&failures.burst).over(Instant::now());
                failures.tell_rest(self.name(), rest);
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = telling => {}
        }
        let rest = lock(&failures.burst).end();
        failures.tell_rest(self.name(), rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_thousand_failures_a_few_are_told_and_then_a_number() {
        let (mut burst, start) = (Burst::default(), Instant::now());
        let told = (0..1000).filter(|_| burst.add(start)).count();
        assert_eq!(told as u64, LINES_MAX);
        assert_eq!(burst.over(start + WINDOW / 2), None);
        assert_eq!(burst.over(start + WINDOW), Some(1000 - LINES_MAX));
        assert_eq!(burst.over(start + WINDOW), None, "said once");
        assert!(burst.add(start + WINDOW), "and begins anew");
        assert_eq!(burst.over(start + 2 * WINDOW), None, "nothing was left out");
    }
}
