//! Detects a vBucket that makes no progress while its link does. Its stream is then closed and
//! added again.
//!
//! The caller passes in the seqnos that the nodes report. A producer backfills a few vBuckets at a
//! time, so a vBucket without progress since its stream opened may be queued for its backfill: it
//! gets a much longer limit.

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::{Seqno, VbId};

/// The limit doubles with each restart without progress, at most so often. A vBucket that has made
/// no progress yet, or whose lag does not grow, starts at the largest limit.
const DOUBLINGS_MAX: u32 = 4;

/// One open stream at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Position {
    /// The high seqno of the producer, where known.
    pub producer: Option<Seqno>,
    /// The high seqno of the consumer, where known.
    pub consumer: Option<Seqno>,
    /// Grows with the data of all streams of the link.
    pub link_data: u64,
}

/// A stalled vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stuck {
    /// The lag in seqnos.
    pub behind: u64,
    /// Time without progress.
    pub for_: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Row {
    at: Position,
    behind: u64,
    since: Duration,
    has_moved: bool,
    restarts: u32,
}

/// The open streams of one link.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Standstill {
    rows: BTreeMap<VbId, Row>,
    /// When this process ran again for the last time. What is checked afterwards may be older.
    resumed: Duration,
}

impl Standstill {
    /// Records the position of a vBucket. Returns its stall, if it has lagged for `limit` without
    /// progress while its lag grew and its link moved data. The time then restarts.
    pub fn check(
        &mut self,
        vb: VbId,
        at: Position,
        limit: Duration,
        now: Duration,
    ) -> Option<Stuck> {
        let (Some(producer), Some(consumer)) = (at.producer, at.consumer) else {
            self.rows.remove(&vb);
            return None;
        };
        let now = now.max(self.resumed);
        let behind = producer.0.saturating_sub(consumer.0);
        let fresh = Row { at, behind, since: now, has_moved: false, restarts: 0 };
        let row = self.rows.entry(vb).or_insert(fresh);
        if behind == 0 || row.at.consumer != at.consumer {
            *row = Row { has_moved: true, ..fresh };
            return None;
        }
        let grows = behind > row.behind;
        let doublings = if row.has_moved && grows { row.restarts } else { DOUBLINGS_MAX };
        let limit = limit.saturating_mul(1 << doublings.min(DOUBLINGS_MAX));
        let for_ = now.saturating_sub(row.since);
        let link_moves = at.link_data > row.at.link_data;
        if for_ < limit || !link_moves {
            return None;
        }
        let restarts = row.restarts.saturating_add(1);
        *row = Row { has_moved: row.has_moved, restarts, ..fresh };
        Some(Stuck { behind, for_ })
    }

    /// Starts to measure anew: this process did not run until `now`.
    pub fn resumed(&mut self, now: Duration) {
        self.resumed = now;
        self.rows.values_mut().for_each(|row| row.since = row.since.max(now));
    }

    /// Forgets all vBuckets: the link is lost with its streams.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// Forgets the vBuckets that are not `open`.
    pub fn retain(&mut self, open: impl Fn(VbId) -> bool) {
        self.rows.retain(|&vb, _| open(vb));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VB: VbId = VbId(7);
    const LIMIT: Duration = Duration::from_secs(20);

    fn look(
        rule: &mut Standstill,
        second: u64,
        producer: u64,
        consumer: u64,
        data: u64,
    ) -> Option<u64> {
        let at = Position {
            producer: Some(Seqno(producer)),
            consumer: Some(Seqno(consumer)),
            link_data: data,
        };
        rule.check(VB, at, LIMIT, Duration::from_secs(second)).map(|stuck| stuck.behind)
    }

    #[test]
    fn lag_that_grows_while_the_link_moves_is_found() {
        let mut rule = Standstill::default();
        assert_eq!(look(&mut rule, 0, 10, 10, 0), None);
        assert_eq!(look(&mut rule, 1, 11, 10, 1), None);
        assert_eq!(look(&mut rule, 19, 20, 10, 50), None);
        assert_eq!(look(&mut rule, 20, 21, 10, 60), Some(11));
        assert_eq!(
            look(&mut rule, 21, 22, 10, 70),
            None,
            "the time restarts, with twice the limit"
        );
        assert_eq!(look(&mut rule, 59, 60, 10, 80), None);
        assert_eq!(look(&mut rule, 60, 61, 10, 90), Some(51));
    }

    #[test]
    fn a_link_that_stands_still_proves_nothing_about_a_vbucket() {
        let mut rule = Standstill::default();
        look(&mut rule, 0, 10, 10, 5);
        assert_eq!(look(&mut rule, 1, 11, 10, 5), None);
        assert_eq!(look(&mut rule, 99, 99, 10, 5), None);
    }

    #[test]
    fn progress_is_no_stall_however_large_the_lag() {
        let mut rule = Standstill::default();
        for second in 0..100 {
            assert_eq!(look(&mut rule, second, 1_000_000 + 9 * second, second, second), None);
        }
    }

    #[test]
    fn a_vbucket_without_progress_yet_has_a_much_longer_limit() {
        let mut rule = Standstill::default();
        assert_eq!(look(&mut rule, 0, 1000, 0, 0), None);
        assert_eq!(look(&mut rule, 319, 2000, 0, 100), None);
        assert_eq!(look(&mut rule, 320, 2000, 0, 101), Some(2000));
    }

    #[test]
    fn a_constant_lag_has_a_much_longer_limit_too() {
        let mut rule = Standstill::default();
        look(&mut rule, 0, 10, 10, 0);
        assert_eq!(look(&mut rule, 1, 12, 11, 1), None, "one seqno that is never sent");
        assert_eq!(look(&mut rule, 300, 12, 11, 2), None);
        assert_eq!(look(&mut rule, 321, 12, 11, 3), Some(1));
    }

    #[test]
    fn time_in_which_this_process_did_not_run_does_not_count() {
        let mut rule = Standstill::default();
        look(&mut rule, 0, 10, 10, 0);
        look(&mut rule, 1, 11, 10, 1);
        rule.resumed(Duration::from_secs(300));
        assert_eq!(look(&mut rule, 300, 99, 10, 9), None);
        assert_eq!(look(&mut rule, 320, 100, 10, 10), Some(90));
    }

    /// The first position after a pause may be one that the nodes reported before it.
    #[test]
    fn a_position_from_before_a_pause_starts_no_time_before_its_end() {
        let mut rule = Standstill::default();
        look(&mut rule, 0, 10, 10, 0);
        rule.resumed(Duration::from_secs(300));
        assert_eq!(look(&mut rule, 1, 11, 11, 1), None);
        assert_eq!(look(&mut rule, 301, 99, 11, 9), None);
        assert_eq!(look(&mut rule, 320, 100, 11, 10), Some(89));
    }

    #[test]
    fn an_unknown_lag_proves_nothing() {
        let mut rule = Standstill::default();
        look(&mut rule, 0, 10, 10, 0);
        look(&mut rule, 1, 11, 10, 1);
        let unknown = Position { producer: None, consumer: Some(Seqno(10)), link_data: 2 };
        assert_eq!(rule.check(VB, unknown, LIMIT, Duration::from_secs(50)), None);
        assert_eq!(look(&mut rule, 51, 99, 10, 3), None, "the time restarts");
    }
}
