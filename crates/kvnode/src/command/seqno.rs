//! GET_ALL_VB_SEQNOS, OBSERVE_SEQNO, SEQNO_PERSISTENCE.
//!
//! Everything visible is on disk, so "current" and "persisted" are the same number here.

use std::sync::Arc;
use std::time::Duration;

use mcbp::{Datatype, Seqno, Status, VbId, VbState, VbUuid};
use tokio::sync::Notify;

use crate::bucket::{Bucket, VbEvent, VbListener};
use crate::client::Client;
use crate::protocol::{Request, RequestError, any_vb, check_ready};

/// How long SEQNO_PERSISTENCE waits. Source: kv_engine's `seqno_persistence_timeout`.
const PERSISTENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers with the id and high seqno of each vBucket in a state, or of all that are not dead.
pub(super) fn all(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    check_ready(bucket)?;
    let wanted = wanted_state(request.frame.extras, client.features.collections)?;
    let mut list = Vec::new();
    for vb in bucket.all_vbs() {
        let (state, high_seqno) = vb.state_and_high_seqno();
        if wanted.map_or(state != VbState::Dead, |wanted| wanted == state) {
            list.extend_from_slice(&vb.id().0.to_be_bytes());
            list.extend_from_slice(&high_seqno.0.to_be_bytes());
        }
    }
    client.replies.send(&request.success().value(&list));
    Ok(())
}

/// Parses the extras: nothing, a state (0 for any), or a state and a collection.
fn wanted_state(extras: &[u8], collections: bool) -> Result<Option<VbState>, RequestError> {
    let (state, collection) = match *extras {
        [] => return Ok(None),
        [a, b, c, d] => ([a, b, c, d], 0),
        [a, b, c, d, e, f, g, h] if collections => ([a, b, c, d], u32::from_be_bytes([e, f, g, h])),
        _ => return Err(RequestError::new(Status::EINVAL, "extras must be 0, 4 or 8 bytes")),
    };
    if collection != mcbp::key::DEFAULT_COLLECTION {
        return Err(Status::UNKNOWN_COLLECTION.into());
    }
    match u32::from_be_bytes(state) {
        0 => Ok(None),
        state => {
            let state = VbState::from_wire(state);
            state
                .map(Some)
                .ok_or_else(|| RequestError::new(Status::EINVAL, "a state must be 0 to 4"))
        }
    }
}

/// Answers with the high seqno of the branch that the client knows, and whether a newer branch has
/// begun.
pub(super) fn observe(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let uuid: [u8; 8] =
        request.frame.value.try_into().map_err(|_| {
            RequestError::new(Status::EINVAL, "the value must be a uuid of 8 bytes")
        })?;
    let uuid = VbUuid(u64::from_be_bytes(uuid));
    let vb = any_vb(bucket, request.vb())?;
    let view = vb.view();
    let high = view.high_seqno.0.to_be_bytes();
    let mut value = Vec::with_capacity(43);
    let branches = view.failover.entries();
    let known = branches.iter().position(|entry| entry.uuid == uuid).ok_or(Status::KEY_ENOENT)?;
    value.push(u8::from(known != 0));
    value.extend_from_slice(&vb.id().0.to_be_bytes());
    value.extend_from_slice(&view.uuid().0.to_be_bytes());
    value.extend_from_slice(&high);
    value.extend_from_slice(&high);
    let newer = known.checked_sub(1).and_then(|newer| branches.get(newer));
    if let Some(newer) = newer {
        value.extend_from_slice(&uuid.0.to_be_bytes());
        value.extend_from_slice(&newer.seqno.0.to_be_bytes());
    }
    client.replies.send(&request.success().datatype(Datatype::RAW).value(&value));
    Ok(())
}

struct Wake(Notify);

impl VbListener for Wake {
    fn notify(&self, _vb: VbId, _event: VbEvent) {
        self.0.notify_one();
    }
}

/// Answers once a seqno is on disk.
pub(super) async fn persisted(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let wanted = request.frame.extras_exact::<8>("extras must be a seqno of 8 bytes")?;
    let wanted = Seqno(u64::from_be_bytes(*wanted));
    wait_for_seqno(client, bucket, request.vb(), wanted, PERSISTENCE_TIMEOUT).await?;
    client.replies.send(&request.success());
    Ok(())
}

/// Waits until a seqno is on disk.
///
/// # Errors
/// ETMPFAIL if that takes longer than `patience`, or the node stops.
pub(super) async fn wait_for_seqno(
    client: &Client,
    bucket: &Bucket,
    vb: VbId,
    wanted: Seqno,
    patience: Duration,
) -> Result<(), RequestError> {
    let found = any_vb(bucket, vb)?;
    let wake = Arc::new(Wake(Notify::new()));
    let listener: Arc<dyn VbListener> = Arc::clone(&wake) as _;
    let _subscription = found.subscribe(listener);
    let shutdown = client.node.shutdown.clone();
    let reached = async {
        while found.high_seqno() < wanted {
            tokio::select! {
                () = wake.0.notified() => {}
                () = shutdown.cancelled() => return Err(Status::ETMPFAIL.into()),
            }
            // It may have been removed, or recreated.
            any_vb(bucket, vb)?;
        }
        Ok::<_, RequestError>(())
    };
    match tokio::time::timeout(patience, reached).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let context = format!("the seqno was not reached in {} ms", patience.as_millis());
            Err(RequestError::new(Status::ETMPFAIL, context))
        }
    }
}
