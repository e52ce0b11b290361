//! What wakes the committer, at the price of a system call only while it sleeps.

use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// See the module. All clones are one bell.
#[derive(Clone, Default, Debug)]
pub(super) struct Bell(Arc<OnceLock<Thread>>);

impl Bell {
    /// Wakes the thread that sleeps, or keeps it from the sleep that it is about to begin.
    pub(super) fn ring(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }

    /// The calling thread is the one that is woken, for good. To be called before it looks at what
    /// there is: it hears nothing before.
    pub(super) fn listen(&self) {
        self.0.get_or_init(thread::current);
    }

    /// Blocks until it rings or `longest` is over. May end early: look at what there is.
    pub(super) fn sleep(&self, longest: Option<Duration>) {
        match longest {
            Some(longest) => thread::park_timeout(longest),
            None => thread::park(),
        }
    }
}
