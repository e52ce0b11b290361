//! Lookups: how the document is read, and the answer.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mcbp::subdoc::doc_flags::{ACCESS_DELETED, REPLICA_READ};
use mcbp::subdoc::path_flags::BINARY;
use mcbp::{Datatype, MAX_BODY_BYTES, Status, VbState};
use subdoc::Lookup;
use vbucket::Row;

use super::decode::Job;
use super::document::Document;
use super::find::{Answer, find};
use super::rules::Action;
use super::virtuals::Metadata;
use crate::account::FREE_BYTES;
use crate::bucket::{Bucket, PendingCommit, Vb};
use crate::client::Client;
use crate::clock::{unix_now, unix_now_ns};
use crate::command::read::{Seen, look};
use crate::command::value::Value;
use crate::protocol::{Features, Request, RequestError, active_vb, any_vb};

/// Status and length of each result of SUBDOC_MULTI_LOOKUP.
const RESULT_FRONT_BYTES: usize = 6;

/// Executes a lookup.
pub(super) async fn look_up(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
    job: &Job<'_>,
) -> Result<(), RequestError> {
    let vb = if job.flag(REPLICA_READ) {
        replica_vb(bucket, request)?
    } else {
        active_vb(bucket, request.vb())?
    };
    let key = &*request.key(&client.features)?;
    let (row, commit) = match seen(bucket, &vb, key, job, client.answer_bytes_max()).await? {
        Seen::Alive(row, commit) => (row, commit),
        Seen::Large(bytes) => {
            client.may_answer_with(bytes);
            return Ok(());
        }
        Seen::Missing(commit) => {
            bucket.counters().gets.add(1);
            fail(client, request, Status::KEY_ENOENT, commit);
            return Ok(());
        }
    };
    if job.cas != 0 && job.cas != row.cas {
        fail(client, request, Status::KEY_EEXISTS, commit);
        return Ok(());
    }
    // The value, and its inflated form if it is compressed.
    let value = Value { bytes: row.value.clone(), datatype: row.datatype };
    let bytes = value.shown_bytes_max(&Features::default());
    if !client.may_answer_with(bytes) {
        return Ok(());
    }
    let (answers, is_deleted) = found(&vb, &row, job)?;
    let results: usize = answers.iter().map(|it| it.value.len() + RESULT_FRONT_BYTES).sum();
    if u32::try_from(results).map_or(true, |bytes| bytes > MAX_BODY_BYTES) {
        return Err(RequestError::new(Status::E2BIG, "the results do not fit one answer"));
    }
    if !client.may_answer_with(bytes + results) {
        return Ok(());
    }
    bucket.counters().gets.add(1);
    bucket.counters().get_hits.add(1);
    if job.is_multi {
        answer_all(client, request, &answers, (&row, commit), is_deleted);
    } else {
        answer_one(client, request, job, answers, (&row, commit), is_deleted);
    }
    Ok(())
}

fn found(vb: &Vb, row: &Row, job: &Job<'_>) -> Result<(Vec<Answer>, bool), RequestError> {
    let document = Document::of(row)?;
    let metadata = if job.is_about_metadata() {
        let (uuid, max_cas) = vb.uuid_and_max_cas();
        let known = Metadata { uuid, max_cas, now_ns: unix_now_ns(), ..Metadata::default() };
        known.with_row(row)
    } else {
        Metadata::default()
    };
    let answers = job.operations.iter().map(|it| find(it, &document, &metadata)).collect();
    Ok((answers, document.is_deleted))
}

/// Answers without a document.
fn fail(client: &mut Client, request: &Request<'_>, status: Status, commit: Option<PendingCommit>) {
    client.replies.answer(&request.frame.header, commit, Some(&request.answer(status)));
}

