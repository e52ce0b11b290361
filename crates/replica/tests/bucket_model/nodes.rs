//! The copies of vBucket 0 at the data nodes, and what a takeover does to them.

use mcbp::{Seqno, VbState, VbUuid};
use replica::remedy::{CopyInfo, CopyReport};

/// The progress of a takeover at the nodes; each step is one order that takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    Begun,
    ConsumerPending,
    ProducerDead,
    ConsumerActive,
}

/// The copies. The other producer, gamma, has a replica.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Nodes {
    pub consumer: VbState,
    pub alpha: VbState,
    /// An order of a takeover whose link is lost, which may still take effect.
    pub on_its_way: Option<Stage>,
}

impl Nodes {
    pub const fn new() -> Self {
        Self { consumer: VbState::Replica, alpha: VbState::Active, on_its_way: None }
    }

    pub fn active_copies(&self) -> usize {
        [self.consumer, self.alpha].iter().filter(|state| **state == VbState::Active).count()
    }

    /// Whether the stream of a takeover, or of replication from alpha, can open.
    pub fn can_stream(&self) -> bool {
        self.consumer != VbState::Active && self.alpha == VbState::Active
    }

    pub fn take_effect(&mut self, stage: Stage) {
        match stage {
            Stage::Begun => {}
            Stage::ConsumerPending => self.consumer = VbState::Pending,
            Stage::ProducerDead => self.alpha = VbState::Dead,
            Stage::ConsumerActive => self.consumer = VbState::Active,
        }
    }

    pub const fn said(state: VbState, high: u64) -> CopyReport {
        CopyReport::Present(CopyInfo { state, branch: VbUuid(7), high: Seqno(high) })
    }
}

impl Stage {
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Begun => Some(Self::ConsumerPending),
            Self::ConsumerPending => Some(Self::ProducerDead),
            Self::ProducerDead => Some(Self::ConsumerActive),
            Self::ConsumerActive => None,
        }
    }
}
