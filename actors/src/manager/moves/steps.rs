//! The steps of a move. After every event the manager looks whether the next one can be taken;
//! where it did not move, what was wanted before is wanted again.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use replica::link::{Command, VbOutcome};
use replica::plan::LinkKey;

use super::{Move, MoveKind, Step};
use crate::copying::Copying;
use crate::error::{CommandError, VbFailure};
use crate::examine::Verdict;
use crate::manager::ReplicationManager;
use crate::manager::link::{Fate, Link, LinkState};
use crate::manager::queue::{Job, Pending};
use crate::status::{Moved, millis};

/// What became of a look at a move.
pub(super) enum Next {
    Wait,
    /// The next step, and how long it may take.
    Step(Step, Duration),
    Done(Result<(), VbFailure>),
}

impl ReplicationManager {
    /// Takes the first step; returns until when it must be done.
    pub(in crate::manager) fn begin_move(&mut self, moving: &mut Move) -> Duration {
        moving.before = self.desired.clone();
        match moving.kind {
            MoveKind::WithData => {
                moving.step = Step::Opening;
                self.desired.assign(moving.vb, Some(&moving.from));
                self.spread();
                for link in &mut self.links {
                    link.retry_now(|vb| vb == moving.vb);
                }
                self.now() + self.limits.command
            }
            MoveKind::Takeover => {
                moving.step = self.give_up_or_refuse(moving);
                self.now() + self.takeover_limit()
            }
        }
    }

    pub(in crate::manager) fn takeover_limit(&self) -> Duration {
        self.limits.command + self.limits.steps.takeover
    }

    fn key_of(&self, moving: &Move) -> LinkKey {
        let connection = self.connections.of(moving.vb);
        LinkKey { producer: moving.from.clone(), connection }
    }

    /// Goes on to the takeover, unless the copy here misses rows.
    fn give_up_or_refuse(&mut self, moving: &Move) -> Step {
        match self.misses_rows(moving.vb, &moving.from) {
            Some(failure) => Step::Refused(failure),
            None => self.give_up_stream(moving),
        }
    }

    /// From here on the vBucket is not wanted: it is to be ours. Its link is kept for the takeover.
    fn give_up_stream(&mut self, moving: &Move) -> Step {
        self.desired.assign(moving.vb, None);
        self.spread();
        let index = self.link_for(self.key_of(moving));
        self.reserved = Some(index);
        if let Some(link) = self.links.get_mut(index) {
            link.open_now();
        }
        Step::Closing
    }

    /// Takes the next steps of the move at the front, as far as it gets. Says whether something
    /// has changed by that.
    pub(in crate::manager) fn serve_move(
        &mut self,
        mut front: Pending,
        is_late: bool,
        ctx: &mut Context<Self>,
    ) -> bool {
        let Job::Move(moving) = &mut front.job else { return false };
        let next = match self.look(moving, ctx) {
            Next::Wait if is_late => self.late(moving, ctx),
            next => next,
        };
        match next {
            Next::Wait => {
                self.commands.push_front(front);
                false
            }
            Next::Step(step, limit) => {
                moving.step = step;
                front.deadline = Some(self.now() + limit);
                self.note_progress();
                self.commands.push_front(front);
                true
            }
            Next::Done(result) => {
                self.end_move(front, result, ctx);
                true
            }
        }
    }

