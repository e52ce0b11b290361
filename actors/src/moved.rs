//! Where successful moves are told, before their callers are answered.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::status::Moved;

/// Tells the present receiver of moves, if there is one; clones share it.
#[derive(Clone, Default)]
pub(crate) struct MovedOut(Arc<Mutex<Option<UnboundedSender<Moved>>>>);

impl MovedOut {
    /// Returns a receiver in place of the previous one, which gets no more.
    ///
    /// The queue has at most one entry for each successful command that was not read yet: a vBucket
    /// moves in milliseconds, and none is sent before there is a receiver.
    pub(crate) fn receiver(&self) -> UnboundedReceiver<Moved> {
        let (sender, receiver) = unbounded_channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    pub(crate) fn send(&self, moved: Moved) {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.as_ref().is_some_and(|sender| sender.send(moved).is_err()) {
            *sender = None;
        }
    }
}
