//! The judge, which decides what happens to control frames.

use bytes::Bytes;
use mcbp::scan::ControlSet;

/// What is to happen to a control frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It is passed on to the other side, in order.
    Forward,
    /// It is not passed on: it answers a request of ours.
    Withhold,
    /// The pump ends with [`crate::Fault::Stopped`]: the judge can no longer decide.
    Stop,
}

/// Decides on the control frames of one direction of a link, for its [`crate::Pump`].
pub trait Judge {
    /// Returns which frames need [`Judge::judge`]; all others are passed on. Called for each read,
    /// so it must be cheap.
    fn control(&self) -> &ControlSet;

    /// Decides on one whole control frame. Nothing after it is passed on before the verdict.
    fn judge(&mut self, frame: Bytes) -> impl Future<Output = Verdict>;
}
