//! How far one vBucket was followed.
//!
//! A node sends snapshots: ranges of seqnos in which an older change of a key may be missing
//! because a newer one is in it. What was received is *whole* at the end of a snapshot alone. So
//! after a rollback a track goes back to a whole point at or below the seqno of the node: further
//! back than the node asks for where needed, never to the middle of a snapshot that was received,
//! where changes are missing that nobody would send again.

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbUuid};

/// Whole points that are kept; between the first and the last they become sparser with their age.
const POINTS_MAX: usize = 16;
/// As many entries of a failover log as data nodes keep.
const LOG_MAX: usize = 25;

/// Where a stream begins: what STREAM_REQ says of the past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The last seqno that was received.
    pub after: Seqno,
    /// The branch of history of that; 0 with seqno 0.
    pub uuid: VbUuid,
    /// The snapshot that contains it: twice `after` where all of it was received.
    pub snapshot: (Seqno, Seqno),
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Track {
    /// Where following began; changes up to here are not asked for.
    pub(crate) base: Seqno,
    /// The last seqno that was received.
    pub(crate) seqno: Seqno,
    /// The snapshot that contains it. The first seqno is a whole point.
    pub(crate) snapshot: (Seqno, Seqno),
    /// A snapshot that was announced, of which nothing was received yet.
    announced: Option<(Seqno, Seqno)>,
    /// The whole points after `base`, ascending.
    pub(crate) points: Vec<Seqno>,
    /// The branches of what was received, newest first.
    pub(crate) log: Vec<FailoverEntry>,
}

impl Track {
    /// Before the first change.
    #[must_use]
    pub const fn start() -> Self {
        Self::at_seqno(Seqno::ZERO)
    }

    /// After `seqno` of the branch `uuid`.
    #[must_use]
    pub fn at(seqno: Seqno, uuid: VbUuid) -> Self {
        let log = vec![FailoverEntry { uuid, seqno: Seqno::ZERO }];
        Self { log, ..Self::at_seqno(seqno) }
    }

    const fn at_seqno(seqno: Seqno) -> Self {
        let snapshot = (seqno, seqno);
        Self { base: seqno, seqno, snapshot, announced: None, points: Vec::new(), log: Vec::new() }
    }

    /// The last seqno that was received.
    #[must_use]
    pub const fn seqno(&self) -> Seqno {
        self.seqno
    }

    /// The snapshot that contains it.
    #[must_use]
    pub const fn snapshot(&self) -> (Seqno, Seqno) {
        self.snapshot
    }

    /// What to ask for next.
    #[must_use]
    pub fn place(&self) -> Place {
        let Self { seqno: after, snapshot, .. } = *self;
        if after == Seqno::ZERO {
            return Place { after, uuid: VbUuid(0), snapshot: (after, after) };
        }
        let uuid = self.log.get(self.branch()).map_or(VbUuid(0), |entry| entry.uuid);
        let snapshot = if self.is_whole() { (after, after) } else { snapshot };
        Place { after, uuid, snapshot }
    }

    /// Which entry of the log is the branch of the present snapshot. A branch holds what came after
    /// its seqno; at that seqno the older one is named, which more nodes know. Within a snapshot it
    /// is the branch of its end, so that a node that has this branch need not roll it back.
    fn branch(&self) -> usize {
        let is_within = |entry: &FailoverEntry| entry.seqno < self.snapshot.1;
        let oldest = self.log.len().saturating_sub(1);
        self.log.iter().position(is_within).unwrap_or(oldest)
    }

    /// A stream is open; this is the failover log of the node, newest entry first.
    pub fn opened(&mut self, log: &[FailoverEntry]) {
        self.log = log.iter().take(LOG_MAX).copied().collect();
    }

    /// A snapshot is announced.
    pub fn marker(&mut self, start: Seqno, end: Seqno) {
        self.announced = Some((start, end));
    }

    /// A change, or an advance without one, arrived. False if it is not after what was received
    /// before: a node that sends something again.
    pub fn advance(&mut self, seqno: Seqno) -> bool {
        if seqno <= self.seqno {
            return false;
        }
        if let Some((_, end)) = self.announced.take() {
            // What was left of an older snapshot is continued by this one, so that both are whole
            // at its end only.
            let first = if self.is_whole() { self.seqno } else { self.snapshot.0 };
            self.snapshot = (first, end);
        }
        self.snapshot.1 = self.snapshot.1.max(seqno);
        self.seqno = seqno;
        if self.is_whole() {
            self.keep_point();
        }
        true
    }

