//! OBSERVE: of each document whether it is on disk. GET_RANDOM_KEY: any document. EVICT_KEY: this
//! node keeps no document in memory longer than its commit takes, so there is nothing to do.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use mcbp::key::{DEFAULT_COLLECTION, split};
use mcbp::{Seqno, Status, VbId, VbState};
use vbucket::store::{ScanEnd, ScanStep};

use super::read::{Seen, look, show};
use crate::blocking::disk;
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

/// The rows that are read at most to find a random document: of one scan, and in all.
const SCAN_ROWS_MAX: usize = 1_000;
const RANDOM_ROWS_MAX: usize = 10_000;

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
    let found = disk(|| vb.find_up_to(key, 0))?;
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

/// Answers with a document that nothing but chance has chosen, and its key.
pub(super) async fn random(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let collection = match (client.features.collections, request.frame.extras) {
        (false, []) => DEFAULT_COLLECTION,
        (true, &[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
        (true, _) => return Err(invalid("extras must be a collection id of 4 bytes")),
        (false, _) => return Err(invalid("without COLLECTIONS there are no extras")),
    };
    if bucket.manifest().collection(collection).is_none() {
        return Err(Status::UNKNOWN_COLLECTION.into());
    }
    let active = bucket.all_vbs().filter(|vb| vb.state() == VbState::Active);
    let mut vbs: Vec<_> = active.filter(|vb| vb.high_seqno() > Seqno::ZERO).collect();
    fastrand::shuffle(&mut vbs);
    let mut rows_left = RANDOM_ROWS_MAX;
    for vb in vbs {
        if rows_left == 0 {
            break;
        }
        let Some(key) = random_key(bucket, &vb, collection, &mut rows_left)? else {
            tokio::task::yield_now().await;
            continue;
        };
        let shown = match look(bucket, &vb, &key, client.answer_bytes_max()).await? {
            Seen::Alive(row, commit) => show(client, request, &row, commit)?,
            Seen::Large(bytes) => client.may_answer_with(bytes),
            // It was deleted in between.
            Seen::Missing(_) => continue,
        };
        let _without_memory = !shown;
        return Ok(());
    }
    Err(Status::KEY_ENOENT.into())
}

/// The key of a document of a collection in a vBucket, from a random seqno on, or else from its
/// first.
fn random_key(
    bucket: &Bucket,
    vb: &Vb,
    collection: u32,
    rows_left: &mut usize,
) -> Result<Option<Bytes>, RequestError> {
    let high = vb.high_seqno();
    let now = unix_now();
    for start in [Seqno(fastrand::u64(1..=high.0.max(1))), Seqno(1)] {
        let most = SCAN_ROWS_MAX.min(*rows_left);
        if most == 0 {
            break;
        }
        let (mut key, mut left) = (None, most);
        let end = disk(|| -> Result<_, vbucket::StoreError> {
            let mut scan = bucket.store().scan(vb.id(), start, high)?;
            Ok(scan.run(&mut |row| {
                left -= 1;
                let is_wanted = split(&row.key).is_some_and(|(id, _)| id == collection);
                if is_wanted && row.is_there_at(now) {
                    key = Some(row.key);
                }
                if key.is_some() || left == 0 { ScanStep::Cancel } else { ScanStep::More }
            }))
        });
        *rows_left -= most - left;
        if let ScanEnd::Failed(error) = end? {
            return Err(error.into());
        }
        if key.is_some() {
            return Ok(key);
        }
    }
    Ok(None)
}