    fn look(&mut self, moving: &mut Move, ctx: &mut Context<Self>) -> Next {
        let Some(link) = self.link_of(moving) else { return Next::Wait };
        let (fate, down) = (link.fate(moving.vb), link.down(moving.vb));
        match (&mut moving.step, fate, down) {
            (Step::Opening, Fate::Open, _) => {
                let asking = self.ask_for_estimates(moving, ctx);
                Next::Step(Step::Copying { asking, result: None }, self.limits.data_move)
            }
            (Step::Opening, Fate::Failed(failure), _) | (Step::Closing, _, Some(failure)) => {
                self.examine(moving, failure, false, ctx)
            }
            // Nothing but copying has begun.
            (Step::Copying { .. }, Fate::Failed(failure), _) => Next::Done(Err(failure)),
            (Step::Copying { result, .. }, Fate::Open | Fate::Pending, _) => match result.take() {
                None => Next::Wait,
                Some(Ok(())) => Next::Step(self.give_up_or_refuse(moving), self.takeover_limit()),
                Some(Err(failure)) => Next::Done(Err(failure)),
            },
            (Step::Refused(failure), ..) => Next::Done(Err(failure.clone())),
            (Step::Closing, _, None) => self.take_over(moving),
            (Step::TakingOver { outcome }, _, down) => match (outcome.take(), down) {
                (Some(VbOutcome::TakenOver), _) => Next::Done(Ok(())),
                (Some(VbOutcome::Failed(error)), _) => self.takeover_failed(moving, &error, ctx),
                (_, Some(failure)) => self.examine(moving, failure, false, ctx),
                // A machine gives a takeover no other outcome.
                (_, None) => Next::Wait,
            },
            (Step::Examining { verdict, .. }, ..) => match verdict.take() {
                None => Next::Wait,
                Some(Verdict::Moved) => Next::Done(Ok(())),
                Some(Verdict::Failed(failure)) => Next::Done(Err(failure)),
                Some(Verdict::GivenBack) => {
                    moving.was_given_back = true;
                    Next::Step(self.give_up_stream(moving), self.takeover_limit())
                }
            },
            (Step::Queued, ..) | (Step::Opening, Fate::Pending, _) => Next::Wait,
        }
    }

    pub(super) fn link_of(&self, moving: &Move) -> Option<&Link> {
        let key = self.key_of(moving);
        self.links.iter().find(|link| link.key == key)
    }

    /// Begins the takeover once the consumer has no stream of the vBucket on any other link
    /// (MB-29354); that of its own link is closed by the machine (MB-9343).
    fn take_over(&mut self, moving: &Move) -> Next {
        let (vb, key) = (moving.vb, self.key_of(moving));
        let is_held = self.links.iter().any(|link| link.key != key && link.may_hold(vb));
        let ready = |link: &Link| {
            link.key == key && matches!(link.state, LinkState::Up { running: false, .. })
        };
        match self.links.iter().position(ready) {
            Some(index) if !is_held => {
                log::info!("takeover begins bucket={} vb={vb} from={}", self.bucket, moving.from);
                self.run(index, Command::Takeover { vb });
                Next::Step(Step::TakingOver { outcome: None }, self.takeover_limit())
            }
            _ => Next::Wait,
        }
    }

    fn end_move(&mut self, front: Pending, result: Result<(), VbFailure>, ctx: &mut Context<Self>) {
        let elapsed = self.now().saturating_sub(front.asked);
        let Job::Move(mut moving) = front.job else { return };
        moving.abandon(ctx);
        self.note_progress();
        self.reserved = None;
        let (bucket, from, vb) = (self.bucket.clone(), moving.from.clone(), moving.vb);
        let result = match result {
            Ok(()) => {
                let elapsed_ms = millis(elapsed);
                log::info!("vbucket moved bucket={bucket} vb={vb} from={from} ms={elapsed_ms}");
                // It may be ours without a takeover of this command.
                self.desired.assign(vb, None);
                self.spread();
                Ok(Moved { bucket, vbucket: vb.0, from, elapsed_ms })
            }
            Err(failure) => {
                log::warn!("vbucket not moved bucket={bucket} vb={vb} reason=\"{failure}\"");
                self.desired = std::mem::take(&mut moving.before);
                self.spread();
                Err(CommandError::Failed(vec![failure]))
            }
        };
        moving.answer(result);
    }

    fn ask_for_estimates(&self, moving: &Move, ctx: &mut Context<Self>) -> SpawnHandle {
        let (vb, told) = (moving.vb, ctx.address().recipient());
        let spec = self.link_of(moving).map(|link| Arc::clone(&link.spec));
        let copied = async move {
            match spec {
                Some(spec) => Copying { spec, vb, told }.wait().await,
                None => std::future::pending().await,
            }
        };
        ctx.spawn(copied.into_actor(self).map(|copied, manager, ctx| {
            if let Some(Pending { job: Job::Move(moving), .. }) = manager.commands.front_mut()
                && let Step::Copying { result, .. } = &mut moving.step
            {
                *result = Some(copied);
                manager.reconcile(ctx);
            }
        }))
    }
}
