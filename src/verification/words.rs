//! The words of the schedule: what it is told, what it says is to be done.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use mcbp::VbId;

/// What is compared with one another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Target {
    pub(crate) bucket: String,
    pub(crate) producer: String,
}

/// Why nothing of a target can be compared now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Held {
    /// A link of it is not open.
    LinkDown,
    /// vBuckets of the bucket are being moved, or wait for that.
    Moving,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkDown => "a link to the producer is not open",
            Self::Moving => "vBuckets of the bucket are being moved",
        })
    }
}

/// What is known of a target.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Sight {
    /// What is replicated.
    pub(super) wanted: BTreeSet<VbId>,
    /// Those of them whose streams are open and whose copies are not being rolled back.
    pub(super) ready: BTreeSet<VbId>,
    pub(super) held: Option<Held>,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// How often everything is compared; `None` for on request only.
    Every(Option<Duration>),
    /// The targets that there are now.
    Seen(BTreeMap<Target, Sight>),
    /// Somebody asks for these vBuckets of a target.
    Asked(Target, BTreeSet<VbId>),
    /// The running batch has ended.
    Ended(End),
    /// Nothing is begun any more.
    Stop,
}

/// How a batch ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// These vBuckets were compared: all, or some where it was cancelled. Some of them differ.
    Compared { done: BTreeSet<VbId>, differing: BTreeSet<VbId> },
    /// It failed; the run ends with it.
    Failed,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// A run has begun.
    Begun(Target),
    /// Compare these. Differences are reported if the vBuckets were found to differ before.
    Compare { target: Target, vbs: BTreeSet<VbId>, confirms: bool },
    /// End the running batch as soon as possible.
    Cancel,
    /// A run is over. These vBuckets were not compared, because their streams were not open.
    Over { target: Target, skipped: BTreeSet<VbId> },
    /// A run has failed.
    Failed(Target),
}

/// The time of an event, and a number in `0.0..1.0` by chance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Duration,
    pub(super) chance: f64,
}
