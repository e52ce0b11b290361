//! A limit for log lines that one cause may repeat thousands of times a second: the first few of a
//! minute are logged, the others are counted and their number is logged.
//!
//! A log that is full of one message hides what else is wrong.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::sync::lock;

/// Lines of a burst that are logged: enough to see what they have in common.
const LINES_MAX: u64 = 5;
/// How long a burst lasts, from its first line.
const WINDOW: Duration = Duration::from_secs(60);
/// How often it is checked whether a burst is over.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default, Debug)]
pub(crate) struct LogLimit(Mutex<Burst>);

/// The lines of one window.
#[derive(Default, Debug)]
struct Burst {
    began: Option<Instant>,
    lines: u64,
}

impl LogLimit {
    /// Counts a line; returns whether to log it.
    pub(crate) fn allows(&self) -> bool {
        lock(&self.0).add(Instant::now())
    }

    /// Calls `log` with the number of suppressed lines after each burst that had some. Returns at
    /// `shutdown`, after a last call for the burst of that moment.
    pub(crate) async fn report(&self, shutdown: &CancellationToken, log: impl Fn(u64)) {
        let reports = async {
            loop {
                tokio::time::sleep(CHECK_INTERVAL).await;
                let suppressed = lock(&self.0).end_at(Instant::now());
                suppressed.into_iter().for_each(&log);
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = reports => {}
        }
        let suppressed = lock(&self.0).end();
        suppressed.into_iter().for_each(&log);
    }
}

impl Burst {
    fn add(&mut self, now: Instant) -> bool {
        self.began.get_or_insert(now);
        self.lines += 1;
        self.lines <= LINES_MAX
    }

    /// Ends the burst if its window is over; returns how many lines were suppressed, if any.
    fn end_at(&mut self, now: Instant) -> Option<u64> {
        let over = self.began.is_some_and(|began| now.saturating_duration_since(began) >= WINDOW);
        if over { self.end() } else { None }
    }

    fn end(&mut self) -> Option<u64> {
        let Self { lines, .. } = std::mem::take(self);
        Some(lines.saturating_sub(LINES_MAX)).filter(|&suppressed| suppressed > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_thousand_lines_a_few_are_logged_and_then_a_number() {
        let (mut burst, start) = (Burst::default(), Instant::now());
        let logged = (0..1000).filter(|_| burst.add(start)).count();
        assert_eq!(logged as u64, LINES_MAX);
        assert_eq!(burst.end_at(start + WINDOW / 2), None);
        assert_eq!(burst.end_at(start + WINDOW), Some(1000 - LINES_MAX));
        assert_eq!(burst.end_at(start + WINDOW), None, "reported once");
        assert!(burst.add(start + WINDOW), "a new burst begins");
        assert_eq!(burst.end_at(start + 2 * WINDOW), None, "nothing was suppressed");
    }
}
