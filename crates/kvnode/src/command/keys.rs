//! GET_KEYS: the keys of a collection in a vBucket, in their order. GET_RANDOM_KEY: any document of
//! a collection.

use bytes::{BufMut as _, Bytes, BytesMut};
use mcbp::key::{DEFAULT_COLLECTION, collection_id, prefixed, without_prefix};
use mcbp::{Seqno, Status, VbState};
use vbucket::StoreError;
use vbucket::store::{ScanEnd, ScanStep};

use super::read::{Seen, look, show};
use crate::blocking::disk;
use crate::bucket::{Bucket, Vb};
use crate::client::Client;
use crate::clock::unix_now;
use crate::protocol::{Request, RequestError, active_vb};
use crate::put_off::yield_now;

/// How many keys GET_KEYS answers with if the client does not say. Source: kv_engine.
const KEYS_DEFAULT: usize = 1_000;
/// How many it answers with at most: the client asks again from the last one on.
const KEYS_MAX: usize = 10_000;
/// The rows that are read at most to find a document by chance, before its keys are looked at.
const SCAN_ROWS_MAX: usize = 1_000;
/// The documents that are looked at until one is found that is not overdue.
const LOOKS_MAX: usize = 1_000;

fn invalid(context: &str) -> RequestError {
    RequestError::new(Status::EINVAL, context)
}

/// Answers with keys from that of the request on, each with its length (2 bytes) before it.
pub(super) fn list(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let most = match *request.frame.extras {
        [] => KEYS_DEFAULT,
        [a, b, c, d] => usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(KEYS_MAX),
        _ => return Err(invalid("extras must be a number of keys of 4 bytes, or nothing")),
    };
    let from = request.key(&client.features)?;
    vb.check_readable(&from)?;
    let keys = disk(|| bucket.store().keys(vb.id(), &from, most.min(KEYS_MAX)))?;
    let mut answer = BytesMut::new();
    for key in &keys {
        let key = if client.features.collections { key } else { without_prefix(key) };
        answer.put_u16(u16::try_from(key.len()).unwrap_or(u16::MAX));
        answer.put_slice(key);
    }
    if client.may_answer_with(answer.len()) {
        client.replies.send(&request.success().value(&answer));
    }
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
    let mut vbs: Vec<_> = bucket.all_vbs().filter(|vb| vb.state() == VbState::Active).collect();
    fastrand::shuffle(&mut vbs);
    let mut looks_left = LOOKS_MAX;
    for vb in vbs {
        if !has_documents(&vb, collection)? {
            continue;
        }
        let keys = disk(|| random_keys(bucket, &vb, collection, looks_left))?;
        for key in keys {
            looks_left = looks_left.saturating_sub(1);
            let shown = match look(bucket, &vb, &key, client.answer_bytes_max()).await? {
                Seen::Alive(row, commit) => show(client, request, &row, commit)?,
                Seen::Large(bytes) => client.may_answer_with(bytes),
                // It was deleted in between, or is overdue.
                Seen::Missing(_) => continue,
            };
            let _without_memory = !shown;
            return Ok(());
        }
        yield_now().await;
    }
    Err(Status::KEY_ENOENT.into())
}

fn has_documents(vb: &Vb, collection: u32) -> Result<bool, RequestError> {
    let counts = disk(|| vb.collection_counts())?;
    Ok(counts.iter().any(|counts| counts.id == collection && counts.items > 0))
}

/// Some keys of a collection in a vBucket: the next one from a random seqno on, or where other
/// collections have all rows there, some of the first keys.
fn random_keys(
    bucket: &Bucket,
    vb: &Vb,
    collection: u32,
    most: usize,
) -> Result<Vec<Bytes>, StoreError> {
    let (high, now) = (vb.high_seqno(), unix_now());
    let start = Seqno(fastrand::u64(1..=high.0.max(1)));
    let (mut key, mut left) = (None, SCAN_ROWS_MAX);
    let end = bucket.store().scan(vb.id(), start, high)?.run(&mut |row| {
        left -= 1;
        let is_wanted = collection_id(&row.key) == Some(collection);
        if is_wanted && row.is_there_at(now) {
            key = Some(row.key);
        }
        if key.is_some() || left == 0 { ScanStep::Cancel } else { ScanStep::More }
    });
    if let ScanEnd::Failed(error) = end {
        return Err(error);
    }
    if let Some(key) = key {
        return Ok(vec![key]);
    }
    let mut keys = bucket.store().keys(vb.id(), &prefixed(collection, &[]), most)?;
    fastrand::shuffle(&mut keys);
    Ok(keys)
}
