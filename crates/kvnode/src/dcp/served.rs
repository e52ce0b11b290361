//! A bucket and the DCP connections to it.

use std::sync::Arc;

use super::registry::Registry;
use crate::bucket::Bucket;

/// See the module.
pub(crate) struct ServedBucket {
    pub(crate) bucket: Arc<Bucket>,
    pub(super) connections: Registry,
}

impl ServedBucket {
    /// Without any connection yet.
    pub(crate) fn new(bucket: Arc<Bucket>) -> Self {
        Self { bucket, connections: Registry::default() }
    }
}
