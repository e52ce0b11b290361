//! The bound of a pass: fewer hashes, and none left out or looked at twice.

use mcbp::Datatype;

use super::*;
use crate::{Class, Kind};

const NAMES: [&str; 2] = ["alpha", "beta"];

fn change(seqno: u64, key: &[u8]) -> Change<'_> {
    let kind = Kind::Document { flags: 0, expiry: 0 };
    let (rev, cas, datatype) = (1, seqno, Datatype::RAW);
    Change { seqno: Seqno(seqno), collection: 0, key, rev, cas, datatype, kind, value: b"" }
}

#[test]
fn passes_by_range_of_hashes_find_every_key_once_within_their_bound() {
    let keys: Vec<_> = (1..=400_u64).map(|n| format!("key-{n}").into_bytes()).collect();
    let bytes_max = 20 * CANDIDATE_BYTES;
    let (mut first, mut passes, mut candidates, mut rows) = (0, 0, Vec::new(), 0);
    loop {
        let aim = Aim::Search { first, last: u64::MAX };
        let mut pass = Pass::new(aim, NAMES.map(str::to_owned), bytes_max);
        pass.facts().a.end = Seqno(400);
        pass.facts().b.end = Seqno(400);
        for (seqno, key) in (1..).zip(&keys) {
            let change = change(seqno, key);
            // B lacks every fourth key.
            let theirs = (seqno % 4 != 0).then_some(&change);
            pass.step(Some(&change), theirs);
            assert!(pass.open_bytes <= bytes_max, "{} bytes", pass.open_bytes);
        }
        let passed = pass.finish();
        candidates.extend(passed.candidates);
        (passes, rows) = (passes + 1, rows + passed.counts.rows);
        let Aim::Search { last, .. } = passed.aim else { panic!("a search") };
        let Some(next) = last.checked_add(1) else { break };
        first = next;
    }
    assert!((4..=16).contains(&passes), "{passes} passes");
    let mut all: Vec<_> = (4..=400)
        .step_by(4)
        .map(|seqno| hash(&change(seqno, &keys[usize::try_from(seqno).unwrap() - 1])))
        .collect();
    all.sort_unstable();
    assert_eq!((candidates, rows), (all, 400), "in order, none twice");
}

#[test]
fn a_snapshot_that_ended_before_its_marker_excuses_what_comes_after() {
    let facts = |pass: &mut Pass, a, b| {
        pass.facts().a.end = Seqno(a);
        pass.facts().b.end = Seqno(b);
    };
    for (end, differs) in [(9, 1), (6, 0)] {
        let aim = Aim::Search { first: 0, last: u64::MAX };
        let mut pass = Pass::new(aim, NAMES.map(str::to_owned), 1 << 20);
        facts(&mut pass, 9, 9);
        pass.step(Some(&change(7, b"k")), Some(&change(3, b"k")));
        pass.step(Some(&change(7, b"k")), None);
        facts(&mut pass, 9, end);
        assert_eq!(pass.finish().candidates.len(), differs, "B ends at {end}");
    }
}

#[test]
fn seqnos_that_do_not_ascend_are_noticed() {
    let aim = Aim::Search { first: 0, last: u64::MAX };
    let mut pass = Pass::new(aim, NAMES.map(str::to_owned), 1 << 20);
    pass.step(Some(&change(2, b"k")), Some(&change(2, b"k")));
    pass.step(None, Some(&change(2, b"l")));
    assert_eq!(pass.finish().disorder, Some(Side::B));
}

#[test]
fn a_pass_that_confirms_names_what_differs_and_nothing_else() {
    let (one, two) = (change(1, b"one"), change(2, b"two"));
    let candidates = [hash(&one)].into_iter().collect();
    let mut pass = Pass::new(Aim::Confirm(candidates), NAMES.map(str::to_owned), 1 << 20);
    pass.step(Some(&one), Some(&Change { value: b"x", ..one }));
    pass.step(Some(&two), Some(&Change { value: b"x", ..two }));
    let found = pass.finish().found;
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].key.key, &found[0].fields[..]), (&b"one"[..], &[Class::Value][..]));
}
