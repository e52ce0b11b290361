//! What batches and runs leave on the board; boards for other tests.

use super::*;
use crate::verification::batch::SAMPLES_MAX;
use crate::verification::in_words;
use crate::verification::record::Failure;
use crate::verify::{Class, Difference};
use std::time::Duration;
use std::time::UNIX_EPOCH;

fn alpha() -> Target {
    Target { bucket: "default".to_owned(), producer: "alpha".to_owned() }
}

fn vbs(list: &[u16]) -> BTreeSet<VbId> {
    list.iter().copied().map(VbId).collect()
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn batch(all: &[u16], confirms: bool, found: &[(u16, Class)]) -> Batch {
    let mut batch = Batch { bytes: 100, ..Batch::new(vbs(all), confirms) };
    all.iter().for_each(|&vb| batch.note_done(VbId(vb), 1));
    for &(vb, class) in found {
        let what = format!("{class} in {vb}");
        batch.note(&Difference::of_vbucket(VbId(vb), class, what));
    }
    batch
}

/// vBuckets 0 to 9, of which these differ, also when they are compared again.
fn board(found: &[(u16, Class)]) -> Board {
    let mut board = Board::default();
    let all: Vec<_> = (0..10).collect();
    board.follow(&[(alpha(), vbs(&all))].into(), &[alpha()]);
    board.begun(&alpha(), at(100));
    board.compared(&alpha(), batch(&all, false, found));
    let again: Vec<_> = found.iter().map(|(vb, _)| *vb).collect();
    board.compared(&alpha(), batch(&again, true, found));
    board
}

fn set(vbs: impl Iterator<Item = VbId>) -> String {
    vbs.collect::<VbSet>().to_string()
}

#[test]
fn a_run_tells_what_differs_and_what_could_not_be_compared() {
    let found = [(3, Class::Missing), (3, Class::Missing), (3, Class::Value), (5, Class::Behind)];
    let mut board = board(&found);
    let skipped: VbSet = "9".parse().unwrap();
    let run = board.over(&alpha(), skipped, at(160)).unwrap();
    assert_eq!((run.vbuckets, run.rows, run.took.as_secs()), (10, 14, 60));
    assert_eq!((run.differing.to_string(), run.unclear.to_string()), ("3".into(), "5".into()));
    assert_eq!(in_words(&run.by_class), "2 missing, 1 behind, 1 value");
    let record = &board.targets[&alpha()];
    assert_eq!(record.counts.runs, [0, 1, 0]);
    assert_eq!((record.counts.vbuckets, record.counts.bytes), (10, 200));
    let samples: Vec<_> = record.samples().map(|(vb, what)| (vb.0, what)).collect();
    assert_eq!(samples[0], (3, "missing in 3"));
    assert_eq!(samples.len(), 4, "each once");
}

#[test]
fn what_differs_once_only_is_not_reported() {
    let mut board = board(&[]);
    board.compared(&alpha(), batch(&[3], false, &[(3, Class::Value)]));
    assert_eq!(set(board.targets[&alpha()].differing()), "", "not yet");
    board.compared(&alpha(), batch(&[3], true, &[]));
    let run = board.over(&alpha(), VbSet::default(), at(160)).unwrap();
    assert_eq!((run.by_class.len(), board.targets[&alpha()].counts.runs), (0, [1, 0, 0]));
}

#[test]
fn what_is_not_replicated_any_more_or_identical_again_is_forgotten() {
    let mut board = board(&[(3, Class::Missing), (4, Class::Value)]);
    let wrong = board.wrong("default", &"0-3".parse().unwrap());
    assert_eq!(wrong, [(alpha(), vbs(&[3]))]);
    assert_eq!(board.wrong("other", &"0-3".parse().unwrap()), []);
    board.compared(&alpha(), batch(&[3], false, &[]));
    assert_eq!(set(board.targets[&alpha()].differing()), "4", "3 is identical");
    board.over(&alpha(), VbSet::default(), at(150));
    board.begun(&alpha(), at(160));
    board.compared(&alpha(), batch(&[4], false, &[]));
    let run = board.over(&alpha(), VbSet::default(), at(170)).unwrap();
    assert_eq!(run.agree.to_string(), "4", "it differed before this run");
    board.compared(&alpha(), batch(&[4], true, &[(4, Class::Value)]));
    board.follow(&[(alpha(), vbs(&[0, 1]))].into(), &[alpha()]);
    let record = &board.targets[&alpha()];
    assert_eq!((set(record.differing()), record.compared()), (String::new(), 2));
    assert_eq!(record.samples().count(), 0);
    board.follow(&BTreeMap::new(), &[]);
    assert!(board.targets.is_empty());
}

#[test]
fn a_failure_is_kept_until_a_run_comes_to_its_end() {
    let mut board = board(&[]);
    board.failed(&alpha(), "refused".to_owned(), at(150));
    let record = &board.targets[&alpha()];
    assert_eq!((record.counts.runs, record.current.clone()), ([0, 0, 1], None));
    assert_eq!(record.failure, Some(Failure { at: at(150), why: "refused".to_owned() }));
    board.begun(&alpha(), at(200));
    assert!(board.over(&alpha(), VbSet::default(), at(210)).is_some());
    assert_eq!(board.targets[&alpha()].failure, None);
}

#[test]
fn samples_are_bounded() {
    let found: Vec<_> = (0..10).flat_map(|vb| [(vb, Class::Cas); 9]).collect();
    let board = board(&found);
    assert_eq!(board.targets[&alpha()].samples().count(), SAMPLES_MAX);
    assert_eq!(board.targets[&alpha()].by_class(), [(Class::Cas, 90)].into());
}

impl Board {
    /// A run over these vBuckets of bucket `default` from `alpha`, which found this.
    pub(crate) fn after(vbs: std::ops::Range<u16>, found: &[(u16, Class)]) -> Self {
        let target = Target { bucket: "default".to_owned(), producer: "alpha".to_owned() };
        let (mut board, vbs) = (Self::default(), vbs.map(VbId).collect::<BTreeSet<_>>());
        board.follow(&[(target.clone(), vbs.clone())].into(), &[]);
        board.begun(&target, SystemTime::UNIX_EPOCH);
        let mut batch = Batch::new(vbs.clone(), true);
        vbs.iter().for_each(|&vb| batch.note_done(vb, 1));
        for &(vb, class) in found {
            batch.note(&Difference::of_vbucket(VbId(vb), class, format!("{class} in {vb}")));
        }
        board.compared(&target, batch);
        board.over(&target, VbSet::default(), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
        board
    }

    /// The same once a run of its only target has failed.
    pub(crate) fn failed_then(mut self, why: &str) -> Self {
        let target = self.targets.keys().next().cloned().unwrap();
        self.failed(&target, why.to_owned(), SystemTime::UNIX_EPOCH + Duration::from_secs(90));
        self
    }
}
