//! RANGE_SCAN_CREATE, RANGE_SCAN_CONTINUE, RANGE_SCAN_CANCEL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, BytesMut};
use mcbp::key::{put_leb128, without_prefix};
use mcbp::{Datatype, Status};
use vbucket::Row;
use vbucket::store::{ScanEnd, ScanStep};

use super::seqno::wait_for_seqno;
use super::value::Value;
use crate::blocking::disk;
use crate::bucket::{Bucket, Vb};
use crate::client::Client;
use crate::clock::unix_now;
use crate::dcp::ServedBucket;
use crate::protocol::{Features, Request, RequestError, active_vb};
use crate::range_scan::{Budget, NotThere, OpenScan, Requirement, ScanId, Selection, Stop, Wanted};
use crate::users::random;

/// Bytes of documents in one answer, but for one that has more by itself.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Documents in one answer.
const ANSWER_ITEMS_MAX: usize = 10_000;
/// How long one request reads.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// What a document takes in an answer beside key and value.
const DOCUMENT_BYTES: usize = 40;

fn invalid(context: impl ToString) -> RequestError {
    RequestError::new(Status::EINVAL, context)
}

/// Begins a scan, and answers with its name.
pub(super) async fn create(
    client: &mut Client,
    served: &ServedBucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    request.without_cas()?;
    let is_json = request.datatype(&client.features)? == Datatype::JSON;
    if !request.frame.extras.is_empty() || !request.frame.key.is_empty() || !is_json {
        return Err(invalid("RANGE_SCAN_CREATE has JSON as its value, and no extras and no key"));
    }
    let bucket = &served.bucket;
    let vb = active_vb(bucket, request.vb())?;
    let wanted = Wanted::parse(request.frame.value).map_err(invalid)?;
    if let Some(requirement) = wanted.requirement {
        fulfil(client, bucket, &vb, requirement).await?;
    }
    served.scans.end_old(Instant::now());
    let scan = disk(|| open(bucket, &vb, &wanted))?;
    let id: ScanId = random();
    served.scans.begin(id, scan).map_err(|_| {
        RequestError::new(Status::EBUSY, "the bucket has as many range scans as it may have")
    })?;
    client.replies.send(&request.success().value(&id));
    Ok(())
}

/// Opens a scan over what is on disk now. KEY_ENOENT if it would return nothing.
fn open(bucket: &Bucket, vb: &Vb, wanted: &Wanted) -> Result<OpenScan, RequestError> {
    let unknown = || RequestError::from(Status::UNKNOWN_COLLECTION);
    let begun = vb.collections().get(wanted.collection).ok_or_else(unknown)?.start;
    let counts = vb.collection_counts()?;
    let counts = counts.into_iter().find(|counts| counts.id == wanted.collection);
    let documents = counts.ok_or_else(unknown)?.items;
    let (start, end) = wanted.keys();
    let snapshot = || bucket.store().scan_keys(vb.id(), &start, &end);
    let now = unix_now();
    let is_empty = match &wanted.selection {
        Selection::Sample { .. } => documents == 0,
        Selection::Range { .. } => {
            let mut is_empty = true;
            let end = snapshot()?.run(&mut |row| {
                is_empty = !row.is_there_at(now);
                if is_empty { ScanStep::More } else { ScanStep::Cancel }
            });
            if let ScanEnd::Failed(error) = end {
                return Err(error.into());
            }
            is_empty
        }
    };
    if is_empty {
        return Err(RequestError::new(Status::KEY_ENOENT, "no document is wanted by this scan"));
    }
    Ok(OpenScan::new(vb.id(), snapshot()?, wanted, (begun, documents)))
}

/// Waits until the vBucket is as the scan requires it.
async fn fulfil(
    client: &Client,
    bucket: &Bucket,
    vb: &Arc<Vb>,
    requirement: Requirement,
) -> Result<(), RequestError> {
    let Requirement { uuid, seqno, wait_ms, exists } = requirement;
    if vb.view().uuid() != uuid {
        return Err(RequestError::new(Status::VB_UUID_NOT_EQUAL, "the vBucket has another uuid"));
    }
    wait_for_seqno(client, bucket, vb.id(), seqno, Duration::from_millis(wait_ms)).await?;
    if !exists {
        return Ok(());
    }
    let mut is_there = false;
    let end = disk(|| {
        let mut scan = bucket.store().scan(vb.id(), seqno, seqno)?;
        Ok::<_, RequestError>(scan.run(&mut |row| {
            is_there = row.seqno == seqno;
            ScanStep::Cancel
        }))
    })?;
    match end {
        ScanEnd::Failed(error) => Err(error.into()),
        _ if is_there => Ok(()),
        _ => Err(RequestError::new(Status::NOT_STORED, "no document has this seqno any more")),
    }
}

