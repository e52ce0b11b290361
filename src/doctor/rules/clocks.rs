//! Clocks: that of a node against this machine's and our node's, and the CAS values that it gave.

use std::time::Duration;

use mcbp::Side;

use crate::doctor::facts::{BucketFacts, Clock, NodeFacts};
use crate::doctor::finding::{Check, Finding, Place};

/// Further ahead than this, a CAS from elsewhere counts as drift. Source:
/// `hlc_drift_ahead_threshold_us` of kv_engine, 5 s.
const DRIFT_MS: i64 = 5_000;
/// A CAS that is further ahead is refused. Source: `hlc_max_future_threshold_us`, 65 minutes.
const REFUSED_MS: i64 = 3_900_000;

/// How far a clock is ahead, in milliseconds, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Offset {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Offset {
    /// Of a node's clock from this machine's. A node tells whole seconds.
    pub(super) const fn of(clock: Clock) -> Self {
        let told_ms = clock.node_s.saturating_mul(1000);
        Self {
            least: told_ms.saturating_sub(clock.answered_ms),
            most: told_ms.saturating_add(999).saturating_sub(clock.asked_ms),
        }
    }

    /// From another clock whose offset is `other`.
    pub(super) const fn from(self, other: Self) -> Self {
        Self {
            least: self.least.saturating_sub(other.most),
            most: self.most.saturating_sub(other.least),
        }
    }

    /// The distance that is certain: negative where the clock is behind, 0 where it may be right.
    pub(super) const fn certain(self) -> i64 {
        if self.least > 0 {
            self.least
        } else if self.most < 0 {
            self.most
        } else {
            0
        }
    }
}

pub(super) fn clocks(
    node: &NodeFacts,
    facts: &BucketFacts,
    own: Option<&NodeFacts>,
) -> Vec<Finding> {
    if !matches!(facts.opened, Some(Ok(()))) {
        return Vec::new();
    }
    let place = Place::node(node.side, &node.name).bucket(&facts.bucket);
    let Some(clock) = facts.clock else {
        let what = "the clock of the node is unknown: it does not tell its time";
        return vec![Finding::note(Check::Clock, &place, what)];
    };
    let offset = Offset::of(clock);
    let mut findings = vec![against(offset, "this machine's", &place)];
    if node.side == Side::Producer {
        let ours = own.and_then(|own| own.bucket(&facts.bucket)).and_then(|facts| facts.clock);
        findings.push(match ours {
            Some(ours) => against(offset.from(Offset::of(ours)), "our node's", &place),
            None => {
                let what = "the difference from our node's clock is unknown";
                Finding::note(Check::Clock, &place, what)
            }
        });
    }
    findings.extend(highest(facts, clock, &place));
    findings
}

fn against(offset: Offset, whose: &str, place: &Place) -> Finding {
    let certain = offset.certain();
    let distance = words(certain);
    let remedy = "synchronise the clocks (NTP)";
    match certain {
        REFUSED_MS.. if whose == "our node's" => {
            let what = format!(
                "the clock is {distance} ahead of {whose}: our node refuses what clients write here"
            );
            Finding::error(Check::Clock, place, what, remedy)
        }
        -999..1_000 => {
            Finding::ok(Check::Clock, place, format!("the clock agrees with {whose} within 2 s"))
        }
        _ if certain.abs() <= DRIFT_MS => {
            let direction = if certain > 0 { "ahead of" } else { "behind" };
            let what = format!("the clock is {distance} {direction} {whose}");
            Finding::note(Check::Clock, place, what)
        }
        _ => {
            let direction = if certain > 0 { "ahead of" } else { "behind" };
            let what = format!("the clock is {distance} {direction} {whose}");
            Finding::warning(Check::Clock, place, what, remedy)
        }
    }
}

/// The highest CAS that was read, against the node's own clock: CAS values begin with the time in
/// nanoseconds.
fn highest(facts: &BucketFacts, clock: Clock, place: &Place) -> Option<Finding> {
    let (vb, cas) = facts.max_cas.iter().max_by_key(|(_, cas)| **cas)?;
    let cas_ms = i64::try_from(cas / 1_000_000).unwrap_or(i64::MAX);
    let ahead_ms = cas_ms.saturating_sub(clock.node_s.saturating_mul(1000).saturating_add(999));
    if ahead_ms <= DRIFT_MS {
        return None;
    }
    let what = format!(
        "the highest CAS of {vb} is {} ahead of the node's clock: a clock was wrong when it was \
         given",
        words(ahead_ms)
    );
    let remedy = "correct the clocks; new CAS values only count up until the time is reached";
    Some(if ahead_ms > REFUSED_MS && place.side == Some(Side::Producer) {
        let what = format!("{what}, and a consumer refuses it");
        Finding::error(Check::Clock, place, what, remedy)
    } else {
        Finding::warning(Check::Clock, place, what, remedy)
    })
}

fn words(ms: i64) -> String {
    let span = Duration::from_millis(ms.unsigned_abs());
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{:.1} s", span.as_secs_f64()),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
