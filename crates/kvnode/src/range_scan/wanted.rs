//! What a range scan is to return, as its creator says in JSON. Pure.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mcbp::key::{DEFAULT_COLLECTION, collection_range};
use mcbp::{Seqno, VbUuid};
use serde::Deserialize;

/// The longest wait for a seqno.
const WAIT_MS_MAX: u64 = 30_000;

/// The longest bound of a range: a key, and a byte that is behind every key.
const BOUND_BYTES_MAX: usize = 251;

/// What a scan returns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Selection {
    /// The documents with keys in a range: each bound, and whether it belongs to the range.
    Range {
        /// The lower bound.
        start: (Vec<u8>, bool),
        /// The upper bound.
        end: (Vec<u8>, bool),
    },
    /// So many documents by chance, of which the seed makes always the same.
    Sample {
        /// How many.
        samples: u64,
        /// What the choice begins with.
        seed: u64,
    },
}

/// What the vBucket must have before the scan begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Requirement {
    /// The branch of history that is being written.
    pub(crate) uuid: VbUuid,
    /// The seqno that is on disk.
    pub(crate) seqno: Seqno,
    /// How long to wait for it, in ms.
    pub(crate) wait_ms: u64,
    /// Whether a row must have this seqno.
    pub(crate) exists: bool,
}

/// A checked request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    /// The collection whose documents are returned.
    pub(crate) collection: u32,
    pub(crate) selection: Selection,
    pub(crate) key_only: bool,
    pub(crate) requirement: Option<Requirement>,
}

#[derive(Deserialize)]
struct Written {
    /// The id in hexadecimal digits.
    #[serde(default)]
    collection: Option<String>,
    range: Option<Range>,
    sampling: Option<Sampling>,
    #[serde(default)]
    key_only: bool,
    snapshot_requirements: Option<Snapshot>,
}

#[derive(Deserialize)]
struct Range {
    start: Option<String>,
    excl_start: Option<String>,
    end: Option<String>,
    excl_end: Option<String>,
}

#[derive(Deserialize)]
struct Sampling {
    samples: u64,
    #[serde(default)]
    seed: u64,
}

#[derive(Deserialize)]
struct Snapshot {
    vb_uuid: String,
    seqno: u64,
    timeout_ms: Option<u64>,
    #[serde(default)]
    seqno_exists: bool,
}

impl Wanted {
    /// The keys, with their prefix, that the scan looks at: from the first one up to, but without,
    /// the second one.
    pub(crate) fn keys(&self) -> (Vec<u8>, Vec<u8>) {
        let (prefix, end) = collection_range(self.collection);
        let Selection::Range { start, end } = &self.selection else { return (prefix, end) };
        // No key is between another one and the same with a zero.
        let zero_if = |it: bool| if it { &[0][..] } else { &[] };
        let start = [&prefix, start.0.as_slice(), zero_if(!start.1)].concat();
        let end = [&prefix, end.0.as_slice(), zero_if(end.1)].concat();
        (start, end)
    }

    /// Reads the value of a RANGE_SCAN_CREATE.
    ///
    /// # Errors
    /// What is wrong, as text.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let selection = match (written.range, written.sampling) {
            (Some(range), None) => range.checked()?,
            (None, Some(Sampling { samples: 0, .. })) => {
                return Err("samples must be at least 1".to_owned());
            }
            (None, Some(Sampling { samples, seed })) => Selection::Sample { samples, seed },
            _ => return Err("exactly one of range and sampling must be there".to_owned()),
        };
        let collection = match written.collection {
            None => DEFAULT_COLLECTION,
            Some(id) => u32::from_str_radix(&id, 16)
                .map_err(|_| format!("collection {id:?} is no id in hexadecimal digits"))?,
        };
        let requirement = written.snapshot_requirements.map(Snapshot::checked).transpose()?;
        Ok(Self { collection, selection, key_only: written.key_only, requirement })
    }
}

impl Range {
    fn checked(self) -> Result<Selection, String> {
        let start = bound("start", self.start, self.excl_start)?;
        let end = bound("end", self.end, self.excl_end)?;
        if start.0 > end.0 || (start.0 == end.0 && !(start.1 && end.1)) {
            return Err("the range ends before it begins".to_owned());
        }
        Ok(Selection::Range { start, end })
    }
}