/// Answers with the next documents of a scan, and whether there are more.
pub(super) fn go_on(
    client: &mut Client,
    served: &ServedBucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let (id, limits) = extras(request)?;
    let vb = active_vb(&served.bucket, request.vb()).inspect_err(|_| {
        served.scans.end(&id);
    })?;
    if !client.may_answer_with(ANSWER_BYTES_MAX) {
        return Ok(());
    }
    let mut scan = served.scans.take(&id).map_err(not_there)?;
    if scan.vb != request.vb() {
        served.scans.give_back(&id, scan);
        return Err(not_there(NotThere::Unknown));
    }
    if !scan.is_of(&vb.collections()) {
        served.scans.end(&id);
        return Err(Status::UNKNOWN_COLLECTION.into());
    }
    let budget = Budget { document_bytes: client.answer_bytes_max(), ..limits };
    let (mut answer, mut wrong) = (BytesMut::new(), None);
    let (key_only, features) = (scan.key_only, client.features);
    let stop = disk(|| {
        let size = |row: &Row| bytes_in_answer(row, key_only, &features);
        scan.go_on(&budget, unix_now(), size, |row| {
            let added = add(&mut answer, row, key_only, &features);
            wrong = wrong.or(added.err());
        })
    });
    let status = match stop {
        Stop::Complete if wrong.is_none() => Status::RANGE_SCAN_COMPLETE,
        Stop::Failed(error) => {
            served.scans.end(&id);
            return Err(error.into());
        }
        _ if wrong.is_some() => {
            served.scans.end(&id);
            let context = "a stored value does not match its datatype";
            return Err(RequestError::new(Status::EINTERNAL, context));
        }
        Stop::Large(bytes) => {
            // Executed again once there is memory for it.
            served.scans.give_back(&id, scan);
            client.may_answer_with(bytes);
            return Ok(());
        }
        Stop::More | Stop::Complete => Status::RANGE_SCAN_MORE,
    };
    if status == Status::RANGE_SCAN_COMPLETE {
        served.scans.end(&id);
    } else {
        served.scans.give_back(&id, scan);
    }
    let extras = u32::from(!key_only).to_be_bytes();
    client.replies.send(&request.answer(status).extras(&extras).value(&answer));
    Ok(())
}

/// The name of a scan, and what the client wants at most: a number of documents, a time in ms, a
/// number of bytes; 0 stands for any.
fn extras(request: &Request<'_>) -> Result<(ScanId, Budget), RequestError> {
    let what = "extras must be the name of a scan and three limits, 28 bytes";
    let extras = request.frame.extras_exact::<28>(what)?;
    let (id, limits) = extras.split_first_chunk().ok_or_else(|| invalid(what))?;
    let (limits, _) = limits.as_chunks::<4>();
    let limit = |at: usize, most: usize| match limits.get(at).map(|it| u32::from_be_bytes(*it)) {
        None | Some(0) => most,
        Some(limit) => usize::try_from(limit).unwrap_or(most).min(most),
    };
    let most_ms = usize::try_from(ANSWER_TIME_MAX.as_millis()).unwrap_or(usize::MAX);
    let time = Duration::from_millis(limit(1, most_ms) as u64);
    let budget = Budget {
        items: limit(0, ANSWER_ITEMS_MAX),
        bytes: limit(2, ANSWER_BYTES_MAX - ANSWER_BYTES_MAX / 4),
        document_bytes: 0,
        until: Instant::now() + time,
    };
    Ok((*id, budget))
}

/// The memory of a document in an answer.
fn bytes_in_answer(row: &Row, key_only: bool, features: &Features) -> usize {
    let value = Value { bytes: row.value.clone(), datatype: row.datatype };
    let value_bytes = if key_only { 0 } else { value.shown_bytes_max(features) };
    DOCUMENT_BYTES + row.key.len() + value_bytes
}

/// Adds a document to an answer: its key, and unless that is all its metadata and its value.
fn add(
    answer: &mut BytesMut,
    row: &Row,
    key_only: bool,
    features: &Features,
) -> Result<(), Status> {
    // Without the collection: the scan is of one.
    let put_key = |answer: &mut BytesMut| {
        let key = without_prefix(&row.key);
        put_leb128(answer, key.len() as u64);
        answer.put_slice(key);
    };
    if key_only {
        put_key(answer);
        return Ok(());
    }
    let vbucket::Kind::Document { flags, expiry } = row.kind else { return Ok(()) };
    let value = Value { bytes: row.value.clone(), datatype: row.datatype };
    let shown = value.shown(features)?;
    answer.put_u32(flags);
    answer.put_u32(expiry);
    answer.put_u64(row.seqno.0);
    answer.put_u64(row.cas);
    answer.put_u8(shown.datatype.0);
    put_key(answer);
    put_leb128(answer, shown.bytes.len() as u64);
    answer.put_slice(&shown.bytes);
    Ok(())
}

/// Ends a scan.
pub(super) fn cancel(
    client: &mut Client,
    served: &ServedBucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let id = request.frame.extras_exact::<16>("extras must be the name of a scan, 16 bytes")?;
    if !served.scans.end(id) {
        return Err(not_there(NotThere::Unknown));
    }
    client.replies.send(&request.success());
    Ok(())
}

fn not_there(why: NotThere) -> RequestError {
    match why {
        NotThere::Unknown => {
            RequestError::new(Status::KEY_ENOENT, "there is no such scan, or it has ended")
        }
        NotThere::Busy => RequestError::new(Status::EBUSY, "the scan is going on already"),
    }
}
