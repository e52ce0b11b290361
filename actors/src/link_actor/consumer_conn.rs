//! The consumer side of one link: carries out the effects of [`ConsumerMachine`] and decides
//! nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use actix::{
    Actor, ActorContext, ActorFuture, Addr, AsyncContext, Context, Handler, MessageResult,
    Recipient,
};
use relay::{Injector, Progress, Verdict};
use replica::bucket::{LinkDown, LinkReport};
use replica::link::{
    ConsumerMachine, ControlFrame, Deadline, Effect, Effects, Event, LinkStep, Note, Side,
    StepLimits,
};
use tokio_util::time::DelayQueue;

use super::messages::{Faulted, FromConn, LinkOver, ProducerFrame, ReadLink, Run, SendOwn};
use super::producer_conn::ProducerConn;
use super::tap::{Tapped, decode, to_pump};

/// The actor of the consumer connection.
pub(crate) struct ConsumerConn {
    link: Arc<str>,
    machine: ConsumerMachine,
    limits: StepLimits,
    /// The armed deadlines. A deadline that nothing waits for any more stays until it passes; the
    /// machine then ignores it.
    deadlines: DelayQueue<Deadline>,
    producer: Addr<ProducerConn>,
    to_consumer: Injector,
    owner: Recipient<FromConn>,
    downstream: Arc<Progress>,
    /// The sampled frame count of the vBucket that is taken over, when it was last read.
    passed_frames: u64,
}

impl ConsumerConn {
    /// Starts the actors of both sides of a link.
    pub(crate) fn start_pair(
        link: Arc<str>,
        limits: StepLimits,
        to_consumer: Injector,
        to_producer: Injector,
        downstream: Arc<Progress>,
        owner: Recipient<FromConn>,
    ) -> (Addr<Self>, Addr<ProducerConn>) {
        let ctx = Context::<Self>::new();
        let (says, faults) = (ctx.address().recipient(), ctx.address().recipient());
        let producer = ProducerConn::new(says, faults, to_producer).start();
        let conn = Self {
            link,
            machine: ConsumerMachine::default(),
            limits,
            deadlines: DelayQueue::new(),
            producer: producer.clone(),
            to_consumer,
            owner,
            downstream,
            passed_frames: 0,
        };
        (ctx.run(conn), producer)
    }

    fn event(&mut self, event: Event, ctx: &mut Context<Self>) {
        let effects = self.machine.on(event);
        self.carry_out(effects, ctx);
    }

    fn frame(&mut self, frame: ControlFrame, ctx: &mut Context<Self>) -> Verdict {
        let (verdict, effects) = self.machine.on_frame(frame);
        self.carry_out(effects, ctx);
        to_pump(verdict)
    }

    /// Whether frames of the vBucket that is taken over have been sampled since the last call, or
    /// since its takeover began.
    fn has_data_passed(&mut self) -> bool {
        let sample = self.machine.taking_over().and_then(|vb| self.downstream.vbucket(vb));
        let frames = sample.map_or(0, |sample| sample.frames);
        std::mem::replace(&mut self.passed_frames, frames) < frames
    }

    fn carry_out(&mut self, effects: Effects, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Send(Side::Consumer, frame) => {
                    if let Err(error) = self.to_consumer.inject(frame.encode()) {
                        ctx.notify(Faulted { side: Side::Consumer, why: error.to_string() });
                    }
                }
                Effect::Send(Side::Producer, frame) => self.producer.do_send(SendOwn(frame)),
                Effect::Arm(deadline) => {
                    self.deadlines.insert(deadline, self.limits.of(deadline.step));
                }
                Effect::Answer(ticket, outcome) => {
                    self.report(LinkReport::Answered(ticket, outcome));
                }
                Effect::Ended(error) => self.report(LinkReport::Ended(error)),
                Effect::Note(Note::RollbackAsked { vb, .. }) => {
                    self.report(LinkReport::RollbackAsked(vb));
                }
                Effect::Note(Note::RollbackOver { vb, from, to, .. }) => {
                    self.report(LinkReport::RollbackOver { vb, from, to });
                }
                Effect::Note(Note::ErrorAnswer(answer)) => {
                    self.report(LinkReport::ErrorAnswer(answer));
                }
                Effect::Incomplete(vb, complete_to) => {
                    self.report(LinkReport::Copy(vb, Some(complete_to)));
                }
                Effect::Complete(vb) => self.report(LinkReport::Copy(vb, None)),
                Effect::Opened(vb) => self.report(LinkReport::Opened(vb)),
                Effect::Progress => self.report(LinkReport::Progress),
                Effect::Note(note) => log::info!("{note} link={}", self.link),
                Effect::Stop(reason) => {
                    self.report(LinkReport::Down(LinkDown::stopped(&reason)));
                    self.producer.do_send(LinkOver);
                    ctx.stop();
                }
            }
        }
    }

    /// A deadline has passed.
    fn passed(&mut self, deadline: Deadline, ctx: &mut Context<Self>) {
        if deadline.step == LinkStep::Takeover && self.has_data_passed() {
            self.event(Event::DataPassed, ctx);
        }
        self.event(Event::DeadlinePassed(deadline), ctx);
    }

    fn report(&self, report: LinkReport) {
        self.owner.do_send(FromConn(report));
    }
}

impl Actor for ConsumerConn {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(WatchDeadlines);
    }
}

/// Delivers the deadlines that pass; never ready. It is polled within the actor, which also adds to
/// the queue.
struct WatchDeadlines;

impl ActorFuture<ConsumerConn> for WatchDeadlines {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        conn: &mut ConsumerConn,
        ctx: &mut Context<ConsumerConn>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        while let Poll::Ready(Some(passed)) = conn.deadlines.poll_expired(task) {
            conn.passed(passed.into_inner(), ctx);
        }
        Poll::Pending
    }
}

impl Handler<Tapped> for ConsumerConn {
    type Result = MessageResult<Tapped>;

    fn handle(&mut self, Tapped(frame): Tapped, ctx: &mut Self::Context) -> Self::Result {
        MessageResult(match decode(Side::Consumer, &frame) {
            Ok(Some(control)) => self.frame(control, ctx),
            Ok(None) => Verdict::Forward,
            Err(error) => {
                ctx.notify(Faulted { side: Side::Consumer, why: error.to_string() });
                Verdict::Stop
            }
        })
    }
}

impl Handler<ProducerFrame> for ConsumerConn {
    type Result = MessageResult<ProducerFrame>;

    fn handle(&mut self, says: ProducerFrame, ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.frame(says.0, ctx))
    }
}

impl Handler<Run> for ConsumerConn {
    type Result = ();

    fn handle(&mut self, Run { ticket, command }: Run, ctx: &mut Self::Context) {
        self.event(Event::Command { ticket, command }, ctx);
        // Resets the count: earlier frames are no progress of this takeover.
        self.has_data_passed();
    }
}

impl Handler<Faulted> for ConsumerConn {
    type Result = ();

    fn handle(&mut self, Faulted { side, why }: Faulted, ctx: &mut Self::Context) {
        self.event(Event::LinkLost { side, why }, ctx);
    }
}

impl Handler<LinkOver> for ConsumerConn {
    type Result = ();

    fn handle(&mut self, _: LinkOver, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<ReadLink> for ConsumerConn {
    type Result = MessageResult<ReadLink>;

    fn handle(&mut self, _: ReadLink, _: &mut Self::Context) -> Self::Result {
        MessageResult(Some(self.machine.snapshot()))
    }
}
