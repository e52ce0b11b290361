//! One link: opens its pair of connections, owns the pumps and the two connection actors, and
//! tells its manager how it goes. A link lives once; the manager starts a fresh one after it.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, Recipient,
    ResponseFuture, WrapFuture,
};
use mcbp::{Seqno, VbId};
use relay::{Connection, LinkError, Side};
use replica::link::{Outcome, Snapshot, StopReason, VbError};

use crate::consumer_conn::{ConsumerConn, Faulted, FromConn, Read, Run};
use crate::error::LinkDown;
use crate::frames;
use crate::gauges::Gauges;
use crate::link::{LinkOver, LinkSpec, Pumps, Wires};
use crate::producer_conn::ProducerConn;
use crate::tap::Tap;

/// Which life of which link speaks: a word from an earlier life is not for the present one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LinkId {
    /// The link's place in its manager's table.
    pub(crate) index: usize,
    /// Counts the links at that place.
    pub(crate) life: u64,
}

/// What a manager is told by its links.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FromLink {
    pub(crate) id: LinkId,
    pub(crate) word: LinkWord,
}

/// See [`FromLink`].
pub(crate) enum LinkWord {
    /// Both connections are open; commands may come.
    Up(Gauges),
    /// The answer to a command.
    Answered(Outcome),
    /// An open stream has ended by itself.
    Ended(VbError),
    /// The producer wants the consumer to roll back and ask again.
    RollbackAsked(VbId),
    /// The consumer has rolled back and asks again.
    RollbackOver(VbId),
    /// Up to where the consumer's copy is complete, or `None` for one without a gap.
    Copy(VbId, Option<Seqno>),
    /// A stream of a set-up that still runs is open.
    Opened(VbId),
    /// What takes long goes on.
    Progress,
    /// The link is over; the last word of this life.
    Down(LinkDown),
}

/// The actor of one link.
pub(crate) struct Replicator {
    id: LinkId,
    spec: Arc<LinkSpec>,
    manager: Recipient<FromLink>,
    open: Option<Open>,
    /// The first fault of a pump; the machine's own words say less.
    fault: Option<LinkDown>,
}

struct Open {
    consumer: Addr<ConsumerConn>,
    producer: Addr<ProducerConn>,
    /// Both connections, for as long as this is kept.
    _pumps: Pumps,
}

impl Replicator {
    pub(crate) fn new(id: LinkId, spec: Arc<LinkSpec>, manager: Recipient<FromLink>) -> Self {
        Self { id, spec, manager, open: None, fault: None }
    }

    fn tell(&self, word: LinkWord) {
        self.manager.do_send(FromLink { id: self.id, word });
    }

    fn connected(&mut self, connections: (Connection, Connection), ctx: &mut Context<Self>) {
        let wires = Wires::new();
        let gauges = Gauges::new();
        let limits = &self.spec.limits;
        let (consumer, producer) = ConsumerConn::start_pair(
            Arc::clone(&self.spec.name),
            limits.steps,
            wires.to_consumer,
            wires.to_producer,
            Arc::clone(&gauges.downstream),
            ctx.address().recipient(),
        );
        let taps = (
            Tap::of_consumer(
                &frames::OF_CONSUMER,
                consumer.clone().recipient(),
                Arc::clone(&gauges.flow),
            ),
            Tap::new(&frames::OF_PRODUCER, producer.clone().recipient()),
        );
        let queues = (wires.for_consumer, wires.for_producer);
        let own = ctx.address();
        let ended = move |error| own.do_send(PumpsEnded(error));
        let pumps = Pumps::start(connections, taps, queues, &gauges, limits.of_pump(), ended);
        self.open = Some(Open { consumer, producer, _pumps: pumps });
        self.tell(LinkWord::Up(gauges));
    }

    fn over(&mut self, down: LinkDown, ctx: &mut Context<Self>) {
        let down = self.fault.take().unwrap_or(down);
        self.tell(LinkWord::Down(down));
        self.open = None;
        ctx.stop();
    }
}

impl Actor for Replicator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let spec = Arc::clone(&self.spec);
        let opened = async move { spec.open().await }.into_actor(self);
        ctx.spawn(opened.map(|result, link, ctx| match result {
            Ok(connections) => link.connected(connections, ctx),
            Err(error) => link.over(LinkDown::of(&error), ctx),
        }));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct PumpsEnded(LinkError);

impl Handler<PumpsEnded> for Replicator {
    type Result = ();

    fn handle(&mut self, PumpsEnded(error): PumpsEnded, _: &mut Self::Context) {
        let Some(open) = &self.open else { return };
        // The machine answers what is pending before it stops; that is the link's end.
        let side = error.side().unwrap_or(Side::Consumer);
        open.consumer.do_send(Faulted { side, why: error.fault.to_string() });
        self.fault = Some(LinkDown::of(&error));
    }
}

impl Handler<FromConn> for Replicator {
    type Result = ();

    fn handle(&mut self, word: FromConn, ctx: &mut Self::Context) {
        match word {
            FromConn::Answered(outcome) => self.tell(LinkWord::Answered(outcome)),
            FromConn::Ended(error) => self.tell(LinkWord::Ended(error)),
            FromConn::RollbackAsked(vb) => self.tell(LinkWord::RollbackAsked(vb)),
            FromConn::RollbackOver(vb) => self.tell(LinkWord::RollbackOver(vb)),
            FromConn::Copy(vb, complete_to) => self.tell(LinkWord::Copy(vb, complete_to)),
            FromConn::Opened(vb) => self.tell(LinkWord::Opened(vb)),
            FromConn::Progress => self.tell(LinkWord::Progress),
            FromConn::Stopped(reason) => {
                if matches!(reason, StopReason::Shut) {
                    // Closing the connections after this is our own doing, no fault.
                    self.fault = None;
                }
                self.over(LinkDown::stopped(&reason), ctx);
            }
        }
    }
}

impl Handler<Run> for Replicator {
    type Result = ();

    fn handle(&mut self, run: Run, _: &mut Self::Context) {
        // Nothing is open where the link is over, which its manager was told.
        if let Some(open) = &self.open {
            open.consumer.do_send(run);
        }
    }
}

impl Handler<LinkOver> for Replicator {
    type Result = ();

    fn handle(&mut self, _: LinkOver, ctx: &mut Self::Context) {
        if let Some(open) = self.open.take() {
            open.consumer.do_send(LinkOver);
            open.producer.do_send(LinkOver);
        }
        ctx.stop();
    }
}

/// End this link, for a reason that only its manager can see.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct GiveUp {
    /// Whose fault it is.
    pub(crate) side: Side,
    pub(crate) down: LinkDown,
}

impl Handler<GiveUp> for Replicator {
    type Result = ();

    fn handle(&mut self, GiveUp { side, down }: GiveUp, _: &mut Self::Context) {
        let Some(open) = &self.open else { return };
        open.consumer.do_send(Faulted { side, why: down.detail.clone() });
        self.fault = Some(down);
    }
}

/// Reads the machine of a link, at any time.
#[derive(Message)]
#[rtype(result = "Option<Snapshot>")]
pub(crate) struct ReadLink;

impl Handler<ReadLink> for Replicator {
    type Result = ResponseFuture<Option<Snapshot>>;

    fn handle(&mut self, _: ReadLink, _: &mut Self::Context) -> Self::Result {
        let consumer = self.open.as_ref().map(|open| open.consumer.clone());
        Box::pin(async move { consumer?.send(Read).await.ok() })
    }
}
