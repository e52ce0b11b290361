//! SET, ADD, REPLACE, DELETE, APPEND, PREPEND, quiet or not.

use bytes::Bytes;
use mcbp::kv::{StoreExtras, mutation_token};
use mcbp::{Datatype, Opcode, Status};
use vbucket::durability::Blocked;
use vbucket::value::kept_by_deletion;
use vbucket::{Kind, Row};

use super::expiry::checked_expiry;
use super::read::{by, keeping, living, matching};
use super::value::Value;
use crate::bucket::{Bucket, Draft, Version, WriteRefusal, Written};
use crate::client::Client;
use crate::clock::unix_now;
use crate::protocol::{Features, Request, RequestError, active_vb};

/// SET, ADD and REPLACE.
pub(super) async fn store(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    let extras = StoreExtras::decode(&request.frame)?;
    let cas = request.frame.header.cas;
    if request.opcode == Opcode::ADD && cas != 0 {
        return Err(RequestError::new(Status::EINVAL, "ADD takes no CAS"));
    }
    let value = Value::checked(request.value(), body_datatype(request, client)?)?;
    let expiry = checked_expiry(extras.expiry)?;
    let change = |old: Option<&Row>| {
        let old = match request.opcode {
            Opcode::ADD if living(old).is_some() => {
                return Err(WriteRefusal::Status(Status::KEY_EEXISTS));
            }
            Opcode::ADD => None,
            Opcode::SET if cas == 0 => living(old),
            _ => Some(matching(old, cas)?),
        };
        let value = with_xattrs_of(old, &value).map_err(WriteRefusal::Status)?;
        let expiry = kept_expiry(old).filter(|_| request.preserve_ttl).unwrap_or(expiry);
        let kind = Kind::Document { flags: extras.flags, expiry };
        Ok(Draft { version: Version::Ours, kind, datatype: value.datatype, value: value.bytes })
    };
    let written =
        vb.write(Bytes::copy_from_slice(key), value.bytes.len(), by(request), change).await?;
    bucket.counters().sets.add(1);
    written_answer(client, request, written, &[]);
    Ok(())
}

/// The datatype of a body: extended attributes are set by other commands.
fn body_datatype(request: &Request<'_>, client: &Client) -> Result<Datatype, RequestError> {
    let datatype = request.datatype(&client.features)?;
    if datatype.contains(Datatype::XATTR) {
        let context = "the datatype says that the value has extended attributes, which only \
                       sub-document commands and those with metadata set";
        return Err(RequestError::new(Status::EINVAL, context));
    }
    Ok(datatype)
}

/// Returns the new value. A new body keeps the document's extended attributes.
fn with_xattrs_of(old: Option<&Row>, value: &Value) -> Result<Value, Status> {
    let xattr = mcbp::Datatype::XATTR;
    match old {
        Some(old) if old.datatype.contains(xattr) && !value.datatype.contains(xattr) => {
            let old = Value { bytes: old.value.clone(), datatype: old.datatype };
            let (xattrs, _) = old.split()?;
            let (_, body) = value.split()?;
            Value::joined(&xattrs, &body)
        }
        _ => Ok(value.clone()),
    }
}

fn kept_expiry(old: Option<&Row>) -> Option<u32> {
    match old?.kind {
        Kind::Document { expiry, .. } => Some(expiry),
        _ => None,
    }
}

/// APPEND and PREPEND.
pub(super) async fn extend(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    let datatype = body_datatype(request, client)?;
    let (_, more) = Value { bytes: request.value(), datatype }.split()?;
    let change = |old: Option<&Row>| {
        let missing = WriteRefusal::Status(Status::NOT_STORED);
        let old = living(old).ok_or(missing)?;
        let old = matching(Some(old), request.frame.header.cas)?;
        let value = Value { bytes: old.value.clone(), datatype: old.datatype };
        let (xattrs, body) = value.split().map_err(WriteRefusal::Status)?;
        let body = if request.opcode == Opcode::APPEND {
            [body, more.clone()].concat()
        } else {
            [more.clone(), body].concat()
        };
        Ok(keeping(old, Value::joined(&xattrs, &body).map_err(WriteRefusal::Status)?))
    };
    let written = vb.write(Bytes::copy_from_slice(key), more.len(), by(request), change).await?;
    bucket.counters().sets.add(1);
    written_answer(client, request, written, &[]);
    Ok(())
}

/// DELETE. The deletion keeps the system's extended attributes.
pub(super) async fn delete(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    let change = |old: Option<&Row>| {
        let old = matching(old, request.frame.header.cas)?;
        let kind = Kind::Deleted { at: unix_now() };
        let (datatype, value) = kept_by_deletion(old.datatype, &old.value);
        Ok(Draft { version: Version::Ours, kind, datatype, value })
    };
    let written = vb.write(Bytes::copy_from_slice(key), 0, by(request), change).await;
    let written = written.map_err(|refusal| match refusal {
        // As kv_engine, which reads the document first.
        WriteRefusal::Blocked(Blocked::Recommit) => {
            RequestError::new(Status::SYNC_WRITE_RE_COMMIT_IN_PROGRESS, refusal)
        }
        refusal => refusal.into(),
    })?;
    bucket.counters().deletes.add(1);
    if client.features == Features::default() {
        // To a plain memcached client a deletion has no CAS: memccapable checks that.
        let answer = Some(request.success()).filter(|_| !request.quiet);
        client.replies.answer(&request.frame.header, Some(written.commit), answer.as_ref());
        return Ok(());
    }
    written_answer(client, request, written, &[]);
    Ok(())
}

/// Adds the answer to a change, with its CAS and, if negotiated, its mutation token.
pub(super) fn written_answer(
    client: &mut Client,
    request: &Request<'_>,
    written: Written,
    value: &[u8],
) {
    let Written { row, uuid, commit } = written;
    let token = mutation_token(uuid, row.seqno);
    let extras: &[u8] = if client.features.mutation_seqno { &token } else { &[] };
    let frame = request.success().cas(row.cas).extras(extras).value(value);
    client.replies.answer(
        &request.frame.header,
        Some(commit),
        Some(&frame).filter(|_| !request.quiet),
    );
}
