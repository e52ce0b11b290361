//! TOUCH, GAT and GATQ: set a new expiry, and answer with or without the document.

use bytes::Bytes;
use mcbp::{Opcode, Status};
use vbucket::{Kind, Row};

use super::expiry::checked_expiry;
use super::read::{Seen, by, living, look, miss, show};
use crate::bucket::{Bucket, Draft, PendingCommit, Version, WriteRefusal};
use crate::client::Client;
use crate::protocol::{Request, RequestError, active_vb};

/// See the module.
pub(super) async fn touch(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    let extras = request.frame.extras_exact::<4>("extras must be 4 bytes")?;
    let expiry = checked_expiry(u32::from_be_bytes(*extras))?;
    if request.requirement.is_some() {
        let context = "an expiry cannot be changed durably";
        return Err(RequestError::new(Status::NOT_SUPPORTED, context));
    }
    vb.check_unblocked(key)?;
    // Looked up first, so that an overdue document expires and is not revived.
    let value_bytes = match look(bucket, &vb, key, client.answer_bytes_max()).await? {
        Seen::Alive(row, commit) if keeps_expiry(&row, expiry) => {
            return answer(client, bucket, request, &row, commit);
        }
        Seen::Alive(row, _) => row.value.len(),
        Seen::Large(bytes) if request.opcode == Opcode::GAT => {
            client.may_answer_with(bytes);
            return Ok(());
        }
        Seen::Large(bytes) => bytes,
        Seen::Missing(commit) => {
            miss(client, request, commit);
            return Ok(());
        }
    };
    let change = |old: Option<&Row>| {
        let missing = WriteRefusal::Status(Status::KEY_ENOENT);
        let Some(old) = living(old) else { return Err(missing) };
        let Kind::Document { flags, .. } = old.kind else { return Err(missing) };
        let kind = Kind::Document { flags, expiry };
        Ok(Draft { version: Version::Ours, kind, datatype: old.datatype, value: old.value.clone() })
    };
    let written = vb.write(Bytes::copy_from_slice(key), value_bytes, by(request), change).await?;
    answer(client, bucket, request, &written.row, Some(written.commit))
}

/// Whether there is nothing to change: the expiry is the same, and nobody has locked the document.
fn keeps_expiry(row: &Row, expiry: u32) -> bool {
    let is_same = matches!(row.kind, Kind::Document { expiry: old, .. } if old == expiry);
    is_same && row.cas != u64::MAX
}

fn answer(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
    row: &Row,
    commit: Option<PendingCommit>,
) -> Result<(), RequestError> {
    if request.opcode == Opcode::GAT {
        // Without memory for an answer that inflates, the request is executed once more.
        if show(client, request, row, commit)? {
            bucket.counters().gets.add(1);
            bucket.counters().get_hits.add(1);
        }
        return Ok(());
    }
    let frame = request.success().cas(row.cas);
    client.replies.answer(&request.frame.header, commit, Some(&frame));
    Ok(())
}
