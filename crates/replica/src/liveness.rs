//! Detects a data node that is unresponsive, and a link whose connection to a responsive node is
//! dead.
//!
//! A node is asked on a control connection, and sends data or a NOOP on the connections of its
//! links. One that is heard on none of them for the limit is unresponsive. Nothing but a sign of
//! life ends that state: what is unknown does not count as healthy.

use std::time::Duration;

use mcbp::Side;

/// NOOP intervals without a frame after which a connection counts as silent, if that is longer than
/// the limit: a busy node sends some late.
const NOOPS_MISSED: u32 = 4;

/// Watches one node in one role. Times are since any fixed start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Liveness {
    /// Since when the node is asked.
    asked: Duration,
    /// When it was last heard on any connection.
    heard: Option<Duration>,
    /// Silence before this time does not count: this process did not run.
    resumed: Duration,
    /// When it was found to be unresponsive, until it is heard again.
    unresponsive_at: Option<Duration>,
    /// Since when it has answered without a break.
    responsive_since: Duration,
}

/// A change that [`Liveness::judge`] found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Turn {
    /// The node became unresponsive: it was silent for so long.
    Unresponsive(Duration),
    /// The node is heard again, after it was silent for so long.
    Responsive(Duration),
}

impl Liveness {
    /// Returns the state of a node that is asked from `now` on.
    #[must_use]
    pub const fn new(now: Duration) -> Self {
        Self { asked: now, heard: None, resumed: now, unresponsive_at: None, responsive_since: now }
    }

    /// Records that the node sent something at `at`; an older time changes nothing. Returns the end
    /// of an unresponsive state.
    pub fn heard(&mut self, at: Duration) -> Option<Turn> {
        let silent = at.checked_sub(self.last_sign())?;
        self.heard = Some(at);
        // The time of one sign differs a little between samples: an old sign ends nothing.
        self.unresponsive_at.filter(|found| at > *found)?;
        self.unresponsive_at = None;
        self.responsive_since = at;
        Some(Turn::Responsive(silent))
    }

    /// Records that this process did not run until `now`. What the node sent meanwhile is not read
    /// yet, so its silence counts from `now`.
    pub fn resumed(&mut self, now: Duration) {
        self.resumed = now;
        self.responsive_since = self.responsive_since.max(now);
    }

    /// Returns the change, if the node has become unresponsive.
    pub fn judge(&mut self, limit: Duration, now: Duration) -> Option<Turn> {
        let counted = now.saturating_sub(self.last_sign().max(self.resumed));
        if self.is_unresponsive() || counted < limit {
            return None;
        }
        self.unresponsive_at = Some(now);
        Some(Turn::Unresponsive(self.silent_for(now)))
    }

    /// Whether the node is unresponsive.
    #[must_use]
    pub const fn is_unresponsive(&self) -> bool {
        self.unresponsive_at.is_some()
    }

    /// Returns how long the node has been silent, if it is unresponsive.
    #[must_use]
    pub fn unresponsive_for(&self, now: Duration) -> Option<Duration> {
        self.is_unresponsive().then(|| self.silent_for(now))
    }

    /// Returns how long nothing was heard of the node: since its last sign of life, or since it is
    /// asked.
    #[must_use]
    pub fn silent_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last_sign())
    }

    /// Returns how long the node has answered without a break; `None` while it is unresponsive.
    #[must_use]
    pub fn responsive_for(&self, now: Duration) -> Option<Duration> {
        (!self.is_unresponsive()).then(|| now.saturating_sub(self.responsive_since))
    }

    fn last_sign(&self) -> Duration {
        self.heard.unwrap_or(self.asked)
    }
}

/// The silence of both connections of a link at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Quiet {
    /// Time since the producer sent anything. `None` while the sidecar waits for the consumer to
    /// take bytes, because it does not read the producer then.
    pub producer: Option<Duration>,
    /// Time since the consumer sent anything; `None` likewise.
    pub consumer: Option<Duration>,
    /// The interval of the producer's NOOPs; `None` where the consumer asked for none, so that
    /// silence is normal.
    pub noop_interval: Option<Duration>,
}

impl Quiet {
    /// Returns the side whose connection is dead, and for how long, if one is: NOOPs are due, and
    /// none has passed for the limit, although both nodes have been responsive for longer.
    ///
    /// The producer sends the next NOOP once the consumer has answered the last one. So the side
    /// that has been silent for longer owes a frame.
    #[must_use]
    pub fn dead_side(&self, limit: Duration, responsive_for: Duration) -> Option<(Side, Duration)> {
        let limit = limit.max(self.noop_interval?.saturating_mul(NOOPS_MISSED));
        let (producer, consumer) = (self.producer?, self.consumer?);
        let (side, silent) = if consumer > producer {
            (Side::Consumer, consumer)
        } else {
            (Side::Producer, producer)
        };
        (silent.min(responsive_for) >= limit).then_some((side, silent))
    }
}

