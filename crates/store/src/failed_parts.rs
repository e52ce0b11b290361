//! What is wrong with which parts of a batch: one error names every vBucket without which the rest
//! can be committed.

use std::collections::BTreeMap;

use mcbp::VbId;
use vbucket::StoreError;
use vbucket::store::{PartError, Scope};

/// The vBuckets whose part of a batch cannot be committed, and why.
#[derive(Default)]
pub(crate) struct FailedParts(BTreeMap<VbId, StoreError>);

impl FailedParts {
    /// Prepares one more item of the part of `vb`, unless an earlier one failed.
    pub(crate) fn note(&mut self, vb: VbId, prepare: impl FnOnce() -> Result<(), StoreError>) {
        let is_new = self.0.is_empty() || !self.0.contains_key(&vb);
        if is_new && let Err(error) = prepare() {
            self.0.insert(vb, error);
        }
    }

    /// `plan`, or the error that names the failed parts.
    pub(crate) fn or<T>(self, plan: T) -> Result<T, StoreError> {
        if self.0.is_empty() {
            return Ok(plan);
        }
        // An error that names its vBucket needs no wrapping while it is the only one.
        if self.0.len() == 1
            && let Some(error) = self.0.values().find(|error| !error.parts().is_empty())
        {
            return Err(error.clone());
        }
        let part = |(vb, error): (VbId, StoreError)| {
            // A lookup that failed, whether by damage or by the disk, failed for this row alone.
            let scope = error.scope().min(Scope::Vbucket);
            let scope = if error.parts().is_empty() { Scope::Row } else { scope };
            PartError { vb, scope, error }
        };
        Err(StoreError::Parts(self.0.into_iter().map(part).collect()))
    }
}
