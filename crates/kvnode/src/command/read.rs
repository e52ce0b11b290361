//! GET and GETK, quiet or not; and how every command answers with a document.

use std::sync::Arc;

use mcbp::{FrameBuilder, Header, Opcode, Status};
use vbucket::{Kind, Row};

use super::value::Value;
use crate::blocking::disk;
use crate::bucket::{Bucket, Draft, PendingCommit, Vb, Version, WriteRefusal};
use crate::client::Client;
use crate::clock::unix_now;
use crate::protocol::{Request, RequestError, active_vb};

/// Answers with a document, or KEY_ENOENT if there is none (quiet forms: no answer).
pub(super) async fn get(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = request.key(&client.features)?;
    bucket.counters().gets.add(1);
    match look(bucket, &vb, key).await? {
        Seen::Alive(row, commit) => {
            bucket.counters().get_hits.add(1);
            show(client, request, &row, commit)?;
        }
        Seen::Missing(commit) => miss(client, request, commit),
    }
    Ok(())
}

/// Answers KEY_ENOENT, quiet forms not at all. The answer to GETK repeats the key.
pub(super) fn miss(client: &mut Client, request: &Request<'_>, commit: Option<PendingCommit>) {
    let Header { opcode, opaque, .. } = request.frame.header;
    let key = if request.opcode == Opcode::GETK { request.frame.key } else { &[] };
    let frame = FrameBuilder::response(opcode, Status::KEY_ENOENT).opaque(opaque).key(key);
    client.replies.answer(&request.frame.header, commit, Some(&frame).filter(|_| !request.quiet));
}

/// Adds an answer with the document's flags and body.
pub(super) fn show(
    client: &mut Client,
    request: &Request<'_>,
    row: &Row,
    commit: Option<PendingCommit>,
) -> Result<(), RequestError> {
    let Kind::Document { flags, .. } = row.kind else {
        return Err(Status::KEY_ENOENT.into());
    };
    let value = Value { bytes: row.value.clone(), datatype: row.datatype };
    let shown = value.shown(&client.features).map_err(|_| {
        RequestError::new(Status::EINTERNAL, "the stored value does not match its datatype")
    })?;
    let key = if request.opcode == Opcode::GETK { request.frame.key } else { &[] };
    let flags = flags.to_be_bytes();
    let frame = request.success().extras(&flags).key(key).value(&shown.bytes);
    client.replies.answer(
        &request.frame.header,
        commit,
        Some(&frame.datatype(shown.datatype).cas(row.cas)),
    );
    Ok(())
}

/// What a reader finds; with its commit if that is not durable yet.
pub(super) enum Seen {
    Alive(Arc<Row>, Option<PendingCommit>),
    Missing(Option<PendingCommit>),
}

/// Looks up a document. An overdue one is expired and counts as missing.
pub(super) async fn look(bucket: &Bucket, vb: &Arc<Vb>, key: &[u8]) -> Result<Seen, RequestError> {
    let Some(found) = disk(|| vb.find(key))? else { return Ok(Seen::Missing(None)) };
    if found.row.is_expired_at(unix_now()) {
        if vb.expire(found.row.key.clone()).await {
            bucket.counters().expired_on_access.add(1);
        }
        return Ok(Seen::Missing(None));
    }
    let alive = found.row.is_alive();
    Ok(if alive { Seen::Alive(found.row, found.commit) } else { Seen::Missing(found.commit) })
}

/// Returns the row if it is a document that is not overdue.
pub(super) fn living(old: Option<&Row>) -> Option<&Row> {
    old.filter(|row| row.is_alive() && !row.is_expired_at(unix_now()))
}

/// The same, checked against the CAS of a request; 0 matches every CAS.
pub(super) fn matching(old: Option<&Row>, cas: u64) -> Result<&Row, WriteRefusal> {
    match living(old) {
        None => Err(WriteRefusal::Status(Status::KEY_ENOENT)),
        Some(row) if cas != 0 && cas != row.cas => Err(WriteRefusal::Status(Status::KEY_EEXISTS)),
        Some(row) => Ok(row),
    }
}

/// A change of the value that keeps flags and expiry.
pub(super) fn keeping(old: &Row, value: Value) -> Draft {
    Draft { version: Version::Ours, kind: old.kind, datatype: value.datatype, value: value.bytes }
}
