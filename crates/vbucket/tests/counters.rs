//! Clocks and counters at the end of their range: whatever is taken from elsewhere, the next change
//! has a CAS, a seqno and a rev of its own, or there is none.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

use std::time::Duration;

use mcbp::Seqno;
use proptest::prelude::*;
use vbucket::hlc::{CAS_TAKEN_MAX, Drift, DriftLimits, next_cas};
use vbucket::row::REV_TAKEN_MAX;

/// Numbers of every size, with those at the ends of ranges more often than by chance.
fn extreme() -> impl Strategy<Value = u64> {
    let ends = [0, 1, u64::from(u32::MAX), 1 << 60, CAS_TAKEN_MAX, u64::MAX - 1, u64::MAX];
    let near = (prop::sample::select(ends.to_vec()), 0..3u64, any::<bool>());
    let near = near.prop_map(
        |(end, by, up)| {
            if up { end.saturating_add(by) } else { end.saturating_sub(by) }
        },
    );
    prop_oneof![near, any::<u64>(), 1_700_000_000_000_000_000..1_900_000_000_000_000_000u64]
}

proptest! {
    #[test]
    fn a_next_cas_is_higher_than_the_last_or_there_is_none(now in extreme(), max in extreme()) {
        match next_cas(now, max) {
            Some(next) => prop_assert!(next > max && next < u64::MAX, "{next} after {max}"),
            None => prop_assert!(max >= u64::MAX - 1 || now >= u64::MAX - 0x1_0000),
        }
    }

    #[test]
    fn after_every_cas_that_is_taken_the_next_changes_differ(
        now in extreme(),
        future_s in 0..40_000_000u64,
        taken in extreme(),
    ) {
        let future_max = Duration::from_secs(future_s);
        let limits = DriftLimits { future_max, ..DriftLimits::default() };
        let cas_max = limits.cas_max(now);
        prop_assert!(cas_max <= CAS_TAKEN_MAX);
        prop_assert!(cas_max >= now.min(CAS_TAKEN_MAX), "the present is never refused");
        let mut max = taken.min(cas_max);
        for _ in 0..4 {
            let next = next_cas(now.min(CAS_TAKEN_MAX), max);
            prop_assert!(next.is_some_and(|next| next > max), "{next:?} after {max}");
            max = next.unwrap();
        }
    }

    #[test]
    fn what_is_taken_has_successors(number in extreme()) {
        let next = Seqno(number.min(Seqno::TAKEN_MAX.0)).successor();
        prop_assert!(next.is_some_and(|next| next.0 > number.min(Seqno::TAKEN_MAX.0)));
        prop_assert!(number.min(REV_TAKEN_MAX).checked_add(1).is_some());
        prop_assert_eq!(Seqno(number).successor().map(|next| next.0), number.checked_add(1));
    }

    #[test]
    fn drift_counts_every_cas_once_and_never_overflows(
        all in prop::collection::vec(extreme(), 1..50),
        now in extreme(),
    ) {
        let limits = DriftLimits::default();
        let mut drift = Drift::default();
        all.iter().for_each(|cas| drift.add(*cas, now, &limits));
        prop_assert_eq!(drift.count, all.len() as u64);
        prop_assert!(drift.ahead + drift.behind <= drift.count);
    }
}

#[test]
fn the_limits_are_those_of_kv_engine() {
    let limits = DriftLimits::default();
    let now = 1_790_000_000_000_000_000;
    let ns = |seconds: u64| seconds * 1_000_000_000;
    let taken = |cas| cas <= limits.cas_max(now);
    assert!(taken(now + ns(3900)) && !taken(now + ns(3901)));
    assert!(!taken(u64::MAX - 1) && !taken(now | 1 << 63));
    let mut drift = Drift::default();
    for seconds in [0, 4, 6, 3600] {
        drift.add(now + ns(seconds), now, &limits);
        drift.add(now - ns(seconds), now, &limits);
    }
    let Drift { total_us, count, ahead, behind } = drift;
    assert_eq!((count, ahead, behind), (8, 2, 2));
    let expected = 2 * 1_000_000 * (4 + 6 + 3600);
    assert!(total_us.abs_diff(expected) < 1_000, "{total_us}");
}
