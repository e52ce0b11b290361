//! GET and GETK, quiet or not; and how every command answers with a document.

use std::sync::Arc;

use mcbp::key::without_prefix;
use mcbp::{FrameBuilder, Header, Opcode, Status};
use vbucket::{Kind, Row};

use super::value::Value;
use crate::account::FREE_BYTES;
use crate::bucket::{Bucket, By, Draft, PendingCommit, Vb, Version, WriteRefusal};
use crate::client::Client;
use crate::clock::unix_now;
use crate::protocol::{Request, RequestError, active_vb, replica_vb};

/// GET, GETK and GET_REPLICA: answers with a document, or KEY_ENOENT if there is none (quiet forms:
/// no answer).
pub(super) async fn get(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = match request.opcode {
        Opcode::GET_REPLICA => replica_vb(bucket, request.vb())?,
        _ => active_vb(bucket, request.vb())?,
    };
    let key = &*request.key(&client.features)?;
    match look(bucket, &vb, key, client.answer_bytes_max()).await? {
        Seen::Alive(row, commit) => {
            // Without memory for it the answer is given at the second attempt, and counted there.
            if show(client, request, &row, commit)? {
                bucket.counters().gets.add(1);
                bucket.counters().get_hits.add(1);
            }
        }
        Seen::Large(bytes) => drop(client.may_answer_with(bytes)),
        Seen::Missing(commit) => {
            bucket.counters().gets.add(1);
            miss(client, request, commit);
        }
    }
    Ok(())
}

/// Answers KEY_ENOENT, without the key; quiet forms not at all.
pub(super) fn miss(client: &mut Client, request: &Request<'_>, commit: Option<PendingCommit>) {
    let Header { opcode, opaque, .. } = request.frame.header;
    let frame = FrameBuilder::response(opcode, Status::KEY_ENOENT).opaque(opaque);
    client.replies.answer(&request.frame.header, commit, Some(&frame).filter(|_| !request.quiet));
}

/// Adds an answer with the document's flags and body. Returns false if there is no memory for it.
pub(super) fn show(
    client: &mut Client,
    request: &Request<'_>,
    row: &Row,
    commit: Option<PendingCommit>,
) -> Result<bool, RequestError> {
    let Kind::Document { flags, .. } = row.kind else {
        return Err(Status::KEY_ENOENT.into());
    };
    let value = Value { bytes: row.value.clone(), datatype: row.datatype };
    if !client.may_answer_with(value.shown_bytes_max(&client.features)) {
        return Ok(false);
    }
    let shown = value.shown(&client.features).map_err(|_| {
        RequestError::new(Status::EINTERNAL, "the stored value does not match its datatype")
    })?;
    let key = match request.opcode {
        Opcode::GETK => request.frame.key,
        Opcode::GET_RANDOM_KEY if client.features.collections => &row.key,
        Opcode::GET_RANDOM_KEY => without_prefix(&row.key),
        _ => &[],
    };
    let flags = flags.to_be_bytes();
    let frame = request.success().extras(&flags).key(key);
    let (frame, header) = (frame.datatype(shown.datatype).cas(row.cas), &request.frame.header);
    if shown.bytes.len() > FREE_BYTES {
        client.replies.answer_with(header, commit, &frame, shown.bytes);
    } else {
        client.replies.answer(header, commit, Some(&frame.value(&shown.bytes)));
    }
    Ok(true)
}

/// What a reader finds; with its commit if that is not durable yet.
pub(super) enum Seen {
    Alive(Arc<Row>, Option<PendingCommit>),
    /// A document whose value has so many bytes, more than may be read.
    Large(usize),
    Missing(Option<PendingCommit>),
}

/// Looks up a document, and reads its value from the disk if it has at most `value_bytes_max`. An
/// overdue document is expired and counts as missing.
pub(super) async fn look(
    bucket: &Bucket,
    vb: &Arc<Vb>,
    key: &[u8],
    value_bytes_max: usize,
) -> Result<Seen, RequestError> {
    let found = vb.find_up_to(key, value_bytes_max)?;
    let Some(found) = found else { return Ok(Seen::Missing(None)) };
    if found.row.is_expired_at(unix_now()) {
        if vb.expire(found.row.key.clone()).await {
            bucket.counters().expired_on_access.add(1);
        }
        return Ok(Seen::Missing(None));
    }
    let alive = found.row.is_alive();
    if alive && found.left_bytes > 0 {
        return Ok(Seen::Large(found.left_bytes));
    }
    Ok(if alive { Seen::Alive(found.shown(), found.commit) } else { Seen::Missing(found.commit) })
}

/// Returns the row if it is a document that is not overdue.
pub(super) fn living(old: Option<&Row>) -> Option<&Row> {
    old.filter(|row| row.is_there_at(unix_now()))
}

/// The same, checked against the CAS of a request; 0 matches every CAS.
pub(super) fn matching(old: Option<&Row>, cas: u64) -> Result<&Row, WriteRefusal> {
    match living(old) {
        None => Err(WriteRefusal::Status(Status::KEY_ENOENT)),
        Some(row) if cas != 0 && cas != row.cas => Err(WriteRefusal::Status(Status::KEY_EEXISTS)),
        Some(row) => Ok(row),
    }
}

/// The client that changes a document.
pub(super) const fn by(request: &Request<'_>) -> By {
    By::Client(request.frame.header.cas, request.requirement)
}

/// A change of the value that keeps flags and expiry.
pub(super) fn keeping(old: &Row, value: Value) -> Draft {
    Draft { version: Version::Ours, kind: old.kind, datatype: value.datatype, value: value.bytes }
}
