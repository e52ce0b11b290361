//! `GET /api/v1/desired` and dry runs, as far as they are printed for people. A field that is
//! missing is empty.

use std::collections::BTreeMap;

use replica::plan::{Desired, VbSet};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::client::plain::plain;

/// `GET /api/v1/desired`.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct DesiredMaps {
    #[serde(default)]
    pub(in crate::client) source: Source,
    pub(in crate::client) buckets: Vec<BucketMaps>,
}

/// Where desired maps come from.
#[derive(Debug, Default, Deserialize)]
pub(in crate::client) struct Source {
    #[serde(default)]
    pub(in crate::client) kind: String,
    #[serde(default)]
    pub(in crate::client) file: Option<String>,
    #[serde(default)]
    pub(in crate::client) connected: Option<bool>,
    #[serde(default)]
    pub(in crate::client) since_ms: Option<u64>,
    #[serde(default)]
    pub(in crate::client) error: Option<String>,
}

/// What is wanted of a bucket, and why.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct BucketMaps {
    pub(in crate::client) bucket: String,
    #[serde(default)]
    pub(in crate::client) revision: Option<u64>,
    pub(in crate::client) source: Entry,
    pub(in crate::client) in_force: Entry,
    #[serde(default)]
    pub(in crate::client) drift: Vec<Drift>,
    #[serde(default)]
    pub(in crate::client) dropped: Vec<Drift>,
}

/// The map and the connections of a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(in crate::client) struct Entry {
    pub(in crate::client) connections: u64,
    #[serde(default)]
    pub(in crate::client) replicate: Desired,
}

/// One difference to the source, or one that was dropped.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::client) struct Drift {
    /// `replicate`, `connections`, `pause` or `takeover`.
    #[serde(default)]
    pub(in crate::client) what: String,
    /// Why it was dropped.
    #[serde(default)]
    pub(in crate::client) why: Option<String>,
    #[serde(default, deserialize_with = "set")]
    pub(in crate::client) vbuckets: VbSet,
    #[serde(default)]
    pub(in crate::client) from: Option<String>,
    /// What the source says: a producer, or a number of connections.
    #[serde(default, deserialize_with = "word")]
    pub(in crate::client) source: Option<String>,
    #[serde(default)]
    pub(in crate::client) connections: Option<u64>,
    #[serde(default)]
    pub(in crate::client) by: Option<String>,
    #[serde(default)]
    pub(in crate::client) at: Option<String>,
    /// When the last one of several was made.
    #[serde(skip)]
    last_at: Option<String>,
}

/// What a change would do to streams, by producer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::client) struct Preview {
    #[serde(default)]
    pub(in crate::client) opens: BTreeMap<String, VbSet>,
    #[serde(default)]
    pub(in crate::client) closes: BTreeMap<String, VbSet>,
    #[serde(default)]
    pub(in crate::client) stays: BTreeMap<String, VbSet>,
    /// Those of the others that are paused, and so not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::client) paused: Option<VbSet>,
}

/// A set that may be missing, null or an empty text.
fn set<'de, D: Deserializer<'de>>(from: D) -> Result<VbSet, D::Error> {
    match Option::<String>::deserialize(from)? {
        Some(text) if !text.is_empty() => text.parse().map_err(serde::de::Error::custom),
        Some(_) | None => Ok(VbSet::default()),
    }
}

/// A text or a number, as a text.
fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

impl BucketMaps {
    /// What is wanted: the source with what was changed at run time, be it paused or not. What was
    /// taken over is wanted no more.
    pub(in crate::client) fn wanted(&self) -> Entry {
        let mut wanted = self.source.clone();
        for drift in &self.drift {
            match drift.what.as_str() {
                "replicate" => assign(&mut wanted, &drift.vbuckets, drift.from.as_deref()),
                "connections" => {
                    // An older word for it is the count in force.
                    wanted.connections = drift.connections.unwrap_or(self.in_force.connections);
                }
                _ => {}
            }
        }
        for drift in self.drift.iter().filter(|drift| drift.what == "takeover") {
            assign(&mut wanted, &drift.vbuckets, None);
        }
        wanted
    }

    /// What was paused.
    pub(in crate::client) fn paused(&self) -> impl Iterator<Item = &Drift> {
        self.drift.iter().filter(|drift| drift.what == "pause")
    }
}

impl Drift {
    /// The same, where those that differ in vBuckets and time alone are one: a takeover of a bucket
    /// is one fact, not a thousand.
    pub(in crate::client) fn grouped(all: &[Self]) -> Vec<Self> {
        let mut places = BTreeMap::new();
        let mut groups: Vec<Self> = Vec::new();
        for drift in all {
            let Self { what, why, from, source, connections, by, .. } = drift;
            let next = groups.len();
            let key = (what, why, from, source, connections, by);
            let Some(group) = groups.get_mut(*places.entry(key).or_insert(next)) else {
                groups.push(drift.clone());
                continue;
            };
            for vb in drift.vbuckets.iter() {
                group.vbuckets.insert(vb);
            }
            if drift.at.is_some() && drift.at != group.at {
                group.last_at.clone_from(&drift.at);
            }
        }
        groups
    }

    /// The difference in words: what, where from, by whom and when.
    pub(in crate::client) fn words(&self) -> String {
        let Self { vbuckets, from, source, connections, .. } = self;
        let (source, producer) = (source.as_deref(), from.as_deref());
        let instead = source.map(|source| format!(" instead of {source}")).unwrap_or_default();
        let many = if vbuckets.len() == 1 { "vBucket" } else { "vBuckets" };
        // What was dropped has no word for what it is.
        let what = match (self.what.as_str(), connections) {
            ("", Some(_)) => "connections",
            ("", None) => "replicate",
            (what, _) => what,
        };
        let text = match (what, producer) {
            ("replicate", Some(from)) => format!("{many} {vbuckets} from {from}{instead}"),
            ("replicate", None) => format!("{many} {vbuckets} not replicated{instead}"),
            ("connections", _) => match connections {
                Some(count) => format!("{count} connections to each producer{instead}"),
                None => "another number of connections".to_owned(),
            },
            ("pause", _) => format!("{many} {vbuckets} paused"),
            ("takeover", Some(from)) => format!("{many} {vbuckets} taken over from {from}"),
            (what, _) => format!("{what} {vbuckets}"),
        };
        let by = self.by.as_deref().map(|by| format!(", by {by}")).unwrap_or_default();
        let at = match (&self.at, &self.last_at) {
            (Some(first), Some(last)) => format!(" from {first} to {last}"),
            (Some(at), None) => format!(" at {at}"),
            (None, _) => String::new(),
        };
        let why = self.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        plain(&format!("{text}{by}{at}{why}"))
    }
}

fn assign(entry: &mut Entry, vbs: &VbSet, from: Option<&str>) {
    for vb in vbs.iter() {
        entry.replicate.assign(vb, from);
    }
}

impl Preview {
    pub(in crate::client) fn between(before: &Desired, after: &Desired) -> Self {
        let desired::Diff { opens, closes, stays } = desired::Diff::between(before, after);
        Self { opens, closes, stays, paused: None }
    }

    /// How many streams would close.
    pub(in crate::client) fn closes(&self) -> usize {
        count(&self.closes)
    }

    /// How many streams would open.
    pub(in crate::client) fn opens(&self) -> usize {
        count(&self.opens)
    }
}

fn count(map: &BTreeMap<String, VbSet>) -> usize {
    map.values().map(VbSet::len).sum()
}
