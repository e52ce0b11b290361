//! What a client asks for with a durable write.

use std::time::Duration;

use mcbp::framing::Level;

/// How long a durable write may take if the client does not say. Source: kv_engine's
/// `durability_timeout`.
const TIMEOUT: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Requirement {
    pub(crate) level: Level,
    /// `None` for the usual time.
    pub(crate) timeout: Option<Duration>,
}

impl Requirement {
    pub(super) fn patience(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }
}
