//! vBucket states at both ends against the configured map, and how many vBuckets there are.

use std::collections::BTreeMap;

use mcbp::{Side, VbId, VbState};
use replica::plan::VbSet;

use super::bucket::rate;
use crate::config::Bucket;
use crate::doctor::facts::{BucketFacts, NodeFacts};
use crate::doctor::finding::{Check, Finding, Place};

/// A copy of a vBucket at one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum CopyState {
    /// The node was not asked, or did not answer.
    Unknown,
    Absent,
    /// By the number of its state on the wire.
    Is(u8),
}

impl CopyState {
    pub(super) const fn is(state: VbState) -> Self {
        Self::Is(state as u8)
    }

    const fn state(self) -> Option<VbState> {
        match self {
            Self::Is(number) => VbState::from_wire(number as u32),
            Self::Unknown | Self::Absent => None,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Unknown => "of unknown state".to_owned(),
            Self::Absent => "not there".to_owned(),
            Self::Is(_) => self.state().map_or("unknown", VbState::name).to_owned(),
        }
    }
}

/// What a pair of copies means for replication from one to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// The producer's is active, and ours takes changes.
    Good,
    /// Ours is active and the producer's is not: it was taken over.
    TakenOver,
    /// Both are active.
    TwoActive,
    /// Ours cannot take changes.
    Ours,
    /// The producer's cannot send changes of clients.
    Theirs,
    /// Neither can.
    Neither,
    /// Ours is active, and the producer's is unknown.
    OursActive,
}

/// Judges the copy of our node and that of the producer.
pub(super) fn fit(ours: CopyState, theirs: CopyState) -> Fit {
    let takes = matches!(ours.state(), Some(VbState::Replica | VbState::Pending));
    let takes = takes || ours == CopyState::Unknown;
    let sends = theirs == CopyState::is(VbState::Active) || theirs == CopyState::Unknown;
    match (ours.state(), theirs) {
        (Some(VbState::Active), CopyState::Unknown) => Fit::OursActive,
        (Some(VbState::Active), _) if sends => Fit::TwoActive,
        (Some(VbState::Active), _) => Fit::TakenOver,
        _ if takes && sends => Fit::Good,
        _ if takes => Fit::Theirs,
        _ if sends => Fit::Ours,
        _ => Fit::Neither,
    }
}

/// The findings of one node about a bucket of the map. Each pair is told once: at the producer,
/// unless it is ours alone that does not fit.
pub(super) fn states(
    node: &NodeFacts,
    own: Option<&NodeFacts>,
    nodes: &[NodeFacts],
    bucket: &Bucket,
) -> Vec<Finding> {
    let place = Place::node(node.side, &node.name).bucket(&bucket.name);
    let here = node.bucket(&bucket.name);
    let ours = own.and_then(|own| own.bucket(&bucket.name));
    let mut findings = Vec::new();
    for (producer, set) in bucket.desired.producers() {
        if node.side == Side::Producer && node.name != *producer {
            continue;
        }
        let of_producer = |it: &&NodeFacts| it.side == Side::Producer && it.name == *producer;
        let theirs = nodes.iter().find(of_producer).and_then(|it| it.bucket(&bucket.name));
        let mut groups: BTreeMap<(CopyState, CopyState), VbSet> = BTreeMap::new();
        for vb in set.iter() {
            groups.entry((copy(ours, vb), copy(theirs, vb))).or_default().insert(vb);
        }
        for ((ours, theirs), vbs) in groups {
            let place = place.vbuckets(&vbs);
            findings.extend(told(node.side, producer, ours, theirs, &place));
        }
    }
    if let Some(max) = here.and_then(|here| here.vbuckets_max) {
        findings.extend(count(node.side, max, ours, bucket, &place));
    }
    if node.side == Side::Producer {
        let window = ours.and_then(|ours| ours.window_bytes);
        findings.extend(window.and_then(|window| rate(node, window, &place)));
    }
    findings
}

fn copy(facts: Option<&BucketFacts>, vb: VbId) -> CopyState {
    let Some(states) = facts.and_then(|facts| facts.states.as_ref()) else {
        return CopyState::Unknown;
    };
    states.get(&vb).copied().map_or(CopyState::Absent, CopyState::is)
}

fn told(
    side: Side,
    producer: &str,
    ours: CopyState,
    theirs: CopyState,
    place: &Place,
) -> Option<Finding> {
    let (here, there) = (ours.words(), theirs.words());
    let (check, fit) = (Check::States, fit(ours, theirs));
    match (side, fit) {
        (Side::Consumer, Fit::Good) if ours != CopyState::Unknown => {
            Some(Finding::ok(check, place, format!("the copies here are {here}, as they must be")))
        }
        (Side::Producer, Fit::Good | Fit::Ours) if theirs != CopyState::Unknown => {
            Some(Finding::ok(check, place, format!("the copies here are {there}, as they must be")))
        }
        (Side::Consumer, Fit::Ours | Fit::Neither) => {
            let what = format!("the copies here are {here}, and must be replica");
            let remedy = "make them replica with SET_VBUCKET, or remove them from replicate";
            Some(Finding::error(check, place, what, remedy))
        }
        (Side::Producer, Fit::Theirs | Fit::Neither) => {
            let what = format!("the copies here are {there}, and must be active");
            let remedy = format!(
                "replicate them from the node where they are active, or make them active at \
                 {producer} with SET_VBUCKET if they are active nowhere"
            );
            Some(Finding::error(check, place, what, remedy))
        }
        (Side::Consumer, Fit::TakenOver) => {
            let what = format!(
                "the copies here are active, and {there} at {producer}: they were taken over, and \
                 are not replicated"
            );
            let remedy = format!("remove them from replicate of {producer}");
            Some(Finding::note(check, place, what).with(remedy))
        }
        (Side::Consumer, Fit::TwoActive) => {
            let what = format!("the copies here and at {producer} are both active");
            let remedy =
                "decide which has the right data, and make the other one dead, then replica";
            Some(Finding::error(check, place, what, remedy))
        }
        (Side::Consumer, Fit::OursActive) => {
            let what = format!("the copies here are active; those of {producer} are unknown");
            let remedy = "make them replica, or remove them from replicate if they were taken over";
            Some(Finding::warning(check, place, what, remedy))
        }
        _ => None,
    }
}

/// Whether both nodes divide the bucket into the same number of vBuckets, and the map fits.
fn count(
    side: Side,
    max: u32,
    ours: Option<&BucketFacts>,
    bucket: &Bucket,
    place: &Place,
) -> Option<Finding> {
    let ours = ours.and_then(|ours| ours.vbuckets_max);
    if let (Side::Producer, Some(ours)) = (side, ours)
        && ours != max
    {
        let what = format!("the bucket has {max} vBuckets here, and {ours} at our node");
        let remedy = "create one of them again: keys belong to other vBuckets there";
        return Some(Finding::error(Check::Count, place, what, remedy));
    }
    let sets = bucket.desired.producers().iter();
    let highest = sets.flat_map(|(_, set)| set.iter()).max();
    let what = format!("the bucket has {max} vBuckets");
    Some(match highest {
        Some(VbId(vb)) if u32::from(vb) >= max && side == Side::Consumer => {
            let what = format!("{what}, and replicate names vb {vb}");
            let remedy = format!("limit replicate to 0-{}", max.saturating_sub(1));
            Finding::error(Check::Count, place, what, remedy)
        }
        _ => Finding::ok(Check::Count, place, what),
    })
}