    /// Whether the present snapshot was received to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.seqno == self.snapshot.1
    }

    fn keep_point(&mut self) {
        self.points.push(self.seqno);
        if self.points.len() <= POINTS_MAX {
            return;
        }
        // The one that leaves the smallest gap, compared with its age, is dropped.
        let newest = self.seqno.0;
        let gap = |window: &[Seqno]| match window {
            [before, at, after] => {
                let (gap, age) = (after.0 - before.0, newest - at.0);
                Some(gap.saturating_mul(1024) / age.max(1))
            }
            _ => None,
        };
        let gaps = self.points.windows(3).map(gap).enumerate();
        if let Some((at, _)) = gaps.min_by_key(|&(_, gap)| gap) {
            self.points.remove(at + 1);
        }
    }

    /// The node has this history up to `to` alone. Returns the seqno that the track went back to,
    /// at or below `to`: what came after it is void.
    pub fn roll_back(&mut self, to: Seqno) -> Seqno {
        self.points.retain(|&point| point <= to);
        let point = self.points.last().copied().unwrap_or(self.base).min(to);
        self.base = self.base.min(point);
        self.seqno = point;
        self.snapshot = (point, point);
        self.announced = None;
        if self.log.iter().any(|entry| entry.seqno < point) {
            self.log.retain(|entry| entry.seqno < point);
        }
        point
    }

    /// The node does not know the branch, and would begin anew. It may know the branch before: goes
    /// back to where that ended, and returns the seqno. `None`, and nothing is changed, where there
    /// is no older branch with anything on it.
    pub fn step_back(&mut self) -> Option<Seqno> {
        let branch = self.branch();
        let end = self.log.get(branch)?.seqno;
        let older = self.log.get(branch + 1..).filter(|older| !older.is_empty())?.to_vec();
        let mut back = Self { log: older, ..self.clone() };
        if back.roll_back(end) == Seqno::ZERO {
            return None;
        }
        *self = back;
        Some(self.seqno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(u64, u64)]) -> Vec<FailoverEntry> {
        let entry = |&(uuid, seqno)| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
        entries.iter().map(entry).collect()
    }

    /// A track that received all of these snapshots, and of the last one up to `seqno`.
    fn track(branches: &[(u64, u64)], snapshots: &[(u64, u64)], seqno: u64) -> Track {
        let mut track = Track::start();
        track.opened(&log(branches));
        for &(start, end) in snapshots {
            track.marker(Seqno(start), Seqno(end));
            (start..=end.min(seqno)).for_each(|at| _ = track.advance(Seqno(at)));
        }
        track
    }

    fn place(track: &Track) -> (u64, u64, (u64, u64)) {
        let Place { after, uuid, snapshot } = track.place();
        (after.0, uuid.0, (snapshot.0.0, snapshot.1.0))
    }

    #[test]
    fn a_place_is_within_its_snapshot_and_on_its_branch() {
        let branches = [(7, 20), (5, 0)];
        let snapshots = [(1, 20), (21, 30)];
        assert_eq!(place(&Track::start()), (0, 0, (0, 0)));
        assert_eq!(place(&track(&branches, &snapshots, 4)), (4, 5, (0, 20)));
        assert_eq!(place(&track(&branches, &snapshots, 20)), (20, 5, (20, 20)), "the older branch");
        assert_eq!(place(&track(&branches, &snapshots, 21)), (21, 7, (20, 30)));
        assert_eq!(place(&track(&branches, &snapshots, 30)), (30, 7, (30, 30)));
        assert_eq!(place(&track(&branches, &[(1, 30)], 4)), (4, 7, (0, 30)), "of the end");
        assert_eq!(place(&Track::at(Seqno(9), VbUuid(3))), (9, 3, (9, 9)));
    }

    #[test]
    fn a_snapshot_that_goes_on_in_another_stream_begins_where_it_began() {
        let mut track = track(&[(5, 0)], &[(1, 10), (11, 20)], 15);
        track.marker(Seqno(15), Seqno(25));
        assert_eq!(place(&track), (15, 5, (10, 20)), "nothing came of the new one yet");
        assert!(track.advance(Seqno(16)));
        assert_eq!(place(&track), (16, 5, (10, 25)));
        assert!(!track.advance(Seqno(16)), "sent again");
    }

    #[test]
    fn a_rollback_goes_to_a_whole_point_and_never_further_than_the_node_has() {
        let of = |to| {
            let mut track = track(&[(7, 20), (5, 0)], &[(1, 10), (11, 20), (21, 30)], 25);
            assert_eq!(track.roll_back(Seqno(to)), track.seqno());
            place(&track)
        };
        assert_eq!(of(25), (20, 5, (20, 20)));
        assert_eq!(of(20), (20, 5, (20, 20)));
        assert_eq!(of(19), (10, 5, (10, 10)), "the middle of a snapshot is not whole");
        assert_eq!(of(9), (0, 0, (0, 0)));
        let mut from_now = Track::at(Seqno(100), VbUuid(3));
        assert_eq!(from_now.roll_back(Seqno(60)), Seqno(60), "nothing was shown before 100");
        assert_eq!(place(&from_now), (60, 3, (60, 60)));
    }

    #[test]
    fn the_branch_before_is_tried_where_a_node_does_not_know_the_newest() {
        let mut track = track(&[(7, 20), (5, 0)], &[(1, 20), (21, 30)], 25);
        assert_eq!(track.step_back(), Some(Seqno(20)));
        assert_eq!(place(&track), (20, 5, (20, 20)));
        assert_eq!(track.step_back(), None, "there is no older one");
        assert_eq!(place(&track), (20, 5, (20, 20)), "and nothing is changed");
    }

    #[test]
    fn points_are_bounded_and_sparser_the_older_they_are() {
        let mut track = Track::start();
        for seqno in 1..=100_000 {
            track.marker(Seqno(seqno), Seqno(seqno));
            assert!(track.advance(Seqno(seqno)));
        }
        let points: Vec<u64> = track.points.iter().map(|point| point.0).collect();
        assert_eq!((points.len(), points.first(), points.last()), (16, Some(&1), Some(&100_000)));
        let near = points.iter().filter(|&&point| point > 99_000).count();
        assert!(near >= 4, "{points:?}");
        assert!(points.windows(2).all(|pair| pair[0] < pair[1]), "{points:?}");
    }
}
