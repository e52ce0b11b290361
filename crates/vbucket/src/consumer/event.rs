//! The events of a consumer connection other than incoming frames.

use std::time::Duration;

use mcbp::{Opaque, VbId};

use super::Failure;

/// One thing that happened. The end of an effect carries the opaque of that effect.
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
    /// The flow-control window of the connection changes to this many bytes.
    Window(u32),
    /// The time: sends late acknowledgements and checks the idle timeout.
    Tick {
        /// On the clock of [`super::Consumer::new`].
        now: Duration,
        /// Unix time in seconds.
        unix_s: u32,
    },
    /// The connection is to end, for this reason. Every ADD_STREAM is answered now.
    Close(String),
}
