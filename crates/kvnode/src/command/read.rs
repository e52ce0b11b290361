//! GET and GETK, quiet or not; and how any command shows a document.

use std::sync::Arc;

use mcbp::{Opcode, Status};
use vbucket::{Kind, Row};

use super::value::Value;
use super::{active_vb, answer, success};
use crate::bucket::{Bucket, Draft, Refusal, Ticket, Vb};
use crate::clock::unix_now;
use crate::session::{Fail, Request, Session};

/// Answers with a document, or that there is none (quiet forms: with silence).
pub(super) async fn get(
    session: &mut Session,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), Fail> {
    let vb = active_vb(bucket, request.vb())?;
    let key = request.key(&session.features)?;
    bucket.counters().gets.add(1);
    let Some((row, ticket)) = alive(bucket, &vb, key).await? else {
        return if request.quiet { Ok(()) } else { miss(session, request) };
    };
    bucket.counters().get_hits.add(1);
    show(session, request, &row, ticket)
}

/// GETK repeats the key even when there is no document.
fn miss(session: &mut Session, request: &Request<'_>) -> Result<(), Fail> {
    if request.opcode != Opcode::GETK {
        return Err(Status::KEY_ENOENT.into());
    }
    let header = request.frame.header;
    let frame = mcbp::FrameBuilder::response(header.opcode, Status::KEY_ENOENT);
    session.replies.send(&frame.opaque(header.opaque).key(request.frame.key));
    Ok(())
}

/// Adds an answer with the document's flags and body.
pub(super) fn show(
    session: &mut Session,
    request: &Request<'_>,
    row: &Row,
    ticket: Option<Ticket>,
) -> Result<(), Fail> {
    let Kind::Document { flags, .. } = row.kind else {
        return Err(Status::KEY_ENOENT.into());
    };
    let value = Value { bytes: row.value.clone(), datatype: row.datatype };
    let shown = value.shown(&session.features).map_err(|_| {
        Fail::new(Status::EINTERNAL, "the stored value is not what its datatype says")
    })?;
    let key = if request.opcode == Opcode::GETK { request.frame.key } else { &[] };
    let flags = flags.to_be_bytes();
    let frame = success(request).extras(&flags).key(key).value(&shown.bytes);
    answer(session, request, ticket, Some(&frame.datatype(shown.datatype).cas(row.cas)));
    Ok(())
}

/// The document of a key. One whose time is over is made to expire, and is not there.
pub(super) async fn alive(
    bucket: &Bucket,
    vb: &Arc<Vb>,
    key: &[u8],
) -> Result<Option<(Arc<Row>, Option<Ticket>)>, Fail> {
    let found = crate::disk(|| vb.find(key))?.filter(|found| found.row.is_alive());
    let Some(found) = found else { return Ok(None) };
    if found.row.is_expired_at(unix_now()) {
        if vb.expire(found.row.key.clone()).await {
            bucket.counters().expired_on_access.add(1);
        }
        return Ok(None);
    }
    Ok(Some((found.row, found.ticket)))
}

/// The document among the rows that a change finds; one whose time is over is not there.
pub(super) fn living(old: Option<&Row>) -> Option<&Row> {
    old.filter(|row| row.is_alive() && !row.is_expired_at(unix_now()))
}

/// The same, checked against the CAS of a request; 0 asks for nothing.
pub(super) fn matching(old: Option<&Row>, cas: u64) -> Result<&Row, Refusal> {
    match living(old) {
        None => Err(Refusal::Status(Status::KEY_ENOENT)),
        Some(row) if cas != 0 && cas != row.cas => Err(Refusal::Status(Status::KEY_EEXISTS)),
        Some(row) => Ok(row),
    }
}

/// A document with a new value that keeps flags and expiry.
pub(super) fn keeping(old: &Row, value: Value) -> Draft {
    Draft { kind: old.kind, datatype: value.datatype, value: value.bytes }
}
