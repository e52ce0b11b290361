//! The queue of frames that the owner of a link adds to one of its directions.
//!
//! A full queue is an error: waiting for a free place could be waiting for a peer that waits for
//! us.

use bytes::Bytes;
use tokio::sync::mpsc;

/// How many frames may be queued. A set-up sends at most one ADD_STREAM and one CLOSE_STREAM for
/// each of 1,024 vBuckets; twice that is enough for a shutdown during a set-up.
pub const INJECT_FRAMES_MAX: usize = 4096;

/// Why a frame was not queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InjectError {
    /// The queue is full: a defect of the caller, or a peer that stopped reading. End the link.
    #[error("{INJECT_FRAMES_MAX} frames are queued already")]
    Full,
    /// The pump has ended.
    #[error("the pump has ended")]
    Closed,
}

/// Adds frames to one direction of a link; cheap to clone.
#[derive(Clone, Debug)]
pub struct Injector(mpsc::Sender<Bytes>);

impl Injector {
    /// Queues one whole frame. It is written between two frames of the source, in the order of
    /// these calls.
    ///
    /// # Errors
    /// See [`InjectError`]; then the frame is dropped.
    pub fn inject(&self, frame: Bytes) -> Result<(), InjectError> {
        self.0.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => InjectError::Full,
            mpsc::error::TrySendError::Closed(_) => InjectError::Closed,
        })
    }
}

/// The pump's end of the queue.
#[derive(Debug)]
pub struct Injections(pub(crate) mpsc::Receiver<Bytes>);

/// Creates a queue of [`INJECT_FRAMES_MAX`] frames.
#[must_use]
pub fn injections() -> (Injector, Injections) {
    let (sender, receiver) = mpsc::channel(INJECT_FRAMES_MAX);
    (Injector(sender), Injections(receiver))
}
