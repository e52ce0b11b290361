//! The threads that the links share. The actors of buckets run on another one.

use actix_rt::{Arbiter, ArbiterHandle};

/// The arbiters. All links of an arbiter share its thread.
pub(crate) struct Threads {
    arbiters: Vec<Arbiter>,
}

impl Threads {
    /// Starts `count` threads, at least one.
    pub(crate) fn start(count: usize) -> Self {
        let arbiters = (0..count.max(1)).map(|_| Arbiter::new()).collect();
        Self { arbiters }
    }

    /// Returns handles of all arbiters, for buckets, which choose one for each link.
    pub(crate) fn handles(&self) -> Vec<ArbiterHandle> {
        self.arbiters.iter().map(Arbiter::handle).collect()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
            // The panic hook has reported a thread that panicked.
            _ = arbiter.join();
        }
    }
}
