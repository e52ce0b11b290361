//! What was changed at run time, by whom and when. It holds no rules.

use std::fmt;

use mcbp::VbId;
use replica::plan::{Connections, VbSet};
use serde::{Deserialize, Serialize};

/// Who changed something, and when.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The client of the admin API, as `address:port`, or a word such as `sidecar`.
    pub by: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// vBuckets that come from another producer than their source says.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assigned {
    /// The vBuckets; not empty.
    pub vbuckets: VbSet,
    /// Their producer; `None` where they are not to be replicated.
    pub from: Option<String>,
    /// Who assigned them.
    pub mark: Mark,
}

/// A number of connections other than that of the source.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountSet {
    /// Connections to each producer.
    pub connections: Connections,
    /// Who set it.
    pub mark: Mark,
}

/// vBuckets that are not replicated until somebody resumes them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paused {
    /// The vBuckets; not empty.
    pub vbuckets: VbSet,
    /// Who paused them.
    pub mark: Mark,
}

/// vBuckets that were taken over, so that the data node of this sidecar has the active copy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenOver {
    /// The vBuckets; not empty.
    pub vbuckets: VbSet,
    /// The producer that had them.
    pub from: String,
    /// Who took them over.
    pub mark: Mark,
}

/// What was changed at run time of one bucket. A vBucket is in at most one element of each list.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overlay {
    /// Where vBuckets come from instead.
    pub assigned: Vec<Assigned>,
    /// The number of connections instead.
    pub connections: Option<CountSet>,
    /// What is paused.
    pub paused: Vec<Paused>,
    /// What is active here.
    pub taken_over: Vec<TakenOver>,
}

/// A part of an overlay that is not in force any more.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Dropped {
    /// Why.
    pub why: Why,
    /// The vBuckets, if it was about vBuckets; empty for a number of connections.
    #[serde(default, skip_serializing_if = "VbSet::is_empty")]
    pub vbuckets: VbSet,
    /// The producer that they came from, if any.
    pub from: Option<String>,
    /// The number of connections, if it was about that.
    pub connections: Option<Connections>,
    /// Who had changed it.
    pub mark: Mark,
}

/// Why a part of an overlay is not in force any more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The source's own entry of the bucket changed, and the source wins.
    SourceChanged,
    /// The configuration has no such producer any more.
    NoProducer,
    /// The configuration has no such bucket any more.
    NoBucket,
    /// Somebody asked for that.
    Discarded,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SourceChanged => "source-changed",
            Self::NoProducer => "no-producer",
            Self::NoBucket => "no-bucket",
            Self::Discarded => "discarded",
        })
    }
}

/// A list of the overlay: sets of vBuckets, each with more about it.
pub(crate) trait Marked: Clone + PartialEq {
    fn vbuckets(&mut self) -> &mut VbSet;
    /// Whether both differ in their vBuckets only.
    fn is_alike(&self, other: &Self) -> bool;
}

macro_rules! marked {
    ($type:ty, $($field:ident),+) => {
        impl Marked for $type {
            fn vbuckets(&mut self) -> &mut VbSet {
                &mut self.vbuckets
            }
            fn is_alike(&self, other: &Self) -> bool {
                $(self.$field == other.$field)&&+
            }
        }
    };
}

marked!(Assigned, from, mark);
marked!(Paused, mark);
marked!(TakenOver, from, mark);

/// Takes vBuckets out of a list, and elements that are left without any.
pub(crate) fn remove<T: Marked>(list: &mut Vec<T>, is_out: impl Fn(VbId) -> bool) {
    for element in &mut *list {
        let vbs = element.vbuckets();
        *vbs = vbs.iter().filter(|&vb| !is_out(vb)).collect();
    }
    list.retain_mut(|element| !element.vbuckets().is_empty());
}

/// Puts an element into a list in place of what the list says of its vBuckets.
pub(crate) fn put<T: Marked>(list: &mut Vec<T>, mut element: T) {
    let vbs = element.vbuckets().clone();
    if vbs.is_empty() {
        return;
    }
    remove(list, |vb| vbs.as_set().contains(&vb));
    match list.iter_mut().find(|other| other.is_alike(&element)) {
        Some(other) => vbs.iter().for_each(|vb| _ = other.vbuckets().insert(vb)),
        None => list.push(element),
    }
}
