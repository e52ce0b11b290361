//! Tracks as the text of a file.
//!
//! Version 1, JSON: `seqno` is the last one whose line was taken, `snapshot` the bounds of the
//! snapshot that contains it, `base` and `points` where a rollback can go back to, `log` the
//! branches of the history that was received, newest first. A uuid is a string, because many
//! programs round numbers beyond 2^53.

use std::collections::BTreeMap;

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbId, VbUuid};
use replica::plan::VBUCKETS_MAX;
use serde::{Deserialize, Serialize};

use crate::Track;

/// What a file of this program begins with.
const FORMAT: &str = "dcp-proxy tail";
/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// Which changes were shown. With another filter, changes before the checkpoint would be missing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The id of the only collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// What keys begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// How far the vBuckets of a bucket were followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The bucket.
    pub bucket: String,
    /// Which changes were shown.
    pub filter: Filter,
    /// The tracks.
    pub tracks: BTreeMap<VbId, Track>,
}

/// Why a text is not a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It is no JSON of this form.
    #[error("it is no checkpoint of dcp-proxy tail: {0}")]
    Malformed(String),
    /// Another version of the program wrote it.
    #[error("it is a checkpoint of version {0}, and this program reads version {VERSION}")]
    Version(u64),
    /// A vBucket that no bucket has.
    #[error("vbucket {0}: a bucket has fewer than {VBUCKETS_MAX}: the file was damaged")]
    Vb(u16),
    /// The numbers of a vBucket contradict each other.
    #[error(
        "vbucket {vb}: seqno {seqno} is not within its snapshot {first} to {last}, or after \
             its points: the file was damaged"
    )]
    Contradiction {
        /// The vBucket.
        vb: u16,
        /// Its seqno.
        seqno: u64,
        /// The snapshot.
        first: u64,
        /// The snapshot.
        last: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    version: u64,
    bucket: String,
    filter: Filter,
    vbuckets: BTreeMap<u16, Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    seqno: u64,
    snapshot: (u64, u64),
    base: u64,
    points: Vec<u64>,
    log: Vec<(String, u64)>,
}

impl Checkpoint {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// A [`CheckpointError`] that says what is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, CheckpointError> {
        let malformed = |error: serde_json::Error| CheckpointError::Malformed(error.to_string());
        let head: Head = serde_json::from_str(text).map_err(malformed)?;
        if head.format != FORMAT {
            let text = format!("its format is {:?}", head.format);
            return Err(CheckpointError::Malformed(text));
        }
        if head.version != VERSION {
            return Err(CheckpointError::Version(head.version));
        }
        let File { bucket, filter, vbuckets, .. } =
            serde_json::from_str(text).map_err(malformed)?;
        if let Some(vb) = vbuckets.keys().copied().find(|vb| *vb >= VBUCKETS_MAX) {
            return Err(CheckpointError::Vb(vb));
        }
        let tracks = vbuckets.into_iter().map(|(vb, entry)| Ok((VbId(vb), entry.track(vb)?)));
        Ok(Self { bucket, filter, tracks: tracks.collect::<Result<_, _>>()? })
    }

    /// The text of the file: one line for each vBucket.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let filter = serde_json::to_string(&self.filter).unwrap_or_else(|_| "{}".to_owned());
        let mut out = format!(
            "{{\"format\":{},\"version\":{VERSION},\"bucket\":{},\"filter\":{filter},\
             \"vbuckets\":{{",
            text(FORMAT),
            text(&self.bucket),
        );
        for (at, (vb, track)) in self.tracks.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let entry = serde_json::to_string(&Entry::of(track)).unwrap_or_default();
            out.push_str(&format!("{comma}\n\"{}\":{entry}", vb.0));
        }
        out.push_str("\n}}\n");
        out
    }
}

impl Entry {
    fn of(track: &Track) -> Self {
        let log = track.log.iter().map(|entry| (entry.uuid.to_string(), entry.seqno.0));
        Self {
            seqno: track.seqno.0,
            snapshot: (track.snapshot.0.0, track.snapshot.1.0),
            base: track.base.0,
            points: track.points.iter().map(|point| point.0).collect(),
            log: log.collect(),
        }
    }

    fn track(self, vb: u16) -> Result<Track, CheckpointError> {
        let Self { seqno, snapshot: (first, last), base, points, log } = self;
        let points_rise = points.iter().zip(points.iter().skip(1)).all(|(a, b)| a < b)
            && points.first().is_none_or(|point| *point > base)
            && points.last().is_none_or(|point| *point <= seqno);
        if first > seqno || seqno > last || base > first || !points_rise {
            return Err(CheckpointError::Contradiction { vb, seqno, first, last });
        }
        let uuid = |text: &str| {
            let wrong = |_| CheckpointError::Malformed(format!("vbucket {vb}: uuid {text:?}"));
            text.parse().map(VbUuid).map_err(wrong)
        };
        let entry = |(id, seqno): &(String, u64)| {
            Ok(FailoverEntry { uuid: uuid(id)?, seqno: Seqno(*seqno) })
        };
        let mut track = Track::at(Seqno(seqno), VbUuid(0));
        track.base = Seqno(base);
        track.snapshot = (Seqno(first), Seqno(last));
        track.points = points.into_iter().map(Seqno).collect();
        track.log = log.iter().map(entry).collect::<Result<_, _>>()?;
        Ok(track)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut track = Track::at(Seqno(40), VbUuid(9));
        let entry = |uuid, seqno| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
        track.opened(&[entry(u64::MAX, 50), entry(5, 0)]);
        track.marker(Seqno(41), Seqno(60));
        (41..=60).for_each(|seqno| _ = track.advance(Seqno(seqno)));
        track.marker(Seqno(61), Seqno(70));
        assert!(track.advance(Seqno(63)));
        let filter = Filter { key: Some("user:\"".to_owned()), collection: None };
        let tracks = BTreeMap::from([(VbId(0), Track::start()), (VbId(1023), track)]);
        Checkpoint { bucket: "a \"b\"".to_owned(), filter, tracks }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let checkpoint = checkpoint();
        let text = checkpoint.to_json();
        assert_eq!(Checkpoint::from_json(&text), Ok(checkpoint), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["vbuckets"]["1023"]["snapshot"], serde_json::json!([60, 70]), "{text}");
        assert_eq!(text.lines().count(), 4, "a line for each vBucket: {text}");
    }

    #[test]
    fn what_is_no_checkpoint_is_refused_with_the_reason() {
        let text = checkpoint().to_json();
        let error = |text: &str| Checkpoint::from_json(text).unwrap_err();
        assert!(matches!(error(""), CheckpointError::Malformed(_)));
        assert!(matches!(error(&text[..text.len() / 2]), CheckpointError::Malformed(_)));
        assert!(matches!(error("{\"format\":\"x\",\"version\":1}"), CheckpointError::Malformed(_)));
        let later = text.replace("\"version\":1", "\"version\":2");
        assert_eq!(error(&later), CheckpointError::Version(2));
        let damaged = text.replace("\"seqno\":63", "\"seqno\":73");
        let wrong = CheckpointError::Contradiction { vb: 1023, seqno: 73, first: 60, last: 70 };
        assert_eq!(error(&damaged), wrong);
        assert_eq!(error(&text.replace("\"1023\"", "\"1024\"")), CheckpointError::Vb(1024));
        let no_uuid = text.replace(&u64::MAX.to_string(), "-1");
        assert!(error(&no_uuid).to_string().contains("uuid"), "{}", error(&no_uuid));
    }
}
