//! STAT: groups of names and values, one answer for each pair, ended by an empty one.
//!
//! - `general`: the group without a name, and `warmup`; `engine`: memory, store and settings
//! - `timings`: how long commands took
//! - `vbuckets`: groups about vBuckets; `collections`: about collections and scopes; `document`:
//!   about one document
//! - `buckets`: the group that needs no selected bucket

mod buckets;
mod collections;
mod document;
mod engine;
mod general;
mod timings;
mod vbuckets;

use std::sync::Arc;

use log::debug;
use mcbp::{FrameBuilder, Opcode, Status, VbId};

use crate::blocking::disk;
use crate::bucket::{Bucket, Vb};
use crate::client::Client;
use crate::dcp::{self, ServedBucket};
use crate::protocol::{Request, RequestError, any_vb, check_ready};

use self::collections::Which;

type Lines = Vec<(String, String)>;

/// Groups with lines for each vBucket, or for the one that is named.
const VBUCKET_GROUPS: [&str; 10] = [
    "vbucket",
    "vbucket-details",
    "vbucket-durability-state",
    "vbucket-seqno",
    "failovers",
    "hash",
    "checkpoint",
    "durability-monitor",
    "collections-details",
    "scopes-details",
];

/// Groups of a bucket that take no argument.
const PLAIN_GROUPS: [&str; 9] = [
    "warmup",
    "memory",
    "kvstore",
    "diskinfo",
    "workload",
    "config",
    "timings",
    "collections",
    "scopes",
];

/// The bytes of one answer, header included, with a name of usual length.
const LINE_BYTES: usize = 64;

/// Answers with the group that the key names.
pub(crate) fn stat(
    client: &mut Client,
    served: &ServedBucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let group = std::str::from_utf8(request.frame.key).map_err(|_| Status::KEY_ENOENT)?;
    let bucket = &served.bucket;
    let mut words = group.split_ascii_whitespace();
    let (name, vb) = (words.clone().next().unwrap_or(""), words.clone().nth(1));
    let needed = answer_bytes(name, vb, bucket);
    if !client.may_answer_with(needed) {
        return Ok(());
    }
    // The general group has no name.
    let lines = match (words.next().unwrap_or(""), words.next()) {
        ("", None) => disk(|| general::lines(&client.node, bucket)),
        ("bucket_details", name) => bucket_details(client, name)?,
        ("dcp", None) => dcp::stats(served, request.frame.value)
            .map_err(|error| RequestError::new(Status::EINVAL, error))?,
        ("dcp-vbtakeover", Some(vb)) => {
            let vb = any_vb(bucket, vb_id(vb)?)?;
            // Without a name the answer is that there is no such connection.
            dcp::takeover_stats(served, &vb, words.next().unwrap_or(""))
        }
        // As kv_engine does, which has it for one vBucket alone.
        ("durability-monitor", None) => return Err(Status::NOT_SUPPORTED.into()),
        (name, vb) => {
            let following: Vec<_> = vb.into_iter().chain(words).collect();
            let of_document = document::lines(bucket, name, &following)?;
            let lines = of_document.map_or_else(|| of_bucket(bucket, name, vb), |it| Ok(Some(it)));
            lines?.ok_or_else(|| unknown(group))?
        }
    };
    answer(client, request, group, &lines);
    Ok(())
}

/// Answers a client that has selected no bucket, with a group that needs none.
pub(crate) fn stat_without_bucket(
    client: &mut Client,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let group = std::str::from_utf8(request.frame.key).map_err(|_| Status::KEY_ENOENT)?;
    let mut words = group.split_ascii_whitespace();
    let lines = match words.next().unwrap_or("") {
        "bucket_details" => bucket_details(client, words.next())?,
        name if name.is_empty() || needs_bucket(name) => return Err(Status::NO_BUCKET.into()),
        _ => return Err(unknown(group)),
    };
    answer(client, request, group, &lines);
    Ok(())
}

fn unknown(group: &str) -> RequestError {
    RequestError::new(Status::KEY_ENOENT, format!("no statistics group {group:?}"))
}

fn bucket_details(client: &Client, name: Option<&str>) -> Result<Lines, RequestError> {
    let login = client.login.as_ref().ok_or(Status::EACCESS)?;
    buckets::details(&client.node, login, name).ok_or_else(|| {
        RequestError::new(Status::KEY_ENOENT, format!("no bucket {:?}", name.unwrap_or("")))
    })
}

/// Whether a group is one that a selected bucket has.
fn needs_bucket(name: &str) -> bool {
    PLAIN_GROUPS.contains(&name)
        || VBUCKET_GROUPS.contains(&name)
        || name == "dcp"
        || name == "dcp-vbtakeover"
}

