//! The consumer side of one link: carries out what [`ConsumerMachine`] decides, and holds no rules
//! of its own.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle,
};
use mcbp::{Seqno, VbId};
use relay::{Injector, Progress, Verdict};
use replica::link::{
    Command, ConsumerMachine, ControlFrame, Effect, Effects, Event, Limits, Note, Outcome, Side,
    Snapshot, Step, StopReason, Ticket, VbError,
};
use tokio::time::Instant;

use crate::deadlines::Deadlines;
use crate::link::LinkOver;
use crate::producer_conn::{ProducerConn, SendOwn};
use crate::tap::{Tapped, decode};

/// The actor of the consumer connection.
pub(crate) struct ConsumerConn {
    link: Arc<str>,
    machine: ConsumerMachine,
    limits: Limits,
    deadlines: Deadlines,
    timer: Option<SpawnHandle>,
    producer: Addr<ProducerConn>,
    to_consumer: Injector,
    owner: Recipient<FromConn>,
    next_ticket: u64,
    downstream: Arc<Progress>,
    /// Samples of the vBucket that is taken over, when its deadline was last armed.
    passed_frames: u64,
}

/// What the owner of the link is told. All of it on one way, so that nothing overtakes: an end
/// that came before the answer of the command that opened the stream would be forgotten.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum FromConn {
    /// The answer to a command; the owner gives one at a time.
    Answered(Outcome),
    /// An open stream has ended by itself.
    Ended(VbError),
    /// The producer wants the consumer to roll back and ask again. Once is normal.
    RollbackAsked(VbId),
    /// The consumer has rolled back and asks again.
    RollbackOver(VbId),
    /// Up to where the consumer's copy is complete, or `None` for one without a gap.
    Copy(VbId, Option<Seqno>),
    /// A stream of a set-up that still runs is open.
    Opened(VbId),
    /// What takes long goes on.
    Progress,
    /// The machine has come to its end; the link is over.
    Stopped(StopReason),
}

impl ConsumerConn {
    /// The actors of both sides of a link.
    pub(crate) fn start_pair(
        link: Arc<str>,
        limits: Limits,
        to_consumer: Injector,
        to_producer: Injector,
        downstream: Arc<Progress>,
        owner: Recipient<FromConn>,
    ) -> (Addr<Self>, Addr<ProducerConn>) {
        let ctx = Context::<Self>::new();
        let producer = ProducerConn::new(ctx.address(), to_producer).start();
        let conn = Self {
            link,
            machine: ConsumerMachine::default(),
            limits,
            deadlines: Deadlines::default(),
            timer: None,
            producer: producer.clone(),
            to_consumer,
            owner,
            next_ticket: 0,
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
        match verdict {
            replica::link::Verdict::Forward => Verdict::Forward,
            replica::link::Verdict::Withhold => Verdict::Withhold,
        }
    }

    /// Whether samples of the vBucket that is taken over have come since this was asked last, or
    /// since its takeover began.
    fn has_data_passed(&mut self) -> bool {
        let sample = self.machine.taking_over().and_then(|vb| self.downstream.vbucket(vb));
        let frames = sample.map_or(0, |sample| sample.frames);
        std::mem::replace(&mut self.passed_frames, frames) < frames
    }

    /// Sets the only timer to the first deadline.
    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let wait = self.deadlines.first().map(|at| at.duration_since(Instant::now()));
        self.timer = wait.map(|wait| ctx.notify_later(Passed, wait));
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
                    let at = Instant::now() + self.limits.of(deadline.step);
                    if self.deadlines.arm(at, deadline) {
                        self.set_timer(ctx);
                    }
                }
                Effect::Answer(_, outcome) => self.owner.do_send(FromConn::Answered(outcome)),
                Effect::Ended(error) => self.owner.do_send(FromConn::Ended(error)),
                Effect::Note(Note::RollbackAsked { vb, .. }) => {
                    self.owner.do_send(FromConn::RollbackAsked(vb));
                }
                Effect::Note(Note::RollbackOver { vb, .. }) => {
                    self.owner.do_send(FromConn::RollbackOver(vb));
                }
                Effect::Incomplete(vb, complete_to) => {
                    self.owner.do_send(FromConn::Copy(vb, Some(complete_to)));
                }
                Effect::Complete(vb) => self.owner.do_send(FromConn::Copy(vb, None)),
                Effect::Opened(vb) => self.owner.do_send(FromConn::Opened(vb)),
                Effect::Progress => self.owner.do_send(FromConn::Progress),
                Effect::Note(note) => log::info!("{note} link={}", self.link),
                Effect::Stop(reason) => {
                    self.owner.do_send(FromConn::Stopped(reason));
                    self.producer.do_send(LinkOver);
                    ctx.stop();
                }
            }
        }
    }
}

impl Actor for ConsumerConn {
    type Context = Context<Self>;
}

impl Handler<Tapped> for ConsumerConn {
    type Result = actix::MessageResult<Tapped>;

    fn handle(&mut self, Tapped(frame): Tapped, ctx: &mut Self::Context) -> Self::Result {
        actix::MessageResult(match decode(Side::Consumer, &frame) {
            Ok(Some(said)) => self.frame(said, ctx),
            Ok(None) => Verdict::Forward,
            Err(error) => {
                ctx.notify(Faulted { side: Side::Consumer, why: error.to_string() });
                Verdict::Stop
            }
        })
    }
}

/// The producer says this; it is forwarded after the answer.
#[derive(Message)]
#[rtype(result = "Verdict")]
pub(crate) struct ProducerSays(pub(crate) ControlFrame);

impl Handler<ProducerSays> for ConsumerConn {
    type Result = actix::MessageResult<ProducerSays>;

    fn handle(&mut self, says: ProducerSays, ctx: &mut Self::Context) -> Self::Result {
        actix::MessageResult(self.frame(says.0, ctx))
    }
}

/// A command. It is answered by [`FromConn::Answered`], or the link is over.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Run(pub(crate) Command);

impl Handler<Run> for ConsumerConn {
    type Result = ();

    fn handle(&mut self, Run(command): Run, ctx: &mut Self::Context) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.event(Event::Command { ticket, command }, ctx);
        // What passed before is not this takeover's.
        self.has_data_passed();
    }
}

/// The timer: a deadline has passed.
#[derive(Message)]
#[rtype(result = "()")]
struct Passed;

impl Handler<Passed> for ConsumerConn {
    type Result = ();

    fn handle(&mut self, Passed: Passed, ctx: &mut Self::Context) {
        let now = Instant::now();
        while let Some(deadline) = self.deadlines.take_passed(now) {
            if deadline.step == Step::Takeover && self.has_data_passed() {
                self.event(Event::DataPassed, ctx);
            }
            self.event(Event::DeadlinePassed(deadline), ctx);
        }
        self.set_timer(ctx);
    }
}

/// A connection of the link is lost, or its peer is not to be understood.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Faulted {
    pub(crate) side: Side,
    pub(crate) why: String,
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

/// Reads what the machine holds. Never queued behind a command: the machine does not block.
#[derive(Message)]
#[rtype(result = "Snapshot")]
pub(crate) struct Read;

impl Handler<Read> for ConsumerConn {
    type Result = actix::MessageResult<Read>;

    fn handle(&mut self, _: Read, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(self.machine.snapshot())
    }
}
