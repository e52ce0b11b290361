//! What holds after any history of changes, takeovers and new entries of the source.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use desired::{BucketMaps, Change, Diff, Dropped, Entry, Mark, Selection};
use mcbp::VbId;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use replica::plan::{Connections, Desired, VbSet};

/// Few vBuckets and producers, so that changes meet.
const VBS: u16 = 6;
const PRODUCERS: [&str; 3] = ["alpha", "gamma", "delta"];

fn sources() -> impl Strategy<Value = Vec<Option<usize>>> {
    vec(option::of(0..PRODUCERS.len()), usize::from(VBS))
}

fn map(sources: &[Option<usize>]) -> Desired {
    let mut map = Desired::default();
    for (vb, source) in (0..).zip(sources) {
        map.assign(VbId(vb), source.map(|at| PRODUCERS[at]));
    }
    map
}

fn entry() -> impl Strategy<Value = Entry> {
    (1..3u64, sources()).prop_map(|(count, sources)| Entry {
        connections: Connections::new(count).unwrap(),
        replicate: map(&sources),
    })
}

fn set() -> impl Strategy<Value = VbSet> {
    vec(0..VBS, 1..4).prop_map(|vbs| vbs.into_iter().map(VbId).collect())
}

fn selection() -> impl Strategy<Value = Selection> {
    (option::of(0..PRODUCERS.len()), option::of(set())).prop_map(|(producer, vbuckets)| Selection {
        producer: producer.map(|at| PRODUCERS[at].to_owned()),
        vbuckets,
    })
}

#[derive(Clone, Debug)]
enum Step {
    Change(Change),
    Follow(Entry, BTreeSet<usize>),
    TookOver(VbSet),
    Discard,
}

fn step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        sources().prop_map(|it| Change::Replace(map(&it))),
        sources().prop_map(|it| Change::Add(map(&it))),
        sources().prop_map(|it| Change::Remove(map(&it))),
        (0..VBS, option::of(0..PRODUCERS.len())).prop_map(|(vb, from)| Change::One {
            vb: VbId(vb),
            from: from.map(|at| PRODUCERS[at].to_owned()),
        }),
        (1..3u64).prop_map(|count| Change::Connections(Connections::new(count).unwrap())),
        selection().prop_map(Change::Pause),
        selection().prop_map(Change::Resume),
    ];
    prop_oneof![
        6 => change.prop_map(Step::Change),
        2 => (entry(), proptest::collection::btree_set(0..PRODUCERS.len(), 2..=3))
            .prop_map(|(entry, producers)| Step::Follow(entry, producers)),
        1 => set().prop_map(Step::TookOver),
        1 => Just(Step::Discard),
    ]
}

/// Each vBucket is in at most one element of a list, and no element is empty.
fn disjoint<'a>(sets: impl Iterator<Item = &'a VbSet>) {
    let mut seen = BTreeSet::new();
    for set in sets {
        assert!(!set.is_empty());
        set.iter().for_each(|vb| assert!(seen.insert(vb), "{vb} twice"));
    }
}

/// What was dropped is read back as it was written.
fn said(dropped: &[Dropped]) {
    let text = serde_json::to_string(dropped).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Dropped>>(&text).unwrap(), dropped, "{text}");
}

fn check(maps: &BucketMaps) {
    let (overlay, in_force, wanted) = (maps.overlay(), maps.in_force(), maps.wanted());
    disjoint(overlay.assigned.iter().map(|it| &it.vbuckets));
    disjoint(overlay.paused.iter().map(|it| &it.vbuckets));
    disjoint(overlay.taken_over.iter().map(|it| &it.vbuckets));
    for vb in (0..VBS).map(VbId) {
        let out = [maps.paused(), maps.taken_over()].iter().any(|it| it.as_set().contains(&vb));
        let expected = wanted.source(vb).filter(|_| !out);
        assert_eq!(in_force.replicate.source(vb), expected, "{vb}");
    }
    // The overlay holds differences only.
    for assigned in &overlay.assigned {
        for vb in assigned.vbuckets.iter() {
            assert_ne!(maps.source().replicate.source(vb), assigned.from.as_deref());
        }
    }
    let is_as_source = in_force == *maps.source();
    assert!(maps.drift() > 0 || is_as_source);
    let text = serde_json::to_string(maps).unwrap();
    assert_eq!(&serde_json::from_str::<BucketMaps>(&text).unwrap(), maps);
}

proptest! {
    #[test]
    fn every_history_leaves_a_map_that_holds(first in entry(), steps in vec(step(), 0..20)) {
        let mut maps = BucketMaps::new(first);
        for (at, step) in (0..).zip(steps) {
            let (before, mark) = (maps.clone(), Mark { by: "test".to_owned(), at_ms: at });
            match step {
                Step::Change(change) => match maps.change(&change, &mark) {
                    Ok(changed) => prop_assert_eq!(changed, maps.revision() != before.revision()),
                    Err(_) => prop_assert_eq!(&maps, &before),
                },
                Step::Follow(entry, known) => {
                    let known = known.into_iter().map(|at| PRODUCERS[at].to_owned()).collect();
                    said(&maps.follow(entry.clone(), &known));
                    prop_assert_eq!(maps.source(), &entry);
                    for assigned in &maps.overlay().assigned {
                        prop_assert!(assigned.from.as_ref().is_none_or(|it| known.contains(it)));
                    }
                    prop_assert_eq!(&maps.overlay().paused, &before.overlay().paused);
                    prop_assert_eq!(&maps.overlay().taken_over, &before.overlay().taken_over);
                }
                Step::TookOver(vbs) => {
                    maps.took_over(vbs.clone(), "alpha", &mark);
                    let wanted = maps.in_force().replicate;
                    prop_assert!(vbs.iter().all(|vb| wanted.source(vb).is_none()));
                }
                Step::Discard => {
                    said(&maps.discard());
                    prop_assert_eq!(&maps.wanted(), &maps.source().replicate);
                }
            }
            check(&maps);
        }
    }

    #[test]
    fn a_diff_leads_from_one_map_to_the_other(before in sources(), after in sources()) {
        let (before, after) = (map(&before), map(&after));
        let diff = Diff::between(&before, &after);
        let mut sets: BTreeMap<&String, BTreeSet<VbId>> = BTreeMap::new();
        for (producer, vbs) in diff.stays.iter().chain(&diff.opens) {
            sets.entry(producer).or_default().extend(vbs.iter());
        }
        for (producer, vbs) in after.producers() {
            prop_assert_eq!(&sets[producer], vbs.as_set());
        }
        prop_assert_eq!(sets.len(), after.producers().len());
        for (producer, vbs) in &diff.closes {
            prop_assert!(vbs.iter().all(|vb| before.source(vb) == Some(producer)));
            prop_assert!(vbs.iter().all(|vb| after.source(vb) != Some(producer)));
        }
        prop_assert_eq!(diff.is_empty(), before == after);
    }
}