/// Returns how long this process did not run (stopped by a signal, or starved), if that was long
/// enough to matter: its clocks went on, and what arrived is not read yet. `since_last` is the time
/// between two events that are normally much closer together; `limit` is that of a stall.
#[must_use]
pub fn pause(since_last: Duration, limit: Duration) -> Option<Duration> {
    (since_last >= limit / 2).then_some(since_last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_node_is_unresponsive_from_the_limit_to_its_next_sign_of_life() {
        let mut node = Liveness::new(at(0));
        assert_eq!(node.heard(at(5)), None);
        assert_eq!(node.judge(LIMIT, at(24)), None);
        assert_eq!((node.unresponsive_for(at(24)), node.silent_for(at(24))), (None, at(19)));
        assert_eq!(node.judge(LIMIT, at(25)), Some(Turn::Unresponsive(LIMIT)));
        assert_eq!(node.judge(LIMIT, at(26)), None, "once");
        assert_eq!(node.unresponsive_for(at(366)), Some(at(361)));
        assert_eq!(node.heard(at(4)), None, "an older sign changes nothing");
        assert_eq!(node.heard(at(5) + Duration::from_micros(300)), None, "nor does the last one");
        assert_eq!(node.judge(LIMIT, at(27)), None, "once");
        node.heard = Some(at(5));
        assert_eq!(node.unresponsive_for(at(366)), Some(at(361)));
        assert_eq!(node.heard(at(370)), Some(Turn::Responsive(at(365))));
        assert_eq!((node.unresponsive_for(at(371)), node.judge(LIMIT, at(371))), (None, None));
        assert_eq!(node.responsive_for(at(375)), Some(at(5)));
    }

    #[test]
    fn a_node_that_was_never_there_is_unresponsive_from_the_limit_on() {
        let mut node = Liveness::new(at(100));
        assert_eq!(node.judge(LIMIT, at(119)), None);
        assert_eq!(node.judge(LIMIT, at(120)), Some(Turn::Unresponsive(LIMIT)));
        assert_eq!(node.unresponsive_for(at(130)), Some(at(30)));
        assert_eq!(node.heard(at(131)), Some(Turn::Responsive(at(31))));
    }

    #[test]
    fn silence_does_not_count_while_this_process_did_not_run() {
        let mut node = Liveness::new(at(0));
        node.heard(at(10));
        node.resumed(at(300));
        assert_eq!(node.judge(LIMIT, at(301)), None);
        assert_eq!(node.responsive_for(at(301)), Some(at(1)));
        assert_eq!(node.judge(LIMIT, at(320)), Some(Turn::Unresponsive(at(310))));
    }

    #[test]
    fn a_process_that_was_paused_is_told_from_a_busy_one() {
        for (since_last, paused) in [(1, None), (9, None), (10, Some(at(10))), (99, Some(at(99)))] {
            assert_eq!(pause(at(since_last), LIMIT), paused);
        }
    }

    #[test]
    fn a_connection_is_dead_when_noops_are_due_and_its_nodes_answer_elsewhere() {
        let always = at(1000);
        // Silence of producer and consumer, the interval of NOOPs, how long both nodes answer; and
        // the side that is found.
        let table = [
            (0, 0, Some(1), always, None),
            (19, 19, Some(1), always, None),
            (20, 20, Some(1), always, Some((Side::Producer, 20))),
            (25, 26, Some(1), always, Some((Side::Consumer, 26))),
            (0, 20, Some(1), always, Some((Side::Consumer, 20))),
            (20, 0, Some(1), always, Some((Side::Producer, 20))),
            // No NOOP was asked for: an idle link is silent.
            (900, 900, None, always, None),
            // NOOPs are rare.
            (700, 700, Some(180), always, None),
            (720, 700, Some(180), always, Some((Side::Producer, 720))),
            // The node was unresponsive until now: its connection gets its time.
            (60, 60, Some(1), at(0), None),
            (60, 60, Some(1), at(20), Some((Side::Producer, 60))),
        ];
        for (producer, consumer, noop, responsive_for, want) in table {
            let noop_interval = noop.map(at);
            let (producer, consumer) = (Some(at(producer)), Some(at(consumer)));
            let quiet = Quiet { producer, consumer, noop_interval };
            let found = quiet.dead_side(LIMIT, responsive_for);
            let want = want.map(|(side, seconds)| (side, at(seconds)));
            assert_eq!(found, want, "{quiet:?} {responsive_for:?}");
            let waits = Quiet { producer: None, ..quiet };
            assert_eq!(waits.dead_side(LIMIT, responsive_for), None, "a pump that waits");
        }
    }
}
