//! Who decides what happens to a control frame.

use bytes::Bytes;
use mcbp::scan::ControlSet;

/// What is to happen to a control frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It goes on to the other side, in its place between the frames around it.
    Forward,
    /// It ends here: it was meant for us.
    Withhold,
    /// The pump ends with [`crate::Fault::Stopped`]; for a judge that cannot decide any more.
    Stop,
}

/// The rules of one direction of a link, asked by its [`crate::Pump`].
pub trait Judge {
    /// Which frames are brought to [`Judge::judge`]; all others pass unseen. Asked once a read,
    /// so it must be cheap.
    fn control(&self) -> &ControlSet;

    /// Decides on one whole control frame. Nothing behind it is passed on before the answer.
    fn judge(&mut self, frame: Bytes) -> impl Future<Output = Verdict>;
}
