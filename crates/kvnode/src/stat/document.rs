//! The groups about one document: `key` of the default collection, `key-byid` of another one, and
//! `vkey` and `vkey-byid`, which compare it with the disk. The names are those of kv_engine.

use mcbp::key::{DEFAULT_COLLECTION, prefixed};
use mcbp::{Datatype, Status};
use vbucket::Kind;
use vbucket::stats::Stats;

use super::{Lines, vb_id};
use crate::bucket::Bucket;
use crate::clock::unix_now;
use crate::protocol::{RequestError, any_vb};

/// Returns such a group; `words` follow its name: a key, a vBucket, and perhaps a collection.
/// `None` where there is no such group, or not with so many words.
pub(super) fn lines(
    bucket: &Bucket,
    name: &str,
    words: &[&str],
) -> Result<Option<Lines>, RequestError> {
    let (is_verified, id, key, vb) = match (name, words) {
        ("key" | "vkey", [key, vb]) => (name == "vkey", DEFAULT_COLLECTION, key, vb),
        ("key-byid" | "vkey-byid", [key, vb, id]) => {
            (name == "vkey-byid", collection(id)?, key, vb)
        }
        _ => return Ok(None),
    };
    let vb = any_vb(bucket, vb_id(vb)?)?;
    let found = vb.find_up_to(&prefixed(id, key.as_bytes()), 0)?;
    let found =
        found.filter(|found| found.row.is_there_at(unix_now())).ok_or(Status::KEY_ENOENT)?;
    let row = found.shown();
    let Kind::Document { flags, expiry } = row.kind else { return Err(Status::KEY_ENOENT.into()) };
    let mut lines = Lines::new();
    let mut stats = Stats::new("key_", &mut lines);
    stats.put("is_dirty", found.commit.is_some());
    stats.put("exptime", expiry);
    stats.put("datatype", names(row.datatype));
    stats.put("flags", flags);
    stats.put("cas", row.cas);
    stats.put("vb_state", vb.state());
    if is_verified {
        // Every read compares checksums, and fails where they differ.
        stats.put("valid", if found.commit.is_some() { "dirty" } else { "valid" });
    }
    Ok(Some(lines))
}

fn collection(word: &str) -> Result<u32, RequestError> {
    let id = word.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let invalid = || RequestError::new(Status::EINVAL, format!("{word:?} is no id such as 0x8"));
    id.ok_or_else(invalid)
}

fn names(datatype: Datatype) -> String {
    let all = [(Datatype::SNAPPY, "snappy"), (Datatype::JSON, "json"), (Datatype::XATTR, "xattr")];
    let is_there = all.iter().filter(|(one, _)| datatype.contains(*one));
    let names: Vec<_> = is_there.map(|(_, name)| *name).collect();
    if names.is_empty() { "raw".to_owned() } else { names.join(",") }
}
