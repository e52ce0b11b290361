//! Striped locks: one writer at a time for each key.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard};

use invariant::{Broken, broken};
use mcbp::VbId;

use crate::sync::lock;

/// Enough that two writers seldom meet by chance.
const STRIPES: usize = 1024;

/// See the module.
pub(crate) struct KeyLocks {
    hasher: RandomState,
    stripes: Vec<Mutex<()>>,
}

impl KeyLocks {
    pub(super) fn new() -> Self {
        let stripes = std::iter::repeat_with(Mutex::default).take(STRIPES).collect();
        Self { hasher: RandomState::new(), stripes }
    }

    /// Waits for the writer before, if there is one.
    pub(super) fn lock(&self, vb: VbId, key: &[u8]) -> Result<MutexGuard<'_, ()>, Broken> {
        let at = self.hasher.hash_one((vb, key)) % STRIPES as u64;
        let stripe = usize::try_from(at).ok().and_then(|at| self.stripes.get(at));
        stripe.map(lock).ok_or_else(|| broken!("no stripe {at} of {STRIPES}"))
    }
}
