//! STAT: groups of names and values, one answer each, ended by an empty one.

mod general;
mod vbuckets;

use std::sync::Arc;

use log::debug;
use mcbp::{FrameBuilder, Opcode, Status, VbId};
use vbucket::stats::Stats;

use crate::bucket::{Bucket, Vb, Warmup};
use crate::command::{any_vb, ready};
use crate::session::{Fail, Request, Session};

/// Names and their values, in the order of the answer.
pub(crate) type Lines = Vec<(String, String)>;

/// Answers with the group that the key names.
pub(crate) fn stat(
    session: &mut Session,
    bucket: &Arc<Bucket>,
    request: &Request<'_>,
) -> Result<(), Fail> {
    let group = std::str::from_utf8(request.frame.key).map_err(|_| Status::KEY_ENOENT)?;
    let mut lines = Lines::new();
    let mut words = group.split_ascii_whitespace();
    match (words.next().unwrap_or_default(), words.next()) {
        ("", None) => crate::disk(|| general::lines(session, bucket, &mut lines)),
        ("warmup", None) => warmup(bucket, &mut lines),
        ("dcp", None) => crate::dcp::stats(bucket, request.frame.value, &mut line(&mut lines)),
        ("dcp-vbtakeover", Some(vb)) => {
            let vb = any_vb(bucket, vb_id(vb)?)?.id();
            let name = words.next().unwrap_or_default();
            crate::dcp::takeover_stats(bucket, vb, name, &mut line(&mut lines));
        }
        (group @ ("vbucket" | "vbucket-details" | "vbucket-seqno" | "failovers"), vb) => {
            let vbs = chosen(bucket, vb)?;
            crate::disk(|| vbuckets::lines(group, &vbs, &mut lines))?;
        }
        _ => return Err(Fail::new(Status::KEY_ENOENT, format!("no statistics group {group:?}"))),
    }
    debug!("statistics peer={} group={group:?} lines={}", session.peer, lines.len());
    let answer = FrameBuilder::response(Opcode::STAT, Status::SUCCESS);
    let answer = answer.opaque(request.frame.header.opaque);
    for (name, value) in &lines {
        session.replies.send(&answer.key(name.as_bytes()).value(value.as_bytes()));
    }
    session.replies.send(&answer);
    Ok(())
}

/// Takes one name and its value.
fn line(lines: &mut Lines) -> impl FnMut(&str, &str) {
    |name, value| lines.push((name.to_owned(), value.to_owned()))
}

fn vb_id(word: &str) -> Result<VbId, Fail> {
    let number = word.parse().map(VbId);
    number.map_err(|_| Fail::new(Status::EINVAL, format!("{word:?} is no vBucket id")))
}

/// The vBucket that is named, or all of them.
fn chosen(bucket: &Bucket, vb: Option<&str>) -> Result<Vec<Arc<Vb>>, Fail> {
    match vb {
        Some(vb) => Ok(vec![any_vb(bucket, vb_id(vb)?)?]),
        None => {
            ready(bucket)?;
            Ok(bucket.all_vbs().collect())
        }
    }
}

fn warmup(bucket: &Bucket, lines: &mut Lines) {
    let (state, thread, reason) = match bucket.warmup() {
        Warmup::Loading => ("loading", "running", String::new()),
        Warmup::Done => ("done", "complete", String::new()),
        Warmup::Failed(reason) => ("failed", "complete", reason),
        Warmup::Closed => ("closed", "complete", String::new()),
    };
    let mut stats = Stats::new("ep_warmup", lines);
    stats.put("", "enabled");
    stats.put("_state", state);
    stats.put("_thread", thread);
    if !reason.is_empty() {
        stats.put("_error", reason);
    }
}
