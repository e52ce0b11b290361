//! The vBucket that a request names, or the status of the answer if it is not available.

use std::sync::Arc;

use mcbp::{Status, VbId, VbState};

use super::error::RequestError;
use crate::bucket::{Bucket, Vb, VbError, Warmup};

/// Fails with ETMPFAIL unless warm-up has succeeded.
pub(crate) fn check_ready(bucket: &Bucket) -> Result<(), RequestError> {
    match bucket.warmup() {
        Warmup::Done => Ok(()),
        Warmup::Loading => Err(RequestError::new(Status::ETMPFAIL, "warm-up is under way")),
        Warmup::Failed(reason) => Err(RequestError::new(Status::ETMPFAIL, reason)),
        Warmup::Closed => Err(RequestError::new(Status::ETMPFAIL, "the bucket is shutting down")),
    }
}

/// Returns the vBucket, whatever its state.
pub(crate) fn any_vb(bucket: &Bucket, vb: VbId) -> Result<Arc<Vb>, RequestError> {
    match bucket.vb(vb) {
        Some(vb) => Ok(vb),
        None => {
            check_ready(bucket)?;
            bucket.counters().not_my_vbucket.add(1);
            Err(Status::NOT_MY_VBUCKET.into())
        }
    }
}

/// Returns the vBucket if it is active.
pub(crate) fn active_vb(bucket: &Bucket, vb: VbId) -> Result<Arc<Vb>, RequestError> {
    vb_in(VbState::Active, bucket, vb)
}

/// Returns the vBucket if it is a replica.
pub(crate) fn replica_vb(bucket: &Bucket, vb: VbId) -> Result<Arc<Vb>, RequestError> {
    vb_in(VbState::Replica, bucket, vb)
}

fn vb_in(wanted: VbState, bucket: &Bucket, vb: VbId) -> Result<Arc<Vb>, RequestError> {
    let found = any_vb(bucket, vb)?;
    match found.state() {
        state if state == wanted => Ok(found),
        VbState::Active => {
            bucket.counters().not_my_vbucket.add(1);
            Err(Status::NOT_MY_VBUCKET.into())
        }
        state => {
            bucket.counters().not_my_vbucket.add(1);
            Err(VbError::WrongState { vb, state }.into())
        }
    }
}