fn bound(
    name: &str,
    with: Option<String>,
    without: Option<String>,
) -> Result<(Vec<u8>, bool), String> {
    let (text, is_in) = match (with, without) {
        (Some(text), None) => (text, true),
        (None, Some(text)) => (text, false),
        _ => return Err(format!("exactly one of {name} and excl_{name} must be there")),
    };
    let key = BASE64_STANDARD.decode(text).map_err(|error| format!("{name}: {error}"))?;
    // Nothing is in front of every key: SDKs begin so where they have no bound.
    if key.len() > BOUND_BYTES_MAX {
        return Err(format!("{name} must have at most {BOUND_BYTES_MAX} bytes"));
    }
    Ok((key, is_in))
}

impl Snapshot {
    fn checked(self) -> Result<Requirement, String> {
        let uuid = self.vb_uuid.parse().map(VbUuid);
        let uuid = uuid.map_err(|_| format!("vb_uuid {:?} is not a number", self.vb_uuid))?;
        let wait_ms = self.timeout_ms.unwrap_or_default().min(WAIT_MS_MAX);
        Ok(Requirement { uuid, seqno: Seqno(self.seqno), wait_ms, exists: self.seqno_exists })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a scan looks at this key of a collection.
    fn has(wanted: &Wanted, collection: u32, key: &str) -> bool {
        let (start, end) = wanted.keys();
        let key = mcbp::key::prefixed(collection, key.as_bytes());
        (start..end).contains(&key.to_vec())
    }

    #[test]
    fn bounds_are_in_the_range_or_not() {
        let json = br#"{"range":{"start":"Yg==","excl_end":"ZA=="},"key_only":true}"#;
        let wanted = Wanted::parse(json).unwrap();
        assert!(wanted.key_only && wanted.requirement.is_none());
        assert!(["b", "ba", "c", "c\u{ff}"].iter().all(|key| has(&wanted, 0, key)));
        assert!(!["a", "d", "da", ""].iter().any(|key| has(&wanted, 0, key)));
        assert!(!has(&wanted, 8, "c"));
        let json = br#"{"range":{"excl_start":"Yg==","end":"ZA=="},"collection":"ff"}"#;
        let wanted = Wanted::parse(json).unwrap();
        assert!(["b\0", "ba", "d"].iter().all(|key| has(&wanted, 0xff, key)));
        assert!(!["b", "a", "d\0", "da"].iter().any(|key| has(&wanted, 0xff, key)));
        assert!(!has(&wanted, 0, "c") && !has(&wanted, 0x7f, "c") && !has(&wanted, 0xfe, "c"));
    }

    #[test]
    fn a_sample_has_every_key_and_a_snapshot_its_branch() {
        let json = br#"{"sampling":{"samples":3,"seed":7},"snapshot_requirements":
            {"vb_uuid":"12","seqno":5,"timeout_ms":99999999,"seqno_exists":true}}"#;
        let wanted = Wanted::parse(json).unwrap();
        assert_eq!(wanted.selection, Selection::Sample { samples: 3, seed: 7 });
        assert!(["", "anything", "\u{ff}"].iter().all(|key| has(&wanted, 0, key)));
        assert!(!has(&wanted, 8, "anything"));
        let requirement =
            Requirement { uuid: VbUuid(12), seqno: Seqno(5), wait_ms: WAIT_MS_MAX, exists: true };
        assert_eq!(wanted.requirement, Some(requirement));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"range":{"start":"YQ==","end":"Yg=="},"sampling":{"samples":1}}"#,
            r#"{"range":{"start":"YQ=="}}"#,
            r#"{"range":{"start":"YQ==","excl_start":"YQ==","end":"Yg=="}}"#,
            r#"{"range":{"start":"?","end":"Yg=="}}"#,
            r#"{"range":{"start":"YQ==","end":""}}"#,
            r#"{"range":{"start":"Yg==","end":"YQ=="}}"#,
            r#"{"range":{"excl_start":"YQ==","end":"YQ=="}}"#,
            r#"{"sampling":{"samples":0}}"#,
            r#"{"sampling":{"samples":-1}}"#,
            r#"{"sampling":{"samples":1},"snapshot_requirements":{"vb_uuid":"x","seqno":1}}"#,
        ] {
            Wanted::parse(json.as_bytes()).unwrap_err();
        }
    }
}
