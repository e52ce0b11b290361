//! What a consumer machine asks of its shell, and why it may not have been done.

use mcbp::dcp::FailoverEntry;
use mcbp::{Opaque, Seqno, VbId, VbState};

use super::Part;

/// What the shell has to do. Each carries the opaque of its stream, to be given back with the
/// outcome, so that an outcome for an older stream is recognised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Call [`super::Consumer::on_changed`] whenever the vBucket's state changes.
    Watch(VbId),
    /// The stream is gone.
    Unwatch(VbId),
    /// Take the vBucket back, then [`super::Consumer::on_rolled_back`].
    Rollback(VbId, Opaque, Seqno),
    /// Take over the producer's history, synced, then [`super::Consumer::on_history`].
    TakeHistory(VbId, Opaque, Vec<FailoverEntry>),
    /// Write these in order, wait until they are durable, then [`super::Consumer::on_applied`].
    Apply(VbId, Opaque, Vec<Part>),
    /// Change the state, synced, then [`super::Consumer::on_state_set`].
    SetState(VbId, Opaque, VbState),
    /// Log why a stream ended or was not opened.
    Note(VbId, String),
    /// Close the connection once the output is written; the reason is for people.
    Close(String),
}

/// Why the vBucket did not do what an effect asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It is gone, or neither replica nor pending: the stream ends.
    NotReplica,
    /// Anything else: the connection ends, for what was received is lost.
    Other(String),
}
