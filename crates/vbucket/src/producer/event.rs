//! What happens to a producer connection beside the frames that come in.

use std::time::Duration;

use mcbp::{Opaque, VbId};

use super::DiskRead;

/// One thing that happened. A report carries the opaque that its effect did.
#[derive(Debug)]
pub enum Event {
    /// Rows of the vBucket became durable.
    Committed(VbId),
    /// State, history or existence of the vBucket changed, or [`super::Effect::Watch`] asked for a
    /// first look.
    Changed(VbId),
    /// A [`super::Effect::ReadDisk`] ended. One of a stream that is gone is dropped (MB-26979).
    DiskRead(VbId, Opaque, DiskRead),
    /// A [`super::Effect::SetDead`] ended, well or with a cause of failure, for people.
    Dead(VbId, Opaque, Result<(), String>),
    /// Time went on, to this age of the clock that [`super::Producer::new`] was given: NOOP, and
    /// the idle timeout. To be given about ten times a second.
    Tick(Duration),
}
