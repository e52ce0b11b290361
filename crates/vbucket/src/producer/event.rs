//! The events of a producer connection other than incoming frames.

use std::time::Duration;

use mcbp::VbId;

use super::{DiskRead, StreamId};

/// One thing that happened. The end of an effect carries the stream of that effect.
#[derive(Debug)]
pub enum Event {
    /// Rows of the vBucket became durable.
    Committed(VbId),
    /// State, history or existence of the vBucket changed, or [`super::Effect::Watch`] asked for a
    /// first look.
    Changed(VbId),
    /// A [`super::Effect::ReadDisk`] ended. Ignored for a stream that has ended (MB-26979).
    DiskRead(VbId, StreamId, DiskRead),
    /// A [`super::Effect::SetDead`] ended; an error holds the cause, for the log.
    Dead(VbId, StreamId, Result<(), String>),
    /// The time, on the clock of [`super::Producer::new`]: sends NOOP and checks the idle timeout.
    /// To be given about ten times a second.
    Tick(Duration),
}
