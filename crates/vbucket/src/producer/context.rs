//! What a producer works with while it takes one event.

use bytes::BytesMut;

use super::{Effects, Source};

/// The vBuckets, and what comes of the event: frames and effects.
pub(super) struct Context<'a> {
    pub(super) source: &'a dyn Source,
    /// Frames to be sent are appended here.
    pub(super) out: &'a mut BytesMut,
    pub(super) effects: Effects,
}

impl<'a> Context<'a> {
    pub(super) fn new(source: &'a dyn Source, out: &'a mut BytesMut) -> Self {
        Self { source, out, effects: Effects::new() }
    }
}
