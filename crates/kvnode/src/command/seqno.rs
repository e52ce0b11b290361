//! GET_ALL_VB_SEQNOS, OBSERVE_SEQNO, SEQNO_PERSISTENCE.
//!
//! Everything visible is on disk, so "current" and "persisted" are the same number here.

use std::sync::Arc;
use std::time::Duration;

use mcbp::key::DEFAULT_COLLECTION;
use mcbp::{Datatype, Seqno, Status, VbId, VbState, VbUuid};
use tokio::sync::Notify;

use crate::blocking::disk;
use crate::bucket::{Bucket, Vb, VbEvent, VbListener};
use crate::client::Client;
use crate::protocol::{Request, RequestError, any_vb, check_ready};

/// How long SEQNO_PERSISTENCE waits. Source: kv_engine's `seqno_persistence_timeout`.
const PERSISTENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers with the id and high seqno of each vBucket in a state, or of all that are not dead. A
/// client that knows of no durable writes gets the highest seqno of a visible row: no stream of its
/// own goes further. No seqno that a client has been told of is beyond these.
pub(super) async fn all(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    check_ready(bucket)?;
    let with_collections = client.features.collections;
    let (wanted, collection) = wanted(request.frame.extras, with_collections)?;
    let manifest = bucket.manifest();
    if let Some(id) = collection.filter(|id| manifest.collection(*id).is_none()) {
        let context = format!("there is no collection {id:#x}");
        return Err(RequestError::new(Status::UNKNOWN_COLLECTION, context));
    }
    bucket.caught_up().await;
    let mut list = Vec::new();
    let with_prepares = client.features.sync_replication;
    for vb in bucket.all_vbs() {
        let (state, high_seqno, max_visible) = vb.state_and_seqnos();
        let high_seqno = if with_prepares { high_seqno } else { max_visible };
        if wanted.map_or(state != VbState::Dead, |wanted| wanted == state) {
            let Some(high_seqno) = high_seqno_of(&vb, high_seqno, collection)? else { continue };
            list.extend_from_slice(&vb.id().0.to_be_bytes());
            list.extend_from_slice(&high_seqno.0.to_be_bytes());
        }
    }
    client.replies.send(&request.success().value(&list));
    Ok(())
}

/// The high seqno of a vBucket, or of a collection in it; `None` where it does not have that.
fn high_seqno_of(
    vb: &Vb,
    of_vb: Seqno,
    collection: Option<u32>,
) -> Result<Option<Seqno>, RequestError> {
    let Some(id) = collection else { return Ok(Some(of_vb)) };
    if id == DEFAULT_COLLECTION && vb.collections().uid() == 0 {
        return Ok(Some(of_vb));
    }
    let counts = disk(|| vb.collection_counts())?;
    Ok(counts.iter().find(|counts| counts.id == id).map(|counts| counts.high_seqno))
}

/// Parses the extras: nothing, a state (0 for any), or a state and a collection. A client that
/// knows of no collections means the default one.
fn wanted(
    extras: &[u8],
    collections: bool,
) -> Result<(Option<VbState>, Option<u32>), RequestError> {
    let default = Some(DEFAULT_COLLECTION).filter(|_| !collections);
    let (state, collection) = match *extras {
        [] => return Ok((None, default)),
        [a, b, c, d] => ([a, b, c, d], default),
        [a, b, c, d, e, f, g, h] if collections => {
            ([a, b, c, d], Some(u32::from_be_bytes([e, f, g, h])))
        }
        _ => return Err(RequestError::new(Status::EINVAL, "extras must be 0, 4 or 8 bytes")),
    };
    let wrong = || RequestError::new(Status::EINVAL, "a state must be 0 to 4");
    match u32::from_be_bytes(state) {
        0 => Ok((None, collection)),
        state => Ok((Some(VbState::from_wire(state).ok_or_else(wrong)?), collection)),
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
