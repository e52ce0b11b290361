//! What is wanted of one bucket.

use replica::plan::{Connections, Desired};
use serde::{Deserialize, Serialize};

/// What is wanted of one bucket: by its source, or in force.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Connections to each producer.
    pub connections: Connections,
    /// The vBuckets from each producer.
    pub replicate: Desired,
}

impl Default for Entry {
    /// Nothing, over one connection.
    fn default() -> Self {
        Self { connections: Connections::ONE, replicate: Desired::default() }
    }
}
