//! Which collections have rows that are still to be erased: there may be one of a document that no
//! reader sees.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::collections::Gone;
use crate::format::Generation;

/// See the module.
#[derive(Default)]
pub(crate) struct Erasures {
    /// Most of the time there are none, which every new document asks for.
    are_any: AtomicBool,
    all: Mutex<BTreeSet<(Generation, Gone)>>,
}

impl Erasures {
    pub(crate) fn begin(&self, gone: &[(Generation, Gone)]) {
        if !gone.is_empty() {
            self.lock().extend(gone);
            self.are_any.store(true, Ordering::SeqCst);
        }
    }

    /// The rows are erased, or go with their generation.
    pub(crate) fn end(&self, generation: Generation, gone: Gone) {
        let mut all = self.lock();
        all.remove(&(generation, gone));
        self.are_any.store(!all.is_empty(), Ordering::SeqCst);
    }

    /// Whether rows of collection `id` are to be erased.
    pub(crate) fn concern(&self, generation: Generation, id: u32) -> bool {
        self.are_any.load(Ordering::SeqCst)
            && self.lock().iter().any(|(of, gone)| (*of, gone.id) == (generation, id))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(Generation, Gone)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
