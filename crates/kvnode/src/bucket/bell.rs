//! What wakes the committer, at the price of a system call only where it would not look by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// How long the committer dozes before it looks again, unless it rings.
pub(super) const DOZE: Duration = Duration::from_millis(1);

#[derive(Default, Debug)]
struct Shared {
    thread: OnceLock<Thread>,
    /// Whether the committer looks again soon.
    dozes: AtomicBool,
}

/// See the module. All clones are one bell.
#[derive(Clone, Default, Debug)]
pub(super) struct Bell(Arc<Shared>);

impl Bell {
    /// Wakes the thread that sleeps, or keeps it from the sleep that it is about to begin.
    pub(super) fn ring(&self) {
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        }
    }

    /// The same, for what can wait as long as the thread dozes.
    pub(super) fn ring_softly(&self) {
        if !self.0.dozes.load(Ordering::SeqCst) {
            self.ring();
        }
    }

    /// The calling thread is the one that is woken, for good. To be called before it looks at what
    /// there is: it hears nothing before.
    pub(super) fn listen(&self) {
        self.0.thread.get_or_init(thread::current);
    }

    /// Blocks until it rings, or for as long as what is told softly can wait. May end early: look
    /// at what there is.
    pub(super) fn doze(&self, longest: Duration) {
        self.0.dozes.store(true, Ordering::SeqCst);
        thread::park_timeout(longest);
    }

    /// To be called before [`Bell::sleep`]: what comes after the next look at what there is rings.
    pub(super) fn wake_for_all(&self) {
        self.0.dozes.store(false, Ordering::SeqCst);
    }

    /// Blocks until it rings. May end early: look at what there is.
    pub(super) fn sleep(&self) {
        thread::park();
    }
}
