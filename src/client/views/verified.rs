//! What a sidecar knows of its copies.

use std::collections::BTreeMap;

use replica::plan::VbSet;
use serde::{Deserialize, Deserializer};

/// `GET /api/v1/verify`.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Verification {
    pub(in crate::client) targets: Vec<VerifiedTarget>,
}

/// A bucket and a producer.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct VerifiedTarget {
    pub(in crate::client) bucket: String,
    pub(in crate::client) producer: String,
    #[serde(deserialize_with = "set")]
    pub(in crate::client) differing: VbSet,
    #[serde(deserialize_with = "set")]
    pub(in crate::client) unclear: VbSet,
    #[serde(default)]
    pub(in crate::client) samples: Vec<Sample>,
    pub(in crate::client) current: Option<Current>,
    /// Whether a comparison was asked for that has not begun.
    #[serde(default)]
    pub(in crate::client) asked: bool,
    pub(in crate::client) last: Option<Last>,
    pub(in crate::client) failure: Option<Failure>,
}

impl VerifiedTarget {
    /// Whether a comparison runs, waits, or is to begin.
    pub(in crate::client) const fn is_busy(&self) -> bool {
        self.asked || self.current.is_some()
    }
}

/// A difference.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Sample {
    pub(in crate::client) vbucket: u16,
    pub(in crate::client) what: String,
}

/// A comparison that has begun.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Current {
    pub(in crate::client) left: u64,
    pub(in crate::client) held: Option<String>,
}

/// The last comparison that came to its end.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(in crate::client) struct Last {
    /// When it ended.
    #[serde(default)]
    pub(in crate::client) ended: String,
    /// What it found to differ. An older sidecar does not say it.
    #[serde(default, deserialize_with = "set")]
    pub(in crate::client) differing: VbSet,
    /// What it found in all its vBuckets.
    #[serde(default)]
    pub(in crate::client) differences: BTreeMap<String, u64>,
    /// How long it took, and how much it read: tells apart two that ended in the same second.
    #[serde(default)]
    pub(in crate::client) elapsed_ms: u64,
    #[serde(default)]
    pub(in crate::client) rows: u64,
    #[serde(deserialize_with = "set")]
    pub(in crate::client) skipped: VbSet,
}

/// The last comparison, if it failed.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Failure {
    pub(in crate::client) error: String,
}

/// The part of the status.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Verify {
    pub(in crate::client) compared: u64,
    pub(in crate::client) differing: u64,
    pub(in crate::client) unclear: u64,
    #[serde(default)]
    pub(in crate::client) differences: BTreeMap<String, u64>,
    #[serde(default)]
    pub(in crate::client) running: bool,
    #[serde(default)]
    pub(in crate::client) last: Option<String>,
    #[serde(default)]
    pub(in crate::client) next: Option<String>,
    #[serde(default)]
    pub(in crate::client) error: Option<String>,
}

/// A set that may be empty.
fn set<'de, D: Deserializer<'de>>(from: D) -> Result<VbSet, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(VbSet::default());
    }
    text.parse().map_err(serde::de::Error::custom)
}
