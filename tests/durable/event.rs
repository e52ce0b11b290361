//! What happens in a round, and how often each of it.

/// What happens in a round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Event {
    /// A node with active copies is killed and started again.
    Restart,
    /// Such a node stays dead until others have its active copies.
    Failover,
    /// A node is killed that may have no active copy.
    AnyNode,
    Sidecar,
    /// No sidecar runs for a while: nothing can be decided but by time.
    NoSidecars,
    /// The same, and a node with active copies is killed meanwhile.
    KilledAlone,
    /// The same with a failover.
    FailoverAlone,
    /// A failover while one of the replicas lags, because its sidecar was killed before.
    FailoverLagging,
    /// The active copies of a node are taken over by another one.
    Takeover,
    /// The same, and one of the two nodes or the sidecar between them is killed meanwhile.
    TakeoverKilled,
}

impl Event {
    /// A random one.
    pub(crate) fn random(rng: &mut fastrand::Rng) -> Self {
        EVENTS[rng.usize(..EVENTS.len())]
    }

    /// Whether plain writes may be lost.
    pub(crate) const fn is_failover(self) -> bool {
        matches!(self, Self::Failover | Self::FailoverAlone | Self::FailoverLagging)
    }
}

const EVENTS: [Event; 16] = [
    Event::Restart,
    Event::Restart,
    Event::Failover,
    Event::Failover,
    Event::FailoverAlone,
    Event::FailoverAlone,
    Event::FailoverLagging,
    Event::FailoverLagging,
    Event::AnyNode,
    Event::Sidecar,
    Event::NoSidecars,
    Event::KilledAlone,
    Event::Takeover,
    Event::Takeover,
    Event::TakeoverKilled,
    Event::TakeoverKilled,
];
