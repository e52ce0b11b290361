//! TOUCH, GAT and GATQ: set a new expiry, and answer with or without the document.

use bytes::Bytes;
use mcbp::{Opcode, Status};
use vbucket::{Kind, Row};

use super::expiry::checked_expiry;
use super::read::{Seen, by, living, look, miss, show};
use crate::bucket::{Bucket, Draft, Version, WriteRefusal};
use crate::client::Client;
use crate::protocol::{Request, RequestError, active_vb};

/// See the module.
pub(super) async fn touch(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = request.key(&client.features)?;
    let extras = request.frame.extras_exact::<4>("extras must be 4 bytes")?;
    let expiry = checked_expiry(u32::from_be_bytes(*extras))?;
    // Looked up first, so that an overdue document expires and is not revived.
    let value_bytes = match look(bucket, &vb, key, client.answer_bytes_max()).await? {
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
    if request.opcode == Opcode::GAT {
        bucket.counters().gets.add(1);
        bucket.counters().get_hits.add(1);
        // Without memory for an answer that inflates, the document is touched once more.
        show(client, request, &written.row, Some(written.commit))?;
        return Ok(());
    }
    let frame = request.success().cas(written.row.cas);
    client.replies.answer(&request.frame.header, Some(written.commit), Some(&frame));
    Ok(())
}
