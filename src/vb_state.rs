//! The states of a vBucket as the dashboard and `dcp-proxy top` show them: one character, one word
//! and a meaning each. The only place that defines them; pure.

use std::collections::{BTreeMap, BTreeSet};

use dcp_actors::{BucketStatus, LinkPhase, LinkStatus, MovePhase, StreamPhase, StreamStatus};
use replica::plan::{VBUCKETS_MAX, VbSet};
use serde::Serialize;
use utoipa::ToSchema;

#[cfg(test)]
mod tests;

/// How bad something is; the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Changes are not replicated, or something must be done by an operator.
    Error,
    /// Something is wrong that has not stopped replication, or that is being retried.
    Warning,
    /// Something that somebody asked for, and that differs from the usual.
    Notice,
    /// All is well.
    Ok,
    /// Nothing is wanted.
    Idle,
}

/// Defines [`VbState`].
macro_rules! states {
    ($($state:ident $char:literal $word:literal $severity:ident: $meaning:literal,)+) => {
        /// The state of a vBucket.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum VbState {
            $(#[doc = $meaning] $state,)+
        }

        impl VbState {
            /// Every state.
            pub const ALL: &'static [Self] = &[$(Self::$state,)+];

            /// Its character in the grid.
            #[must_use]
            pub const fn char(self) -> char {
                match self { $(Self::$state => $char,)+ }
            }

            /// Its word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$state => $word,)+ }
            }

            /// What it means, in a few words.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$state => $meaning,)+ }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$state => Severity::$severity,)+ }
            }
        }
    };
}

states! {
    NotWanted '.' "not wanted" Idle: "it is not to be replicated",
    Open 'o' "open" Ok: "its stream is open, and both nodes are heard",
    Unresponsive 'u' "unresponsive" Error:
        "its stream is open, and one of its nodes is heard on no connection",
    SetUp 's' "set-up" Warning: "its stream is about to be opened, or is being opened",
    RollingBack 'r' "rolling back" Warning: "our node takes back rows that the producer lacks",
    Incomplete 'i' "incomplete" Error: "the copy may miss rows, and is rolled back first",
    Waiting 'w' "waiting" Error: "its stream or link failed, and is retried after a pause",
    Broken 'b' "broken" Error: "it fails again and again, and is retried after the longest pause",
    Paused 'p' "paused" Notice: "somebody has paused it",
    HeldBack 'h' "held back" Warning: "it is wanted and active at our node, so it is not asked for",
    ActiveHere 'a' "active here" Ok: "it is active at our node and not to be replicated",
    Moving 'm' "moving" Notice: "it is being moved to our node, or taken over",
}

/// The state as an entry of the legend.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct LegendEntry {
    /// The character in `states`.
    char: char,
    /// The state in a word or two.
    word: &'static str,
    /// What it means.
    meaning: &'static str,
    /// How bad it is.
    severity: Severity,
}

/// Every state with its meaning.
#[must_use]
pub fn legend() -> Vec<LegendEntry> {
    let entry = |state: &VbState| LegendEntry {
        char: state.char(),
        word: state.word(),
        meaning: state.meaning(),
        severity: state.severity(),
    };
    VbState::ALL.iter().map(entry).collect()
}

/// The state of every vBucket of a bucket, by its number; `paused` are the paused ones.
#[must_use]
pub fn of_bucket(bucket: &BucketStatus, paused: &VbSet) -> Vec<VbState> {
    let mut states = vec![VbState::NotWanted; usize::from(VBUCKETS_MAX)];
    let mut set = |vb: u16, state: VbState| {
        if let Some(known) = states.get_mut(usize::from(vb)) {
            *known = state;
        }
    };
    let active = bucket.active_here.iter().flat_map(VbSet::iter);
    active.for_each(|vb| set(vb.0, VbState::ActiveHere));
    paused.iter().for_each(|vb| set(vb.0, VbState::Paused));
    let broken: BTreeSet<_> = bucket.broken.iter().map(|broken| broken.vbucket).collect();
    for link in &bucket.links {
        for stream in &link.streams {
            set(stream.vbucket, of_stream(link, stream, broken.contains(&stream.vbucket)));
        }
    }
    let begun = bucket.moves.iter().filter(|moving| moving.phase != MovePhase::Queued);
    begun.for_each(|moving| set(moving.vbucket, VbState::Moving));
    states
}

/// The state of a wanted vBucket that is not being moved.
fn of_stream(link: &LinkStatus, stream: &StreamStatus, is_broken: bool) -> VbState {
    match stream.phase {
        _ if stream.complete_to.is_some() => VbState::Incomplete,
        StreamPhase::Open if link.phase == LinkPhase::Unresponsive => VbState::Unresponsive,
        StreamPhase::Open => VbState::Open,
        StreamPhase::HeldBack => VbState::HeldBack,
        StreamPhase::RollingBack => VbState::RollingBack,
        _ if is_broken || link.broken.is_some() => VbState::Broken,
        StreamPhase::Waiting => VbState::Waiting,
        // Its link has failed, be it that it is just tried again.
        StreamPhase::Due | StreamPhase::Asked if link.last_error.is_some() => VbState::Waiting,
        StreamPhase::Due | StreamPhase::Asked => VbState::SetUp,
    }
}

/// How many vBuckets are in each state.
#[must_use]
pub fn counts(states: &[VbState]) -> BTreeMap<VbState, usize> {
    let mut counts = BTreeMap::new();
    for state in states {
        *counts.entry(*state).or_default() += 1;
    }
    counts
}
