//! Changes: which document they start from, how the result is written, and the answer.

use bytes::{Bytes, BytesMut};
use mcbp::kv::mutation_token;
use mcbp::subdoc::doc_flags::{ACCESS_DELETED, ADD, MKDOC, REVIVE};
use mcbp::{Datatype, Status};
use vbucket::{Kind, Row};

use super::change::{Changed, Failure, Start, change, made};
use super::decode::Job;
use super::document::Document;
use super::virtuals::Metadata;
use crate::bucket::{Bucket, Draft, Stamped, Vb, Version, WriteRefusal, Written};
use crate::client::Client;
use crate::clock::{unix_now, unix_now_ns};
use crate::command::expiry::checked_expiry;
use crate::command::read::{by, living, matching};
use crate::protocol::{Request, RequestError, active_vb};

/// Room in the commit queue for the document beside the request. The change of a larger one is made
/// twice, the second time with enough room.
const DOCUMENT_BYTES: usize = 16 * 1024;

/// What the answer says beside what was written.
#[derive(Default)]
struct Outcome {
    /// The document was a deletion before, or was made as one.
    is_deletion: bool,
    counters: Vec<(u8, String)>,
    /// The operation that failed.
    failed: Option<(u8, Status)>,
}

/// Executes a change.
pub(super) async fn mutate(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
    job: &Job<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    let expiry = checked_expiry(job.extras.expiry.unwrap_or_default())?;
    let mut outcome = Outcome::default();
    let apply = |old: Option<&Row>| {
        let start = start(job, old, &vb)?;
        let changed = change(job, &start, || fastrand::u64(..)).map_err(|failure| {
            let (failed, status) = match failure {
                Failure::At(index, status) if job.is_multi => {
                    (Some((index, status)), Status::SUBDOC_MULTI_PATH_FAILURE)
                }
                Failure::At(_, status) | Failure::Whole(status) => (None, status),
            };
            outcome.failed = failed;
            WriteRefusal::Status(status)
        })?;
        let Changed { value, stamps, is_deleted, counters } = changed;
        outcome.is_deletion = start.document.is_deleted && !job.flag(REVIVE);
        outcome.counters = counters;
        let old = start_flags_and_expiry(old, &start);
        let kind = if is_deleted {
            Kind::Deleted { at: unix_now() }
        } else {
            let flags = job.extras.user_flags.unwrap_or(old.0);
            let expiry = old.1.filter(|_| request.preserve_ttl).unwrap_or(expiry);
            Kind::Document { flags, expiry }
        };
        let (datatype, value) = (value.datatype, value.bytes);
        let draft = Draft { version: Version::Ours, kind, datatype, value };
        Ok(Stamped { draft, stamps })
    };
    let bytes = request.frame.value.len() + DOCUMENT_BYTES;
    match vb.write(Bytes::copy_from_slice(key), bytes, by(request), apply).await {
        Ok(written) => {
            bucket.counters().sets.add(1);
            answer(client, request, job, written, &outcome);
            Ok(())
        }
        Err(refusal) => {
            let Some((index, status)) = outcome.failed else { return Err(refusal.into()) };
            let commit = RequestError::from(refusal).commit;
            let [high, low] = status.0.to_be_bytes();
            let body = [index, high, low];
            let frame = request.answer(Status::SUBDOC_MULTI_PATH_FAILURE).value(&body);
            client.replies.answer(&request.frame.header, commit, Some(&frame));
            Ok(())
        }
    }
}

/// Decides which document a change starts from.
fn start(job: &Job<'_>, old: Option<&Row>, vb: &Vb) -> Result<Start, WriteRefusal> {
    let refused = WriteRefusal::Status;
    let mut metadata = Metadata::default();
    if job.is_about_metadata() {
        (metadata.uuid, metadata.max_cas) = vb.uuid_and_max_cas();
        metadata.now_ns = unix_now_ns();
        metadata = old.map_or(metadata, |row| metadata.with_row(row));
    }
    let deletion = old.filter(|row| job.flag(ACCESS_DELETED) && living(Some(row)).is_none());
    let document = match (living(old), deletion) {
        (Some(_), _) | (_, Some(_)) if job.flag(ADD) => {
            return Err(refused(Status::KEY_EEXISTS));
        }
        (Some(row), _) => {
            matching(Some(row), job.cas)?;
            if job.flag(REVIVE) {
                return Err(refused(Status::SUBDOC_CAN_ONLY_REVIVE_DELETED_DOCUMENTS));
            }
            Document::of(row)
        }
        (None, Some(row)) if job.cas != 0 && job.cas != row.cas => {
            return Err(refused(Status::KEY_EEXISTS));
        }
        (None, Some(row)) if row.is_alive() => Document::expired(row),
        (None, Some(row)) => Document::of(row),
        (None, None) if job.cas == 0 && (job.flag(MKDOC) || job.flag(ADD)) => {
            return Ok(Start { document: made(job), metadata, is_new: true });
        }
        (None, None) => return Err(refused(Status::KEY_ENOENT)),
    };
    Ok(Start { document: document.map_err(refused)?, metadata, is_new: false })
}

/// The user's flags, and the expiry of a document that exists.
fn start_flags_and_expiry(old: Option<&Row>, start: &Start) -> (u32, Option<u32>) {
    match old.filter(|_| !start.is_new && !start.document.is_deleted).map(|row| row.kind) {
        Some(Kind::Document { flags, expiry }) => (flags, Some(expiry)),
        _ => (0, None),
    }
}

/// Answers a change that is queued, with the numbers of its counters.
fn answer(
    client: &mut Client,
    request: &Request<'_>,
    job: &Job<'_>,
    written: Written,
    outcome: &Outcome,
) {
    let Written { row, uuid, commit } = written;
    let token = mutation_token(uuid, row.seqno);
    let extras: &[u8] = if client.features.mutation_seqno { &token } else { &[] };
    let mut value = BytesMut::new();
    for (index, number) in &outcome.counters {
        if job.is_multi {
            let length = u32::try_from(number.len()).unwrap_or(u32::MAX);
            value.extend_from_slice(&[*index]);
            value.extend_from_slice(&Status::SUCCESS.0.to_be_bytes());
            value.extend_from_slice(&length.to_be_bytes());
        }
        value.extend_from_slice(number.as_bytes());
    }
    let is_json = !job.is_multi && !value.is_empty() && client.features.json;
    let datatype = if is_json { Datatype::JSON } else { Datatype::RAW };
    let status = if outcome.is_deletion { Status::SUBDOC_SUCCESS_DELETED } else { Status::SUCCESS };
    let frame = request.answer(status).cas(row.cas).extras(extras);
    let frame = frame.datatype(datatype).value(&value);
    client.replies.answer(&request.frame.header, Some(commit), Some(&frame));
}
