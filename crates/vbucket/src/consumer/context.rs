//! What a consumer works with while it takes one event.

use bytes::BytesMut;

use super::{Effects, Replicas};

/// The vBuckets, and what comes of the event: frames and effects.
pub(super) struct Context<'a> {
    pub(super) replicas: &'a dyn Replicas,
    /// Frames to be sent are appended here.
    pub(super) out: &'a mut BytesMut,
    pub(super) effects: Effects,
}

impl<'a> Context<'a> {
    pub(super) fn new(replicas: &'a dyn Replicas, out: &'a mut BytesMut) -> Self {
        Self { replicas, out, effects: Effects::new() }
    }
}
