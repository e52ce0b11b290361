//! The text form of sets of vBuckets, and desired maps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};

use mcbp::VbId;
use proptest::prelude::*;
use replica::plan::{Connections, Desired, LinkKey, PlanError, VBUCKETS_MAX, VbSet};

fn set(text: &str) -> VbSet {
    text.parse().unwrap()
}

fn desired(map: &[(&str, &str)]) -> Desired {
    let producers = map.iter().map(|(name, vbs)| ((*name).to_owned(), set(vbs)));
    Desired::new(producers.collect()).unwrap()
}

fn link(producer: &str, connection: u8) -> LinkKey {
    LinkKey { producer: producer.to_owned(), connection }
}

fn vbs(list: &[u16]) -> BTreeSet<VbId> {
    list.iter().copied().map(VbId).collect()
}

#[test]
fn sets_are_read_and_written_as_ranges() {
    for (text, shown, count) in [
        ("0-511,600", "0-511,600", 513),
        ("5", "5", 1),
        (" 3 , 1 - 2 ", "1-3", 3),
        ("7-7", "7", 1),
        ("0-1023", "0-1023", 1024),
    ] {
        let set = set(text);
        assert_eq!((set.to_string().as_str(), set.len()), (shown, count));
    }
}

#[test]
fn wrong_sets_say_what_is_wrong() {
    for (text, error) in [
        ("", "an empty part: give vbuckets like 0-511,600"),
        ("1,,2", "an empty part: give vbuckets like 0-511,600"),
        ("1,", "an empty part: give vbuckets like 0-511,600"),
        ("x", r#""x" is not a vbucket or a range: give vbuckets like 0-511,600"#),
        ("-5", r#""-5" is not a vbucket or a range: give vbuckets like 0-511,600"#),
        ("1-2-3", r#""1-2-3" is not a vbucket or a range: give vbuckets like 0-511,600"#),
        ("+1", r#""+1" is not a vbucket or a range: give vbuckets like 0-511,600"#),
        ("1024", "vbucket 1024 is out of range: give 0 to 1023"),
        ("0-70000", "vbucket 70000 is out of range: give 0 to 1023"),
        ("9-3", "range 9-3 is reversed: write 3-9"),
        ("1-5,3", "vbucket 3 is named twice"),
    ] {
        assert_eq!(text.parse::<VbSet>().unwrap_err().to_string(), error, "{text:?}");
    }
    assert!("99999999999999999999".parse::<VbSet>().is_err());
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same_set(
        vbs in proptest::collection::btree_set(0..VBUCKETS_MAX, 1..200),
    ) {
        let written: VbSet = vbs.into_iter().map(VbId).collect();
        prop_assert_eq!(set(&written.to_string()), written);
    }

    #[test]
    fn no_text_panics(text in "[0-9,\\- x]{0,20}") {
        drop(text.parse::<VbSet>());
    }
}

#[test]
fn a_vbucket_cannot_come_from_two_producers() {
    let map = [("alpha", "0-3"), ("gamma", "3-5")];
    let producers = map.map(|(name, vbs)| (name.to_owned(), set(vbs)));
    let error = Desired::new(BTreeMap::from(producers)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "vb:3 is wanted from both alpha and gamma: give it to one of them"
    );
}

#[test]
fn one_vbucket_changes_its_producer() {
    let mut map = desired(&[("alpha", "0-1"), ("gamma", "2")]);
    map.assign(VbId(1), Some("gamma"));
    map.assign(VbId(0), None);
    assert_eq!(map, desired(&[("gamma", "1-2")]));
}

#[test]
fn mb_63169_streams_are_split_over_connections_by_remainder() {
    let connections = Connections::new(2).unwrap();
    let links = desired(&[("alpha", "0-3"), ("gamma", "5")]).links(connections);
    let want = [
        (link("alpha", 0), vbs(&[0, 2])),
        (link("alpha", 1), vbs(&[1, 3])),
        (link("gamma", 1), vbs(&[5])),
    ];
    assert_eq!(links, BTreeMap::from(want));
    for wrong in [0, 65, u64::MAX] {
        assert_eq!(Connections::new(wrong), Err(PlanError::Connections(wrong)));
    }
    assert_eq!(Connections::new(64), Ok(Connections::MAX));
}
