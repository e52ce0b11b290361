//! What a move does when something fails: both nodes are asked what they have, before anybody is
//! told. A link that is lost after `active` was passed on cannot know whether the vBucket moved.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use replica::link::{Reason, Step as MachineStep, VbError};

use super::steps::Next;
use super::{Move, Step};
use crate::error::VbFailure;
use crate::examine::Examine;
use crate::manager::ReplicationManager;
use crate::manager::queue::{Job, Pending};

impl ReplicationManager {
    /// The machine has given up.
    ///
    /// Where a node refused the stream, no takeover has begun on this link, and what an earlier
    /// link was told has taken effect: it was displaced when this one opened, by its name. So what
    /// an earlier takeover left may be repaired.
    pub(super) fn takeover_failed(
        &self,
        moving: &Move,
        error: &VbError,
        ctx: &mut Context<Self>,
    ) -> Next {
        let is_refused =
            matches!(error.reason, Reason::Refused { step: MachineStep::AddStream, .. });
        let failure = VbFailure::of_stream(&self.bucket, &moving.from, error);
        self.examine(moving, failure, is_refused && !moving.was_given_back, ctx)
    }

    /// The time of the present step is up.
    pub(super) fn late(&self, moving: &Move, ctx: &mut Context<Self>) -> Next {
        match &moving.step {
            Step::Examining { failure, .. } => Next::Done(Err(failure.clone())),
            Step::Opening | Step::Closing | Step::TakingOver { .. } => {
                let failure = VbFailure::of_deadline(&self.bucket, &moving.from, moving.vb);
                self.examine(moving, failure, false, ctx)
            }
            Step::Refused(failure) => Next::Done(Err(failure.clone())),
            Step::Queued | Step::Copying { .. } => {
                Next::Done(Err(VbFailure::of_deadline(&self.bucket, &moving.from, moving.vb)))
            }
        }
    }

    /// Asks the nodes; may repair the copies only where nothing of a takeover can be on its way.
    pub(super) fn examine(
        &self,
        moving: &Move,
        failure: VbFailure,
        may_repair: bool,
        ctx: &mut Context<Self>,
    ) -> Next {
        let Some(link) = self.link_of(moving) else { return Next::Done(Err(failure)) };
        let spec = Arc::clone(&link.spec);
        let (vb, failure_now) = (moving.vb, failure.clone());
        let is_complete = !self.incomplete.contains_key(&vb);
        let examine = Examine { spec, vb, failure: failure_now, may_repair, is_complete };
        let asking = ctx.spawn(examine.run().into_actor(self).map(|found, manager, ctx| {
            if let Some(Pending { job: Job::Move(moving), .. }) = manager.commands.front_mut()
                && let Step::Examining { verdict, .. } = &mut moving.step
            {
                *verdict = Some(found);
                manager.reconcile(ctx);
            }
        }));
        Next::Step(Step::Examining { asking, failure, verdict: None }, self.limits.command)
    }
}
