//! Counting, and the bound of it.

use super::{KINDS_MAX, Tally};

fn total(tally: &Tally) -> u64 {
    tally.status().iter().map(|kind| kind.count).sum()
}

#[test]
fn the_same_is_counted_together() {
    let mut tally = Tally::default();
    for status in ["BackfillFail (5)", "Slow (4)", "BackfillFail (5)"] {
        tally.count("alpha", "stream-end", Some(status.to_owned()));
    }
    let counts: Vec<_> = tally.status().into_iter().map(|kind| (kind.status, kind.count)).collect();
    let kind = |status: &str, count| (Some(status.to_owned()), count);
    assert_eq!(counts, [kind("BackfillFail (5)", 2), kind("Slow (4)", 1)]);
}

#[test]
fn statuses_without_end_do_not_grow_it() {
    let mut tally = Tally::default();
    let failures = 10 * KINDS_MAX as u64;
    for status in 0..failures {
        tally.count("alpha", "stream-end", Some(status.to_string()));
    }
    assert_eq!((tally.0.len(), total(&tally)), (KINDS_MAX + 1, failures));
    tally.count("alpha", "stream-end", Some("0".to_owned()));
    let known = tally.status().into_iter().find(|kind| kind.status.as_deref() == Some("0"));
    assert_eq!(known.map(|kind| kind.count), Some(2), "what is known is still counted as such");
}
