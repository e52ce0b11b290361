//! The comparison of two simulated nodes that are written to, purge deletions and lag, whose
//! snapshots are opened at any moment: no false difference, and no seeded one missed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use comparison::{Class, Difference, Kind, Pin, Side, Vbucket, Verdict};
use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbId, VbUuid};
use proptest::prelude::*;
use support::{Event, Node, Row, World, event};

/// The world and what still happens in it.
struct Story {
    world: World,
    events: Vec<Event>,
    /// How many events happen at each moment of the comparison, over and over.
    moments: Vec<usize>,
    moment: usize,
}

impl Story {
    fn go_on(&mut self) {
        let count = self.moments[self.moment % self.moments.len()].min(self.events.len());
        self.moment += 1;
        for event in self.events.split_off(self.events.len() - count) {
            self.world.happen(event);
        }
    }
}

/// Does what the shell does. Returns the differences, and whether any key was in doubt.
fn compare(story: &mut Story, bytes_max: usize) -> (Vec<Difference>, bool) {
    let mut vbucket = Vbucket::new(VbId(7), "alpha", "beta", bytes_max);
    let (mut found, mut passes, mut doubted) = (Vec::new(), 0, false);
    loop {
        let pin = story.world.a.high.max(story.world.b.high);
        story.go_on();
        story.world.reach(pin);
        story.go_on();
        passes += 1;
        assert!(passes < 500, "no end");
        let log = vec![FailoverEntry { uuid: VbUuid(1), seqno: Seqno(0) }];
        vbucket.begin(log.clone(), log);
        let b = story.world.b.clone();
        story.go_on();
        let a = story.world.a.clone();
        vbucket.ends(Side::A, Seqno(a.high));
        vbucket.ends(Side::B, Seqno(b.high));
        read(&mut vbucket, &a, &b, &mut found);
        story.go_on();
        if vbucket.asks_for_purge() {
            vbucket.purge(Side::A, Seqno(story.world.a.purge));
            vbucket.purge(Side::B, Seqno(story.world.b.purge));
        }
        let pin = Pin { seqno: Seqno(pin), late: false };
        match vbucket.finish(pin, &mut found) {
            Verdict::Done => return (found, doubted),
            Verdict::Later { rest: 0 } => doubted = true,
            Verdict::Again | Verdict::Later { .. } => {}
        }
    }
}

fn read(vbucket: &mut Vbucket, a: &Node, b: &Node, found: &mut Vec<Difference>) {
    let (a, b) = (a.stream(), b.stream());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while a.peek().is_some() || b.peek().is_some() {
        let (ours, theirs) = (a.peek().map(|row| row.change()), b.peek().map(|row| row.change()));
        let advance = vbucket.step(ours.as_ref(), theirs.as_ref());
        assert!(advance.a || advance.b);
        if advance.a {
            a.next();
        }
        if advance.b {
            b.next();
        }
        vbucket.take_found(found);
    }
}

/// Differences that were made on B, in keys that nothing else writes to.
fn seed(world: &mut World) -> Vec<(&'static str, Class)> {
    let document = Kind::Document { flags: 1, expiry: 0 };
    // What was replaced leaves its seqno to an older or an extra change.
    for key in ["flipped", "missing", "stale", "spare", "spare", "undeleted"] {
        world.write(key.into(), document);
    }
    world.write("stale".into(), document);
    world.write("undeleted".into(), Kind::Deleted { at: Some(5) });
    world.write("flags".into(), document);
    world.write("rev".into(), document);
    world.catch_up();
    let b = &mut world.b;
    b.rows.get_mut(&b"flipped"[..]).unwrap().value[0] ^= 1;
    b.rows.remove(&b"missing"[..]).unwrap();
    let row = |key: &str, seqno| Row {
        seqno,
        key: key.into(),
        rev: 1,
        kind: document,
        value: b"old".to_vec(),
    };
    let first = b.rows[&b"flipped"[..]].seqno;
    b.rows.insert(b"stale".into(), row("stale", first + 2));
    b.rows.insert(b"extra".into(), row("extra", first + 3));
    b.rows.insert(b"undeleted".into(), row("undeleted", first + 5));
    b.rows.get_mut(&b"flags"[..]).unwrap().kind = Kind::Document { flags: 3, expiry: 0 };
    b.rows.get_mut(&b"rev"[..]).unwrap().rev = 7;
    vec![
        ("extra", Class::Extra),
        ("flags", Class::Flags),
        ("flipped", Class::Value),
        ("missing", Class::Missing),
        ("rev", Class::Revision),
        ("stale", Class::Older),
        ("undeleted", Class::Older),
    ]
}

fn classed(found: &[Difference]) -> Vec<(String, Class)> {
    let key = |difference: &Difference| {
        let key = difference.key.as_ref().map(|key| key.key.escape_ascii().to_string());
        (key.unwrap_or_else(|| difference.what.clone()), difference.class)
    };
    let mut all: Vec<_> = found.iter().map(key).collect();
    all.sort();
    all
}

proptest! {
    // As many cases as PROPTEST_CASES says, and some hundred without it.
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn changes_during_the_comparison_are_no_differences_and_seeded_ones_are_found(
        before in prop::collection::vec(event(), 0..60),
        events in prop::collection::vec(event(), 0..300),
        moments in prop::collection::vec(0..25_usize, 1..12),
        bytes_max in prop_oneof![Just(700_usize), Just(3000), Just(1 << 20)],
        is_seeded in any::<bool>(),
    ) {
        let mut world = World::default();
        before.into_iter().for_each(|event| world.happen(event));
        let seeded = if is_seeded { seed(&mut world) } else { Vec::new() };
        // A purge would remove a seeded deletion's trace, and with it the difference.
        let keep = |event: &Event| {
            !is_seeded || !matches!(event, Event::CompactA(_) | Event::CompactB(_))
        };
        let events = events.into_iter().filter(keep).collect();
        let mut story = Story { world, events, moments, moment: 0 };
        let (found, doubted) = compare(&mut story, bytes_max);
        // The second look is for what this world does not have.
        prop_assert_eq!(doubted, is_seeded);
        let want: Vec<_> =
            seeded.into_iter().map(|(key, class)| (key.to_owned(), class)).collect();
        // Purges that are always ahead are told as such.
        let unsettled = found.iter().any(|difference| difference.class == Class::Unsettled);
        prop_assert!(!unsettled || !is_seeded);
        if !unsettled {
            prop_assert_eq!(classed(&found), want);
        }
    }
}
