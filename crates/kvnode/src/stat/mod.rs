//! STAT: groups of names and values, one answer for each pair, ended by an empty one.

mod general;
mod vbuckets;

use std::sync::Arc;

use log::debug;
use mcbp::{FrameBuilder, Opcode, Status, VbId};

use crate::blocking::disk;
use crate::bucket::{Bucket, Vb};
use crate::client::Client;
use crate::dcp::{self, ServedBucket};
use crate::protocol::{Request, RequestError, any_vb, check_ready};

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
    let needed = answer_bytes(name, vb, bucket.options().vbuckets.into());
    if !client.may_answer_with(needed) {
        return Ok(());
    }
    // The general group has no name.
    let lines = match (words.next().unwrap_or(""), words.next()) {
        ("", None) => disk(|| general::lines(&client.node, bucket)),
        ("warmup", None) => general::warmup(bucket),
        ("dcp", None) => dcp::stats(served, request.frame.value)
            .map_err(|error| RequestError::new(Status::EINVAL, error))?,
        ("dcp-vbtakeover", Some(vb)) => {
            let vb = any_vb(bucket, vb_id(vb)?)?;
            // Without a name the answer is that there is no such connection.
            dcp::takeover_stats(served, &vb, words.next().unwrap_or(""))
        }
        (group @ ("vbucket" | "vbucket-details" | "vbucket-seqno" | "failovers"), vb) => {
            let vbs = selected(bucket, vb)?;
            disk(|| vbuckets::lines(group, &vbs))?
        }
        _ => {
            let text = format!("no statistics group {group:?}");
            return Err(RequestError::new(Status::KEY_ENOENT, text));
        }
    };
    if !client.may_answer_with(encoded_bytes(&lines)) {
        // The estimate was too low: the lines are made again once there is memory for them.
        return Ok(());
    }
    debug!("statistics peer={} group={group:?} lines={}", client.peer, lines.len());
    let answer = FrameBuilder::response(Opcode::STAT, Status::SUCCESS);
    let answer = answer.opaque(request.frame.header.opaque);
    for (name, value) in &lines {
        client.replies.send(&answer.key(name.as_bytes()).value(value.as_bytes()));
    }
    client.replies.send(&answer);
    Ok(())
}

/// The bytes of the answer with these lines, and of the empty one that ends it.
fn encoded_bytes(lines: &[(String, String)]) -> usize {
    let bytes = |(name, value): &(String, String)| mcbp::HEADER_BYTES + name.len() + value.len();
    lines.iter().map(bytes).sum::<usize>() + mcbp::HEADER_BYTES
}

/// Estimates the bytes of a group's answer; those of a single vBucket and of the node are small.
fn answer_bytes(group: &str, vb: Option<&str>, vbuckets: usize) -> usize {
    let lines = match (group, vb) {
        ("vbucket", None) => vbuckets,
        // Seqnos have ten lines for each, failover tables up to 50, of which most have a few; DCP
        // has some for each stream.
        ("vbucket-details" | "vbucket-seqno" | "failovers" | "dcp", None) => 12 * vbuckets,
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
