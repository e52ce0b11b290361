//! OBSERVE: of each document whether it is on disk. EVICT_KEY: this node keeps no document in
//! memory longer than its commit takes, so there is nothing to do.

use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use mcbp::{Status, VbId};

use super::read::{Seen, look};
use crate::bucket::{Bucket, Vb};
use crate::client::Client;
use crate::clock::unix_now;
use crate::protocol::{Request, RequestError, active_vb};

/// Of a document: it is not on disk yet; it is; it is not there; its deletion is not on disk yet.
const QUEUED: u8 = 0x00;
const PERSISTED: u8 = 0x01;
const NOT_FOUND: u8 = 0x80;
const DELETION_QUEUED: u8 = 0x81;

/// Status and CAS of a document in an answer of OBSERVE.
const STATE_BYTES: usize = 9;

fn invalid(context: &str) -> RequestError {
    RequestError::new(Status::EINVAL, context)
}

/// The value is a list of vBucket, length of the key (2 bytes each) and key; in the answer a status
/// and a CAS follow each of them.
pub(super) fn observe(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let mut rest = request.frame.value;
    if rest.is_empty() {
        return Err(invalid("OBSERVE has a list of keys as its value"));
    }
    // A key takes 5 bytes at least.
    if !client.may_answer_with(rest.len() + rest.len() / 5 * STATE_BYTES) {
        return Ok(());
    }
    let mut answer = BytesMut::with_capacity(rest.len() * 2);
    while !rest.is_empty() {
        let malformed = || invalid("a key is its vBucket and its length, 2 bytes each, and itself");
        let (head, after) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let [v0, v1, k0, k1] = *head;
        let bytes = usize::from(u16::from_be_bytes([k0, k1]));
        let (key, after) = after.split_at_checked(bytes).ok_or_else(malformed)?;
        rest = after;
        let vb = active_vb(bucket, VbId(u16::from_be_bytes([v0, v1])))?;
        let (status, cas) = state(&vb, &Request::key_in(key, &client.features)?)?;
        answer.put_slice(head);
        answer.put_slice(key);
        answer.put_u8(status);
        answer.put_u64(cas);
    }
    client.replies.send(&request.success().value(&answer));
    Ok(())
}

fn state(vb: &Arc<Vb>, key: &[u8]) -> Result<(u8, u64), RequestError> {
    let found = vb.find_up_to(key, 0)?;
    Ok(found.map_or((NOT_FOUND, 0), |found| {
        let row = found.shown();
        match (row.is_there_at(unix_now()), found.commit.is_some()) {
            (true, true) => (QUEUED, row.cas),
            (true, false) => (PERSISTED, row.cas),
            (false, true) => (DELETION_QUEUED, row.cas),
            (false, false) => (NOT_FOUND, 0),
        }
    }))
}

/// Answers whether the document is there.
pub(super) async fn evict(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    if matches!(look(bucket, &vb, key, 0).await?, Seen::Missing(_)) {
        return Err(RequestError::new(Status::KEY_ENOENT, "there is no such document"));
    }
    client.replies.send(&request.success().value(b"Already ejected."));
    Ok(())
}
