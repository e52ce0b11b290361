//! The checked `[verify]`: how often copies are compared with their producers, and at which rate.

use std::num::NonZeroU64;
use std::time::Duration;

/// The verification of copies inside the sidecar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verification {
    /// How often all copies are compared; `None` where they are compared on request only.
    pub interval: Option<Duration>,
    /// How many bytes a second are read at most, of both nodes together.
    pub rate: NonZeroU64,
}

/// A few percent of what one core of a node can stream. 100 GB at each node take 5.6 hours.
pub(super) const RATE: NonZeroU64 = NonZeroU64::new(10_000_000).expect("it is not 0");

impl Default for Verification {
    fn default() -> Self {
        Self { interval: None, rate: RATE }
    }
}
