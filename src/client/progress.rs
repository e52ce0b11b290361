//! How far a takeover or a move of a set has come, and how long the rest will take. Pure: readings
//! and times in, words out.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use mcbp::VbId;
use replica::plan::VbSet;

use super::plain::plain;
use super::show::ms;
use super::views::Move;

/// How many readings the rate rests on.
const READINGS_MAX: usize = 60;

/// The progress of one command.
pub(super) struct Progress {
    vbs: VbSet,
    /// Those that the sidecar has still to move, once it has listed any.
    left: Option<BTreeSet<VbId>>,
    /// When so many were done.
    readings: VecDeque<(Duration, usize)>,
    /// What runs now.
    running: String,
}

impl Progress {
    pub(super) fn new(vbs: VbSet) -> Self {
        Self { vbs, left: None, readings: VecDeque::new(), running: String::new() }
    }

    /// Takes the moves that run and wait at a time. Returns whether one of this command does.
    pub(super) fn read(&mut self, at: Duration, moves: &[Move]) -> bool {
        let ours = |it: &&Move| id(it).is_some_and(|vb| self.vbs.as_set().contains(&vb));
        let listed: Vec<_> = moves.iter().filter(ours).collect();
        let left: BTreeSet<_> = listed.iter().filter_map(|it| id(it)).collect();
        let is_moving = !left.is_empty();
        // Before the sidecar has listed any, none is done.
        if !is_moving && self.left.is_none() {
            return false;
        }
        let running = listed.iter().find(|it| it.phase != "queued");
        self.running = running.map(|it| words(it)).unwrap_or_default();
        self.left = Some(left);
        if self.readings.len() == READINGS_MAX {
            self.readings.pop_front();
        }
        self.readings.push_back((at, self.done()));
        is_moving
    }

    pub(super) fn total(&self) -> usize {
        self.vbs.len()
    }

    /// How many vBuckets have their result.
    pub(super) fn done(&self) -> usize {
        self.left.as_ref().map_or(0, |left| self.total() - left.len())
    }

    /// vBuckets in a second, over the last readings; `None` while none is done in them.
    fn rate(&self) -> Option<f64> {
        let (&(begin, first), &(end, last)) = (self.readings.front()?, self.readings.back()?);
        let (time, done) = (end.checked_sub(begin)?.as_secs_f64(), last.checked_sub(first)?);
        let done = f64::from(u32::try_from(done).ok()?);
        (time > 0.0 && done > 0.0).then(|| done / time)
    }

    /// The phase, the rate and an estimate of the time left, as far as they are known.
    pub(super) fn words(&self) -> String {
        let Some(left) = &self.left else { return "waiting for its turn".to_owned() };
        let mut words = Vec::new();
        words.extend((!self.running.is_empty()).then(|| self.running.clone()));
        if let Some(rate) = self.rate() {
            words.push(if rate < 1.0 {
                format!("{:.1} per minute", rate * 60.0)
            } else {
                format!("{rate:.1} per second")
            });
            let left = f64::from(u32::try_from(left.len()).unwrap_or(u32::MAX));
            let time = Duration::try_from_secs_f64((left / rate).ceil()).unwrap_or(Duration::MAX);
            let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            words.push(format!("about {} left", ms(time)));
        }
        words.join(", ")
    }

    /// The whole as a line.
    pub(super) fn line(&self) -> String {
        format!("{} of {} vBuckets done, {}", self.done(), self.total(), self.words())
    }
}

fn id(moving: &Move) -> Option<VbId> {
    u16::try_from(moving.vbucket).ok().map(VbId)
}

fn words(moving: &Move) -> String {
    let Move { vbucket, phase, estimate, .. } = moving;
    let phase = plain(phase);
    match estimate {
        Some(changes) => format!("vb:{vbucket} {phase} with {changes} changes to go"),
        None => format!("vb:{vbucket} {phase}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(from: u64, to: u64) -> Vec<Move> {
        let phase = |vb| if vb == from { "copying" } else { "queued" };
        let moving = |vbucket| Move {
            vbucket,
            from: "alpha".to_owned(),
            phase: phase(vbucket).to_owned(),
            estimate: (vbucket == from).then_some(1200),
            since_ms: 0,
        };
        (from..to).map(moving).collect()
    }

    #[test]
    fn done_is_what_was_listed_and_is_no_more() {
        let mut progress = Progress::new("0-99".parse().unwrap());
        let at = Duration::from_secs;
        assert!(!progress.read(at(0), &[]));
        assert_eq!(progress.line(), "0 of 100 vBuckets done, waiting for its turn");
        assert!(!progress.read(at(1), &moves(200, 300)), "of somebody else");
        assert_eq!(progress.done(), 0);
        assert!(progress.read(at(2), &moves(0, 100)));
        let line = "0 of 100 vBuckets done, vb:0 copying with 1200 changes to go";
        assert_eq!(progress.line(), line);
        assert!(progress.read(at(4), &moves(10, 200)));
        let line = "10 of 100 vBuckets done, vb:10 copying with 1200 changes to go, \
                    5.0 per second, about 18.0 s left";
        assert_eq!(progress.line(), line);
        assert!(!progress.read(at(22), &[]));
        assert_eq!(progress.line(), "100 of 100 vBuckets done, 5.0 per second, about 0 ms left");
    }

    #[test]
    fn the_rate_is_that_of_the_last_readings() {
        let mut progress = Progress::new("0-1023".parse().unwrap());
        for second in 0..1000 {
            // Fast at first, then one in ten seconds.
            let from = if second < 500 { second } else { 500 + (second - 500) / 10 };
            progress.read(Duration::from_secs(second), &moves(from, 1024));
        }
        assert_eq!(progress.readings.len(), READINGS_MAX);
        let line = progress.line();
        assert!(
            line.contains(", 5.1 per minute, ") || line.contains(", 6.1 per minute, "),
            "{line}"
        );
        assert!(line.ends_with(" min 0 s left") || line.contains(" h "), "{line}");
    }
}
