//! GET_LOCKED, UNLOCK_KEY.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcbp::Status;
use vbucket::Row;

use super::read::{Seen, look, miss, show};
use crate::bucket::{Bucket, LOCK_TIME_MAX};
use crate::client::Client;
use crate::protocol::{Request, RequestError, active_vb};

/// How long a document is locked if the client does not say, or asks for more than the maximum.
/// Source: kv_engine's `getl_default_timeout`.
const LOCK_TIME: Duration = Duration::from_secs(15);

/// Answers as GET does, with the CAS of the lock.
pub(super) async fn get_locked(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    let time = match request.frame.extras {
        [] => LOCK_TIME,
        extras => {
            let seconds = extras.try_into().map(u32::from_be_bytes).map_err(|_| {
                RequestError::new(Status::EINVAL, "extras must be a time of 4 bytes, or nothing")
            })?;
            Some(Duration::from_secs(seconds.into()))
                .filter(|time| !time.is_zero() && *time <= LOCK_TIME_MAX)
                .unwrap_or(LOCK_TIME)
        }
    };
    vb.check_unblocked(key)?;
    // Looked up first, so that an overdue document expires.
    let value_bytes_max = client.answer_bytes_max();
    match look(bucket, &vb, key, value_bytes_max).await? {
        Seen::Alive(..) => {}
        Seen::Large(bytes) => {
            client.may_answer_with(bytes);
            return Ok(());
        }
        Seen::Missing(commit) => {
            miss(client, request, commit);
            return Ok(());
        }
    }
    let key = Bytes::copy_from_slice(key);
    let locked = vb.lock_document(&key, value_bytes_max, time).await;
    let (found, cas) = locked.map_err(|refusal| not_now(client, refusal.into()))?;
    let row = Row { cas, ..Row::clone(&found.row) };
    let has_room = found.left_bytes == 0 && show(client, request, &Arc::new(row), found.commit)?;
    if !has_room {
        // The document is locked anew once there is memory for it.
        client.may_answer_with(found.left_bytes.max(client.wanted_bytes.unwrap_or_default()));
        vb.unlock_document(&key, cas).await?;
    }
    bucket.counters().gets.add(1);
    Ok(())
}

/// Ends a lock; the CAS of the request is that of the lock.
pub(super) async fn unlock(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    let cas = request.frame.header.cas;
    if cas == 0 {
        return Err(RequestError::new(Status::EINVAL, "CAS must be that of the lock"));
    }
    let unlocked = vb.unlock_document(&Bytes::copy_from_slice(key), cas).await;
    unlocked.map_err(|refusal| not_now(client, refusal.into()))?;
    client.replies.send(&request.success());
    Ok(())
}

/// Clients without XERROR do not know the statuses of locks: to them it is a temporary failure.
fn not_now(client: &Client, mut error: RequestError) -> RequestError {
    if matches!(error.status, Status::LOCKED | Status::NOT_LOCKED) && !client.features.xerror {
        error.status = Status::ETMPFAIL;
    }
    error
}
