//! SET_VBUCKET, GET_VBUCKET, DEL_VBUCKET, GET_FAILOVER_LOG.

use std::sync::Arc;

use log::info;
use mcbp::dcp::encode_failover_log;
use mcbp::{Status, VbState};
use serde::Deserialize;
use vbucket::durability::Topology;

use crate::bucket::Bucket;
use crate::client::Client;
use crate::protocol::{Request, RequestError, any_vb, check_ready};

/// The largest value of SET_VBUCKET: a topology names a few nodes, and is kept in memory and copied
/// with every record of its vBucket.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// The value of SET_VBUCKET. Other keys are for snapshots, which this node does not support.
#[derive(Deserialize)]
struct Wanted {
    topology: Option<serde_json::Value>,
}

/// Sets the state of a vBucket; answers once it is on disk.
pub(super) async fn set(
    client: &mut Client,
    bucket: &Arc<Bucket>,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    check_ready(bucket)?;
    let state = state_of(request.frame.extras)?;
    let topology = topology_of(request.frame.value, state)?;
    bucket.set_state(request.vb(), state, topology).await?;
    info!("vbucket state set bucket={} vb={} state={state}", bucket.name(), request.vb().0);
    client.replies.send(&request.success());
    Ok(())
}

/// The state is one byte, or four from older clients.
fn state_of(extras: &[u8]) -> Result<VbState, RequestError> {
    let number = match *extras {
        [state] => u32::from(state),
        [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
        _ => {
            return Err(RequestError::new(
                Status::EINVAL,
                "extras must be a state of 1 or 4 bytes",
            ));
        }
    };
    VbState::from_wire(number)
        .ok_or_else(|| RequestError::new(Status::EINVAL, "a state must be 1 to 4"))
}

fn topology_of(value: &[u8], state: VbState) -> Result<Option<String>, RequestError> {
    if value.is_empty() {
        return Ok(None);
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(RequestError::new(Status::E2BIG, "a topology of more than 16 KiB"));
    }
    let wanted: Wanted =
        serde_json::from_slice(value).map_err(|error| RequestError::new(Status::EINVAL, error))?;
    let Some(topology) = wanted.topology else { return Ok(None) };
    if state != VbState::Active {
        let context = format!("a topology is for the state active, not {state}");
        return Err(RequestError::new(Status::EINVAL, context));
    }
    let text = topology.to_string();
    Topology::parse(&text).map_err(|error| RequestError::new(Status::EINVAL, error))?;
    Ok(Some(text))
}

/// Answers with the state as 4 bytes.
pub(super) fn get(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let state = any_vb(bucket, request.vb())?.state() as u32;
    client.replies.send(&request.success().value(&state.to_be_bytes()));
    Ok(())
}

/// Removes a vBucket; answers once it is removed from disk.
pub(super) async fn delete(
    client: &mut Client,
    bucket: &Arc<Bucket>,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    request.without_cas()?;
    let vb = any_vb(bucket, request.vb())?.id();
    bucket.remove_vb(vb).await?;
    info!("vbucket removed bucket={} vb={}", bucket.name(), vb.0);
    client.replies.send(&request.success());
    Ok(())
}

/// Answers with the branches of history, newest first.
pub(super) fn failover_log(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let view = any_vb(bucket, request.vb())?.view();
    let log = encode_failover_log(view.failover.entries());
    client.replies.send(&request.success().value(&log));
    Ok(())
}
