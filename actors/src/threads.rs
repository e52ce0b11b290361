//! The threads over which links are spread; managers have one of their own.

use actix_rt::{Arbiter, ArbiterHandle};

/// The arbiters. All links of one arbiter share its thread.
pub(crate) struct Threads {
    arbiters: Vec<Arbiter>,
}

impl Threads {
    /// Starts `count` threads, at least one.
    pub(crate) fn start(count: usize) -> Self {
        let arbiters = (0..count.max(1)).map(|_| Arbiter::new()).collect();
        Self { arbiters }
    }

    /// Handles of all of them, for managers that choose by themselves.
    pub(crate) fn handles(&self) -> Vec<ArbiterHandle> {
        self.arbiters.iter().map(Arbiter::handle).collect()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
            // A thread that panicked has been reported by the panic hook.
            _ = arbiter.join();
        }
    }
}
