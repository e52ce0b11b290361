//! What happens to a consumer connection beside the frames that come in.

use std::time::Duration;

use mcbp::{Opaque, VbId};

use super::Failure;

/// One thing that happened. An outcome carries the opaque that its effect did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// State, history or existence of the vBucket changed, or [`super::Effect::Watch`] asked for a
    /// first look.
    Changed(VbId),
    /// A vBucket that was draining on another connection is free, see [`super::Claim::Draining`].
    Freed(VbId),
    /// A [`super::Effect::Rollback`] ended.
    RolledBack(VbId, Opaque, Result<(), Failure>),
    /// A [`super::Effect::TakeHistory`] ended.
    HistoryTaken(VbId, Opaque, Result<(), Failure>),
    /// A [`super::Effect::Apply`] ended.
    Applied(VbId, Opaque, Result<(), Failure>),
    /// A [`super::Effect::SetState`] ended.
    StateSet(VbId, Opaque, Result<(), Failure>),
    /// The connection has another flow-control window, in bytes.
    Window(u32),
    /// Time went on: late acknowledgements, and the idle timeout.
    Tick {
        /// The age of the clock that [`super::Consumer::new`] was given.
        now: Duration,
        /// Unix time in seconds.
        unix_s: u32,
    },
    /// The connection ends, for this reason: the answer to every ADD_STREAM is due now.
    Close(String),
}
