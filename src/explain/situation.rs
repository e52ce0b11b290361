//! What `explain` finds: situations, each with what is going on and what happens next.

use serde::Serialize;

macro_rules! situations {
    ($($variant:ident $name:literal $is_wrong:literal)+) => {
        /// What is going on. The order is that of precedence: the sentence tells of the first one
        /// that is found. The names are part of the output and documented in `docs/explain.md`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub(super) enum Kind {
            $(#[doc = $name] $variant,)+
        }

        impl Kind {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Whether something is wrong, or not known to be right.
            pub(super) const fn is_wrong(self) -> bool {
                match self { $(Self::$variant => $is_wrong,)+ }
            }
        }
    };
}

situations! {
    TwoActive "two-active" true
    NodeSilent "node-silent" true
    ProducerSilent "producer-silent" true
    WarmingUp "warming-up" true
    Missing "missing" true
    Moving "moving" false
    Paused "paused" false
    HeldBack "held-back" true
    NoActive "no-active" true
    ActiveHere "active-here" false
    NotWanted "not-wanted" false
    NotActive "not-active" true
    Dead "dead" true
    RollingBack "rolling-back" true
    Incomplete "incomplete" true
    PurgedAhead "purged-ahead" true
    Parted "parted" true
    NoSidecar "no-sidecar" true
    SidecarUnknown "sidecar-unknown" true
    Failing "failing" true
    SetUp "set-up" true
    Unresponsive "unresponsive" true
    Standing "standing" true
    DurableWrites "durable-writes" true
    Hole "hole" true
    Behind "behind" false
    InStep "in-step" false
    Unknown "unknown" true
}

/// One situation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Situation {
    pub(super) kind: Kind,
    /// What is going on, a clause that begins with a capital letter.
    pub(super) what: String,
    /// What happens next, or what to do.
    pub(super) next: String,
}

impl Situation {
    pub(super) fn new(kind: Kind, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind, what: what.into(), next: next.into() }
    }

    /// Both in one sentence.
    pub(super) fn sentence(&self) -> String {
        format!("{}; {}.", self.what, self.next)
    }
}

/// All that follows from the facts; the first situation is the most important one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Story {
    /// At least one.
    pub(super) first: Situation,
    pub(super) others: Vec<Situation>,
    /// Nodes that could not be asked, apart from those that situations tell of.
    pub(super) unasked: Vec<String>,
}

impl Story {
    /// Whether the exit code is 0.
    pub(super) fn is_healthy(&self) -> bool {
        let wrong = |situation: &Situation| situation.kind.is_wrong();
        !wrong(&self.first) && !self.others.iter().any(wrong) && self.unasked.is_empty()
    }
}
