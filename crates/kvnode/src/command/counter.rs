//! INCREMENT and DECREMENT: documents that hold decimal numbers.

use bytes::Bytes;
use mcbp::kv::CounterExtras;
use mcbp::{Opcode, Status};
use vbucket::{Kind, Row};

use super::expiry::checked_expiry;
use super::read::{by, keeping, living, matching};
use super::store::written_answer;
use super::value::Value;
use crate::bucket::{Bucket, Draft, Version, WriteRefusal};
use crate::client::Client;
use crate::protocol::{Request, RequestError, active_vb};

/// The value of the expiry field that means "do not create a missing counter".
const DO_NOT_CREATE: u32 = 0xffff_ffff;

/// Counts up (wraps after 64 bits) or down (stops at 0), and answers with the number.
pub(super) async fn count(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    let extras = CounterExtras::decode(&request.frame)?;
    // Of a new counter.
    let expiry = match extras.expiry {
        DO_NOT_CREATE => None,
        expiry => Some(checked_expiry(expiry)?),
    };
    let mut number = 0;
    let change = |old: Option<&Row>| match living(old) {
        None => {
            let missing = WriteRefusal::Status(Status::KEY_ENOENT);
            let Some(expiry) = expiry else { return Err(missing) };
            number = extras.initial;
            let kind = Kind::Document { flags: 0, expiry };
            let value = decimal(&[], number)?;
            Ok(Draft { version: Version::Ours, kind, datatype: value.datatype, value: value.bytes })
        }
        Some(old) => {
            let old = matching(Some(old), request.frame.header.cas)?;
            let value = Value { bytes: old.value.clone(), datatype: old.datatype };
            let (xattrs, body) = value.split().map_err(WriteRefusal::Status)?;
            let was = parse(&body).ok_or(WriteRefusal::Status(Status::DELTA_BADVAL))?;
            number = if request.opcode == Opcode::INCREMENT {
                was.wrapping_add(extras.delta)
            } else {
                was.saturating_sub(extras.delta)
            };
            Ok(keeping(old, decimal(&xattrs, number)?))
        }
    };
    let written = vb.write(Bytes::copy_from_slice(key), 0, by(request), change).await?;
    bucket.counters().sets.add(1);
    written_answer(client, request, written, &number.to_be_bytes());
    Ok(())
}

fn decimal(xattrs: &[u8], number: u64) -> Result<Value, WriteRefusal> {
    Value::joined(xattrs, number.to_string().as_bytes()).map_err(WriteRefusal::Status)
}

fn parse(body: &[u8]) -> Option<u64> {
    std::str::from_utf8(body).ok()?.trim().parse().ok()
}
