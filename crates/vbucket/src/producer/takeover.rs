//! The producer's part in moving a vBucket: pending, dead here, the rest, active there.
//!
//! At no moment are both copies active: the consumer is told to become active only after this
//! node's vBucket is dead on disk and everything it ever acknowledged was sent.

use std::time::Duration;

use mcbp::dcp::SetVbucketState;
use mcbp::{Opaque, Status, StreamEndStatus, VbId, VbState};

use super::turn::{Step, Turn};

/// After so long clients' writes are held up, or a takeover under load would never end (MB-15166;
/// kv_engine's `dcp_takeover_max_time`).
const SENDING_MAX: Duration = Duration::from_secs(60);

/// How far a takeover is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) enum Stage {
    /// Sending while the vBucket is still active here.
    #[default]
    Sending,
    /// The consumer was told to become pending.
    AwaitPending,
    /// The vBucket here is being set dead.
    AwaitDead,
    /// Dead here; sending what was written until then.
    Rest,
    /// The consumer was told to become active.
    AwaitActive,
    /// The consumer is active.
    Done,
}

/// A takeover in progress.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Takeover {
    stage: Stage,
    /// Markers that ask for an answer and have none yet.
    markers_out: u32,
    began_at: Duration,
    holds_writes: bool,
}

impl Takeover {
    pub(super) fn new(now: Duration) -> Self {
        Self { stage: Stage::default(), markers_out: 0, began_at: now, holds_writes: false }
    }

    /// Whether clients' writes are to be held up from now on; says so once.
    pub(super) fn is_too_slow(&mut self, now: Duration) -> bool {
        let late = self.stage == Stage::Sending && now.saturating_sub(self.began_at) >= SENDING_MAX;
        late && !std::mem::replace(&mut self.holds_writes, true)
    }

    /// Whether the vBucket is dead here, or about to be, because of this takeover.
    pub(super) const fn expects_dead(&self) -> bool {
        matches!(self.stage, Stage::AwaitDead | Stage::Rest | Stage::AwaitActive | Stage::Done)
    }

    /// Whether nothing may be sent before an answer comes.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::AwaitPending | Stage::AwaitDead | Stage::AwaitActive)
    }

    /// Takes note of a marker with the ACK flag.
    pub(super) const fn marker_sent(&mut self) {
        self.markers_out += 1;
    }

    /// Takes the answer to such a marker.
    pub(super) const fn marker_answered(&mut self) {
        self.markers_out = self.markers_out.saturating_sub(1);
    }

    /// Everything that is durable was sent: goes to the next stage, if the consumer has all of it.
    pub(super) fn drained(&mut self, vb: VbId, opaque: Opaque, turn: &mut Turn<'_>) -> Step {
        if self.markers_out > 0 {
            return Step::Idle;
        }
        let (stage, state) = match self.stage {
            Stage::Sending => (Stage::AwaitPending, VbState::Pending),
            Stage::Rest => (Stage::AwaitActive, VbState::Active),
            Stage::Done => return Step::End(StreamEndStatus::OK),
            Stage::AwaitPending | Stage::AwaitDead | Stage::AwaitActive => return Step::Idle,
        };
        self.stage = stage;
        turn.write(|out| SetVbucketState { state }.write(vb, opaque, out));
        Step::Idle
    }

    /// Takes the answer to SET_VBUCKET_STATE. A refusal ends the stream and leaves the vBucket here
    /// as it is: active before the consumer was pending, dead afterwards (never active twice).
    pub(super) fn state_answered(&mut self, status: Status) -> Step {
        match (self.stage, status.is_success()) {
            (Stage::AwaitPending, true) => {
                self.stage = Stage::AwaitDead;
                Step::SetDead
            }
            (Stage::AwaitActive, true) => {
                self.stage = Stage::Done;
                Step::End(StreamEndStatus::OK)
            }
            (Stage::AwaitPending | Stage::AwaitActive, false) => {
                Step::Fail(format!("the consumer refused a takeover state: {status}"))
            }
            (Stage::Sending | Stage::AwaitDead | Stage::Rest | Stage::Done, _) => Step::Idle,
        }
    }

    /// The vBucket here is dead on disk, and whatever it acknowledged is in the log.
    pub(super) fn dead(&mut self) {
        if self.stage == Stage::AwaitDead {
            self.stage = Stage::Rest;
        }
    }

    /// The stage in the words of kv_engine's statistics.
    pub(super) const fn stage_name(&self) -> &'static str {
        match self.stage {
            Stage::Sending | Stage::Rest => "takeover-send",
            Stage::AwaitPending | Stage::AwaitDead | Stage::AwaitActive => "takeover-wait",
            Stage::Done => "dead",
        }
    }
}
