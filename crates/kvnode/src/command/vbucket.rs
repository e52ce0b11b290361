//! SET_VBUCKET, GET_VBUCKET, DEL_VBUCKET, GET_FAILOVER_LOG.

use std::sync::Arc;

use log::info;
use mcbp::dcp::encode_failover_log;
use mcbp::{Status, VbState};
use serde::Deserialize;

use super::{any_vb, ready, success};
use crate::bucket::Bucket;
use crate::session::{Fail, Request, Session};

/// The value of SET_VBUCKET. Other keys are about snapshots that this node does not take.
#[derive(Deserialize)]
struct Wanted {
    topology: Option<serde_json::Value>,
}

/// Gives a vBucket its state; answers once that is on disk.
pub(super) async fn set(
    session: &mut Session,
    bucket: &Arc<Bucket>,
    request: &Request<'_>,
) -> Result<(), Fail> {
    ready(bucket)?;
    let state = state_of(request.frame.extras)?;
    let topology = topology_of(request.frame.value, state)?;
    bucket.set_state(request.vb(), state, topology).await?;
    info!("vbucket state set bucket={} {} state={state}", bucket.name(), request.vb());
    session.replies.send(&success(request));
    Ok(())
}

/// One byte, or four as older clients send it.
fn state_of(extras: &[u8]) -> Result<VbState, Fail> {
    let number = match *extras {
        [state] => u32::from(state),
        [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
        _ => return Err(Fail::new(Status::EINVAL, "extras must be a state of 1 or 4 bytes")),
    };
    VbState::from_wire(number).ok_or_else(|| Fail::new(Status::EINVAL, "a state is 1 to 4"))
}

fn topology_of(value: &[u8], state: VbState) -> Result<Option<String>, Fail> {
    if value.is_empty() {
        return Ok(None);
    }
    let wanted: Wanted =
        serde_json::from_slice(value).map_err(|error| Fail::new(Status::EINVAL, error))?;
    match wanted.topology {
        Some(topology) if state == VbState::Active && topology.is_array() => {
            Ok(Some(topology.to_string()))
        }
        Some(_) => Err(Fail::new(Status::EINVAL, "a topology is an array, for active vBuckets")),
        None => Ok(None),
    }
}

/// Answers with the state as 4 bytes.
pub(super) fn get(
    session: &mut Session,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), Fail> {
    let state = any_vb(bucket, request.vb())?.state() as u32;
    session.replies.send(&success(request).value(&state.to_be_bytes()));
    Ok(())
}

/// Removes a vBucket; answers once that is on disk.
pub(super) async fn delete(
    session: &mut Session,
    bucket: &Arc<Bucket>,
    request: &Request<'_>,
) -> Result<(), Fail> {
    let vb = any_vb(bucket, request.vb())?.id();
    bucket.remove_vb(vb).await?;
    info!("vbucket removed bucket={} {vb}", bucket.name());
    session.replies.send(&success(request));
    Ok(())
}

/// Answers with the branches of history, newest first.
pub(super) fn failover_log(
    session: &mut Session,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), Fail> {
    let log = encode_failover_log(&any_vb(bucket, request.vb())?.view().failover);
    session.replies.send(&success(request).value(&log));
    Ok(())
}
