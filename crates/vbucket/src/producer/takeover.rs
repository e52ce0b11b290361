//! The producer's part of a takeover: the consumer's copy becomes pending, this one dead, the
//! remaining changes are sent, the consumer's copy becomes active.
//!
//! At no moment are both copies active: the consumer is asked to become active only after this
//! node's vBucket is dead on disk and everything it ever acknowledged was sent.

use std::time::Duration;

use mcbp::dcp::SetVbucketState;
use mcbp::{Opaque, Status, StreamEndStatus, VbId, VbState};

use super::turn::{AfterTurn, Turn};

/// How long a takeover may send before clients' writes are blocked; under load it would never end
/// otherwise (MB-15166; kv_engine's `dcp_takeover_max_time`).
const SENDING_MAX: Duration = Duration::from_secs(60);

/// The stage of a takeover.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) enum Stage {
    /// Sending while the vBucket is still active here.
    #[default]
    Sending,
    /// The consumer was asked to become pending.
    AwaitPending,
    /// The vBucket here is being set dead.
    AwaitDead,
    /// Dead here; sending what was written before.
    Rest,
    /// The consumer was asked to become active.
    AwaitActive,
    /// The consumer is active.
    Done,
}

/// A takeover in progress.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Takeover {
    stage: Stage,
    /// How many markers ask for an answer and have none yet.
    markers_out: u32,
    began_at: Duration,
    holds_writes: bool,
}

impl Takeover {
    pub(super) fn new(now: Duration) -> Self {
        Self { stage: Stage::default(), markers_out: 0, began_at: now, holds_writes: false }
    }

    /// Whether clients' writes are to be blocked from now on. Returns true once.
    pub(super) fn is_too_slow(&mut self, now: Duration) -> bool {
        let late = self.stage == Stage::Sending && now.saturating_sub(self.began_at) >= SENDING_MAX;
        late && !std::mem::replace(&mut self.holds_writes, true)
    }

    /// Whether the vBucket is dead here, or about to be, because of this takeover.
    pub(super) const fn expects_dead(&self) -> bool {
        matches!(self.stage, Stage::AwaitDead | Stage::Rest | Stage::AwaitActive | Stage::Done)
    }

    /// Whether nothing may be sent until an answer comes.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::AwaitPending | Stage::AwaitDead | Stage::AwaitActive)
    }

    /// Records a marker with the ACK flag.
    pub(super) const fn marker_sent(&mut self) {
        self.markers_out += 1;
    }

    /// Takes the answer to a marker with the ACK flag.
    pub(super) const fn marker_answered(&mut self) {
        self.markers_out = self.markers_out.saturating_sub(1);
    }

    /// Called once everything durable was sent. Enters the next stage if the consumer has all of
    /// it.
    pub(super) fn drained(&mut self, vb: VbId, opaque: Opaque, turn: &mut Turn<'_>) -> AfterTurn {
        if self.markers_out > 0 {
            return AfterTurn::Idle;
        }
        let (stage, state) = match self.stage {
            Stage::Sending => (Stage::AwaitPending, VbState::Pending),
            Stage::Rest => (Stage::AwaitActive, VbState::Active),
            Stage::Done => return AfterTurn::End(StreamEndStatus::OK),
            Stage::AwaitPending | Stage::AwaitDead | Stage::AwaitActive => return AfterTurn::Idle,
        };
        self.stage = stage;
        turn.write(|out| SetVbucketState { state }.write(vb, opaque, out));
        AfterTurn::Idle
    }

    /// Takes the answer to SET_VBUCKET_STATE. A refusal ends the stream and does not change the
    /// state of the vBucket here: active before the consumer was pending, dead afterwards, so that
    /// two copies are never active.
    pub(super) fn state_answered(&mut self, status: Status) -> AfterTurn {
        match (self.stage, status.is_success()) {
            (Stage::AwaitPending, true) => {
                self.stage = Stage::AwaitDead;
                AfterTurn::SetDead
            }
            (Stage::AwaitActive, true) => {
                self.stage = Stage::Done;
                AfterTurn::End(StreamEndStatus::OK)
            }
            (Stage::AwaitPending | Stage::AwaitActive, false) => {
                AfterTurn::Fail(format!("the consumer refused a takeover state: {status}"))
            }
            (Stage::Sending | Stage::AwaitDead | Stage::Rest | Stage::Done, _) => AfterTurn::Idle,
        }
    }

    /// The vBucket here is dead on disk, and every write that it acknowledged is in the memory log.
    pub(super) fn dead(&mut self) {
        if self.stage == Stage::AwaitDead {
            self.stage = Stage::Rest;
        }
    }

    /// The name of the stage in kv_engine's statistics.
    pub(super) const fn stage_name(&self) -> &'static str {
        match self.stage {
            Stage::Sending | Stage::Rest => "takeover-send",
            Stage::AwaitPending | Stage::AwaitDead | Stage::AwaitActive => "takeover-wait",
            Stage::Done => "dead",
        }
    }
}
