//! The tasks of a bucket: asking the nodes what a move needs to know. Each reports once.

use actix::{AsyncContext, Context, Handler};
use mcbp::VbId;
use replica::bucket::{BucketEvent, Cause, Examine, Finding, TaskId};
use replica::plan::LinkKey;

use super::BucketActor;
use crate::tasks::{self, TaskReport};

impl BucketActor {
    /// Starts to poll how many changes are missing.
    pub(super) fn estimate(
        &mut self,
        task: TaskId,
        key: &LinkKey,
        vb: VbId,
        ctx: &mut Context<Self>,
    ) {
        let report = ctx.address().recipient();
        match self.spec(key) {
            Ok(spec) => self.spawn(task, tasks::estimate(task, spec, vb, report), ctx),
            Err(down) => {
                let event = BucketEvent::Copied(task, Err(Cause::Link(down)));
                ctx.notify(TaskReport(event));
            }
        }
    }

    /// Starts to ask both nodes which copies are left.
    pub(super) fn examine(&mut self, task: TaskId, examine: Examine, ctx: &mut Context<Self>) {
        let report = ctx.address().recipient();
        match self.spec(&examine.key) {
            Ok(spec) => self.spawn(task, tasks::examine(task, spec, examine, report), ctx),
            Err(down) => {
                let finding = Finding::NotMoved(Cause::Link(down));
                ctx.notify(TaskReport(BucketEvent::Examined(task, finding)));
            }
        }
    }

    /// Ends a task, which then reports nothing.
    pub(super) fn cancel(&mut self, task: TaskId, ctx: &mut Context<Self>) {
        if let Some(handle) = self.tasks.remove(&task) {
            ctx.cancel_future(handle);
        }
    }

    fn spawn(
        &mut self,
        id: TaskId,
        task: impl Future<Output = ()> + 'static,
        ctx: &mut Context<Self>,
    ) {
        let handle = ctx.spawn(actix::fut::wrap_future(task));
        self.tasks.insert(id, handle);
    }
}

impl Handler<TaskReport> for BucketActor {
    type Result = ();

    fn handle(&mut self, TaskReport(event): TaskReport, ctx: &mut Self::Context) {
        if let BucketEvent::Copied(task, _) | BucketEvent::Examined(task, _) = &event {
            self.tasks.remove(task);
        }
        self.event(event, ctx);
    }
}