/// Returns a group of the bucket; `None` where there is none of this name.
fn of_bucket(bucket: &Bucket, name: &str, vb: Option<&str>) -> Result<Option<Lines>, RequestError> {
    if VBUCKET_GROUPS.contains(&name) {
        let (vbs, all) = (selected(bucket, vb)?, vb.is_none());
        let lines = disk(|| match name {
            "collections-details" => collections::collections_details(bucket, &vbs, all),
            "scopes-details" => collections::scopes_details(bucket, &vbs, all),
            name => vbuckets::lines(name, &vbs),
        })?;
        return Ok(Some(lines));
    }
    let which = vb.map_or(Which::All, Which::Path);
    match (name, vb) {
        ("collections", _) => return disk(|| collections::collections(bucket, which)).map(Some),
        ("scopes", _) => return disk(|| collections::scopes(bucket, which)).map(Some),
        ("collections-byid", Some(id)) => {
            return disk(|| collections::collections(bucket, Which::Id(id))).map(Some);
        }
        ("scopes-byid", Some(id)) => {
            return disk(|| collections::scopes(bucket, Which::Id(id))).map(Some);
        }
        ("diskinfo", Some("detail")) => return Ok(Some(engine::diskinfo_detail(bucket))),
        (_, Some(_)) => return Ok(None),
        (_, None) => {}
    }
    Ok(Some(match name {
        "warmup" => general::warmup(bucket),
        "memory" => engine::memory(bucket),
        "kvstore" => engine::kvstore(bucket),
        "diskinfo" => disk(|| engine::diskinfo(bucket)),
        "workload" => engine::workload(),
        "config" => engine::config(bucket),
        "timings" => timings::lines(bucket),
        _ => return Ok(None),
    }))
}

/// Sends the lines, once there is memory for them: until then the command is executed again.
fn answer(client: &mut Client, request: &Request<'_>, group: &str, lines: &[(String, String)]) {
    if !client.may_answer_with(encoded_bytes(lines)) {
        // The estimate was too low: the lines are made again.
        return;
    }
    debug!("statistics peer={} group={group:?} lines={}", client.peer, lines.len());
    let answer = FrameBuilder::response(Opcode::STAT, Status::SUCCESS);
    let answer = answer.opaque(request.frame.header.opaque);
    for (name, value) in lines {
        client.replies.send(&answer.key(name.as_bytes()).value(value.as_bytes()));
    }
    client.replies.send(&answer);
}

/// The bytes of the answer with these lines, and of the empty one that ends it.
fn encoded_bytes(lines: &[(String, String)]) -> usize {
    let bytes = |(name, value): &(String, String)| mcbp::HEADER_BYTES + name.len() + value.len();
    lines.iter().map(bytes).sum::<usize>() + mcbp::HEADER_BYTES
}

/// Estimates the bytes of a group's answer; those of a single vBucket and of the node are small.
fn answer_bytes(group: &str, vb: Option<&str>, bucket: &Bucket) -> usize {
    let vbuckets = usize::from(bucket.options().vbuckets);
    let of_collections = || 10 * bucket.manifest().collections().count();
    let lines = match (group, vb) {
        ("collections" | "scopes", None) => of_collections(),
        ("collections-details" | "scopes-details", None) => vbuckets * of_collections(),
        ("collections-details" | "scopes-details", Some(_)) => of_collections(),
        ("vbucket", None) => vbuckets,
        // Seqnos have ten lines for each, failover tables up to 50, of which most have a few; DCP
        // has some for each stream.
        ("dcp", None) => 12 * vbuckets,
        (name, None) if VBUCKET_GROUPS.contains(&name) => 12 * vbuckets,
        _ => 0,
    };
    lines * LINE_BYTES
}

fn vb_id(word: &str) -> Result<VbId, RequestError> {
    let number = word.parse().map(VbId);
    number.map_err(|_| RequestError::new(Status::EINVAL, format!("{word:?} is no vBucket id")))
}

/// The vBucket that is named, or all of them.
fn selected(bucket: &Bucket, vb: Option<&str>) -> Result<Vec<Arc<Vb>>, RequestError> {
    match vb {
        Some(vb) => Ok(vec![any_vb(bucket, vb_id(vb)?)?]),
        None => {
            check_ready(bucket)?;
            Ok(bucket.all_vbs().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn the_memory_of_an_answer_is_what_its_lines_take() {
        let long = "x".repeat(200);
        let lines = [("a", "1"), (long.as_str(), "2"), ("b", long.as_str())];
        let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let answer = FrameBuilder::response(Opcode::STAT, Status::SUCCESS);
        let mut out = BytesMut::new();
        for (name, value) in &lines {
            answer.key(name.as_bytes()).value(value.as_bytes()).write(&mut out);
        }
        answer.write(&mut out);
        assert_eq!(encoded_bytes(&lines), out.len());
    }
}
