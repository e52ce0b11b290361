//! The seqnos to end at: `0=1200,1=1100` of a command line, or a file with the same as JSON, such
//! as a checkpoint.

use std::collections::BTreeMap;

use mcbp::{Seqno, VbId};
use replica::plan::VBUCKETS_MAX;

use crate::Checkpoint;

/// Why a text is no list of seqnos.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TargetError {
    /// A part of a list.
    #[error("{0:?} is not a vBucket and a seqno: give a list like 0=1200,1=1100")]
    Part(String),
    /// A vBucket is named twice.
    #[error("vbucket {0} is named twice: give one seqno for each")]
    Twice(u16),
    /// A vBucket that no bucket has.
    #[error("vbucket {0}: a bucket has fewer than {VBUCKETS_MAX}: see the list")]
    Vb(u16),
    /// A file.
    #[error("it is neither a checkpoint nor an object like {{\"0\":1200,\"1\":1100}}: {0}")]
    File(String),
}

/// Reads a list of seqnos, or the content of a file.
///
/// # Errors
/// A [`TargetError`] with the part that is wrong.
pub fn targets(text: &str) -> Result<BTreeMap<VbId, Seqno>, TargetError> {
    let text = text.trim();
    let targets = if text.starts_with('{') { of_file(text)? } else { of_list(text)? };
    match targets.keys().find(|vb| vb.0 >= VBUCKETS_MAX) {
        Some(vb) => Err(TargetError::Vb(vb.0)),
        None => Ok(targets),
    }
}

fn of_list(text: &str) -> Result<BTreeMap<VbId, Seqno>, TargetError> {
    let mut targets = BTreeMap::new();
    for part in text.split(',') {
        let pair = part
            .split_once('=')
            .and_then(|(vb, seqno)| Some((vb.trim().parse().ok()?, seqno.trim().parse().ok()?)));
        let (vb, seqno) = pair.ok_or_else(|| TargetError::Part(part.to_owned()))?;
        if targets.insert(VbId(vb), Seqno(seqno)).is_some() {
            return Err(TargetError::Twice(vb));
        }
    }
    Ok(targets)
}

fn of_file(text: &str) -> Result<BTreeMap<VbId, Seqno>, TargetError> {
    if let Ok(checkpoint) = Checkpoint::from_json(text) {
        let tracks = checkpoint.tracks.iter();
        return Ok(tracks.map(|(vb, track)| (*vb, track.seqno())).collect());
    }
    let seqnos: BTreeMap<u16, u64> =
        serde_json::from_str(text).map_err(|error| TargetError::File(error.to_string()))?;
    Ok(seqnos.into_iter().map(|(vb, seqno)| (VbId(vb), Seqno(seqno))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_files_name_seqnos() {
        let two = BTreeMap::from([(VbId(0), Seqno(1200)), (VbId(1), Seqno(1100))]);
        assert_eq!(targets("0=1200, 1=1100"), Ok(two.clone()));
        assert_eq!(targets("{\"0\":1200,\"1\":1100}\n"), Ok(two));
        assert_eq!(targets("0=1,0=2"), Err(TargetError::Twice(0)));
        for wrong in ["", "0", "0=", "x=1", "0=1,", "70000=1"] {
            assert!(matches!(targets(wrong), Err(TargetError::Part(_))), "{wrong}");
        }
        assert_eq!(targets("0=1,1024=1"), Err(TargetError::Vb(1024)));
        assert_eq!(targets("{\"5000\":1}"), Err(TargetError::Vb(5000)));
        assert!(matches!(targets("{\"a\":1}"), Err(TargetError::File(_))));
    }
}
