//! How far lines were taken: the steps that lines do to the tracks of their vBuckets, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use follow::Track;
use mcbp::{Seqno, VbId};

/// A track with its failover log, in changes without their frames.
pub(super) const TRACK_WEIGHT: usize = 8;
/// Marks that are taken together are made fewer from so many on, and twice the weight of all
/// tracks.
const TOGETHER_MAX: usize = 4096;

/// What a line, once taken, does to the track of its vBucket.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Nothing,
    Marker(VbId, Seqno, Seqno),
    Advance(VbId, Seqno),
    Tracked(VbId, Box<Track>),
}

impl Step {
    const fn vb(&self) -> Option<VbId> {
        match self {
            Self::Nothing => None,
            Self::Marker(vb, ..) | Self::Advance(vb, _) | Self::Tracked(vb, _) => Some(*vb),
        }
    }

    pub(super) const fn weight(&self) -> usize {
        match self {
            Self::Tracked(..) => TRACK_WEIGHT,
            _ => 1,
        }
    }

    fn take(self, tracks: &mut BTreeMap<VbId, Track>) {
        match self {
            Self::Nothing => {}
            Self::Marker(vb, start, end) => {
                if let Some(track) = tracks.get_mut(&vb) {
                    track.marker(start, end);
                }
            }
            Self::Advance(vb, seqno) => {
                if let Some(track) = tracks.get_mut(&vb) {
                    track.advance(seqno);
                }
            }
            Self::Tracked(vb, track) => _ = tracks.insert(vb, *track),
        }
    }
}

/// A step that counts once everything before it was taken.
#[derive(Debug)]
pub(super) struct Mark {
    /// The lines that were written up to here, itself included.
    pub(super) lines: u64,
    /// The bytes of them.
    pub(super) bytes: u64,
    pub(super) step: Step,
    /// For flow control.
    pub(super) charge: usize,
}

/// Where lines stand.
#[derive(Debug)]
pub(super) struct Taken {
    tracks: BTreeMap<VbId, Track>,
    marks: VecDeque<Mark>,
    /// The lines that were taken.
    pub(super) lines: u64,
    /// The lines that were written, or are being written.
    pub(super) written: u64,
    /// Whether a track has changed since [`Taken::tracks`].
    is_dirty: bool,
}

impl Taken {
    pub(super) const fn new(tracks: BTreeMap<VbId, Track>) -> Self {
        Self { tracks, marks: VecDeque::new(), lines: 0, written: 0, is_dirty: false }
    }

    /// Adds marks, in order. Returns by how much all are lighter.
    pub(super) fn expect(&mut self, marks: &mut Vec<Mark>) -> usize {
        self.written = marks.last().map_or(self.written, |mark| mark.lines);
        self.marks.extend(marks.drain(..));
        self.join()
    }

    /// Has one mark for each vBucket in place of those after the last line, once they are many: a
    /// node can go on for ever with what has no line, while a command does not acknowledge that
    /// one. Returns by how much all are lighter.
    fn join(&mut self) -> usize {
        let Some((lines, bytes)) = self.marks.back().map(|mark| (mark.lines, mark.bytes)) else {
            return 0;
        };
        let first = self.marks.partition_point(|mark| mark.lines < lines);
        if self.marks.len() - first < TOGETHER_MAX + 2 * TRACK_WEIGHT * self.tracks.len() {
            return 0;
        }
        let mut tracks = self.tracks.clone();
        self.marks.iter().for_each(|mark| mark.step.clone().take(&mut tracks));
        let (mut charge, mut weight, mut vbs) = (0, 0, BTreeSet::new());
        for mark in self.marks.drain(first..) {
            charge += mark.charge;
            weight += mark.step.weight();
            vbs.extend(mark.step.vb());
        }
        self.marks.push_back(Mark { lines, bytes, step: Step::Nothing, charge });
        for (vb, track) in tracks.into_iter().filter(|(vb, _)| vbs.contains(vb)) {
            let step = Step::Tracked(vb, Box::new(track));
            self.marks.push_back(Mark { lines, bytes, step, charge: 0 });
        }
        weight - 1 - TRACK_WEIGHT * vbs.len()
    }

    /// Returns the charge and the weight of what was taken.
    pub(super) fn release(&mut self, is_taken: impl Fn(&Mark) -> bool) -> (usize, usize) {
        let (mut charge, mut weight) = (0, 0);
        while self.marks.front().is_some_and(&is_taken) {
            let Some(mark) = self.marks.pop_front() else { break };
            charge += mark.charge;
            weight += mark.step.weight();
            self.lines = mark.lines;
            self.is_dirty = true;
            mark.step.take(&mut self.tracks);
        }
        (charge, weight)
    }

    /// The tracks, if they have changed since the last time.
    pub(super) fn changed(&mut self) -> Option<BTreeMap<VbId, Track>> {
        std::mem::take(&mut self.is_dirty).then(|| self.tracks.clone())
    }

    /// Has the next [`Taken::changed`] return the tracks.
    pub(super) const fn touch(&mut self) {
        self.is_dirty = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VBS: u16 = 4;
    const ADVANCES: u64 = 50_000;

    fn tracks() -> BTreeMap<VbId, Track> {
        (0..VBS).map(|vb| (VbId(vb), Track::start())).collect()
    }

    #[test]
    fn what_has_no_line_is_joined_while_a_line_is_not_acknowledged() {
        let (mut taken, mut expected) = (Taken::new(tracks()), tracks());
        let (mut weight, mut most) = (0, 0);
        let mut expect = |taken: &mut Taken, lines, step: Step, charge| {
            weight += step.weight();
            step.clone().take(&mut expected);
            weight -= taken.expect(&mut vec![Mark { lines, bytes: lines * 100, step, charge }]);
            most = most.max(taken.marks.len());
        };
        expect(&mut taken, 1, Step::Advance(VbId(0), Seqno(1)), 7);
        expect(&mut taken, 2, Step::Advance(VbId(0), Seqno(2)), 30);
        // Nothing comes for vBucket 3; every second snapshot of the others is of two advances.
        for seqno in 3..ADVANCES {
            let vb = VbId((seqno % 3) as u16);
            if seqno % 2 == 0 {
                expect(&mut taken, 2, Step::Marker(vb, Seqno(seqno), Seqno(seqno + 3)), 0);
            }
            expect(&mut taken, 2, Step::Advance(vb, Seqno(seqno)), 0);
        }
        assert!(most <= 2 + TOGETHER_MAX + 2 * TRACK_WEIGHT * usize::from(VBS), "{most} wait");
        assert_eq!(taken.release(|mark| mark.lines <= 1), (7, 1));
        assert_eq!(taken.changed().unwrap()[&VbId(0)].seqno(), Seqno(1));
        assert_eq!(taken.release(|mark| mark.lines <= 2), (30, weight - 1));
        assert_eq!((taken.lines, taken.marks.len()), (2, 0));
        assert_eq!(taken.changed(), Some(expected));
    }
}
