//! How the last reload of the configuration went, for the metrics. A node begins with a good one.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::counter::Counter;

/// See the module.
pub(crate) struct Reloads {
    is_good: AtomicBool,
    /// Unix time.
    last_success: AtomicU32,
    successes: Counter,
    failures: Counter,
}

impl Reloads {
    pub(crate) fn new(now: u32) -> Self {
        let (is_good, last_success) = (AtomicBool::new(true), AtomicU32::new(now));
        Self { is_good, last_success, successes: Counter::default(), failures: Counter::default() }
    }

    pub(crate) fn succeeded(&self, now: u32) {
        self.last_success.store(now, Relaxed);
        self.is_good.store(true, Relaxed);
        self.successes.add(1);
    }

    /// The old configuration stays in use.
    pub(crate) fn failed(&self) {
        self.is_good.store(false, Relaxed);
        self.failures.add(1);
    }

    pub(crate) fn is_good(&self) -> bool {
        self.is_good.load(Relaxed)
    }

    pub(crate) fn last_success(&self) -> u32 {
        self.last_success.load(Relaxed)
    }

    pub(crate) fn successes(&self) -> u64 {
        self.successes.get()
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.get()
    }
}