/// Answers SUBDOC_GET, SUBDOC_EXISTS, SUBDOC_GET_COUNT.
fn answer_one(
    client: &mut Client,
    request: &Request<'_>,
    job: &Job<'_>,
    answers: Vec<Answer>,
    (row, commit): (&Row, Option<PendingCommit>),
    is_deleted: bool,
) {
    let (Some(operation), Some(answer)) = (job.operations.first(), answers.into_iter().next())
    else {
        return;
    };
    if answer.status != Status::SUCCESS {
        return fail(client, request, answer.status, commit);
    }
    let has_json = operation.action != Action::Look(Lookup::Exists) && !operation.has(BINARY);
    let is_json = has_json && client.features.json;
    let status = if is_deleted { Status::SUBDOC_SUCCESS_DELETED } else { Status::SUCCESS };
    let datatype = if is_json { Datatype::JSON } else { Datatype::RAW };
    let frame = request.answer(status).cas(row.cas).datatype(datatype);
    let header = &request.frame.header;
    if answer.value.len() > FREE_BYTES {
        client.replies.answer_with(header, commit, &frame, answer.value);
    } else {
        client.replies.answer(header, commit, Some(&frame.value(&answer.value)));
    }
}

/// Answers SUBDOC_MULTI_LOOKUP: status, length and value of each result.
fn answer_all(
    client: &mut Client,
    request: &Request<'_>,
    answers: &[Answer],
    (row, commit): (&Row, Option<PendingCommit>),
    is_deleted: bool,
) {
    let bytes = answers.iter().map(|it| it.value.len() + RESULT_FRONT_BYTES).sum();
    let mut results = BytesMut::with_capacity(bytes);
    for Answer { status, value } in answers {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        results.extend_from_slice(&status.0.to_be_bytes());
        results.extend_from_slice(&length.to_be_bytes());
        results.extend_from_slice(value);
    }
    let all_are_good = answers.iter().all(|it| it.status == Status::SUCCESS);
    let status = match (all_are_good, is_deleted) {
        (true, false) => Status::SUCCESS,
        (true, true) => Status::SUBDOC_SUCCESS_DELETED,
        (false, false) => Status::SUBDOC_MULTI_PATH_FAILURE,
        (false, true) => Status::SUBDOC_MULTI_PATH_FAILURE_DELETED,
    };
    let frame = request.answer(status).cas(row.cas);
    let header = &request.frame.header;
    if results.len() > FREE_BYTES {
        client.replies.answer_with(header, commit, &frame, results.freeze());
    } else {
        client.replies.answer(header, commit, Some(&frame.value(&results)));
    }
}

/// Returns the vBucket if it is a replica.
fn replica_vb(bucket: &Bucket, request: &Request<'_>) -> Result<Arc<Vb>, RequestError> {
    let vb = any_vb(bucket, request.vb())?;
    if vb.state() == VbState::Replica {
        return Ok(vb);
    }
    bucket.counters().not_my_vbucket.add(1);
    Err(Status::NOT_MY_VBUCKET.into())
}

/// Finds the document; if the request asks for that, also a deletion.
async fn seen(
    bucket: &Bucket,
    vb: &Arc<Vb>,
    key: &[u8],
    job: &Job<'_>,
    value_bytes_max: usize,
) -> Result<Seen, RequestError> {
    let is_replica = job.flag(REPLICA_READ);
    if !is_replica && !job.flag(ACCESS_DELETED) {
        return look(bucket, vb, key, value_bytes_max).await;
    }
    let mut found = vb.find_up_to(key, value_bytes_max)?;
    let is_overdue = found.as_ref().is_some_and(|it| it.row.is_expired_at(unix_now()));
    if is_overdue && !is_replica && vb.expire(Bytes::copy_from_slice(key)).await {
        bucket.counters().expired_on_access.add(1);
        found = vb.find_up_to(key, value_bytes_max)?;
    }
    let Some(found) = found else { return Ok(Seen::Missing(None)) };
    let is_missing = is_replica && (is_overdue || !found.row.is_alive());
    Ok(match found.left_bytes {
        _ if is_missing => Seen::Missing(found.commit),
        0 => Seen::Alive(found.shown(), found.commit),
        bytes => Seen::Large(bytes),
    })
}
