//! One incarnation of a link: opens both connections, owns the pumps and the two connection actors,
//! and passes on their reports. Its bucket starts a new one after it.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, Recipient,
    ResponseFuture, WrapFuture,
};
use relay::{Connection, LinkError};
use replica::bucket::{LinkDown, LinkId, LinkReport, Reopen};
use replica::link::Snapshot;

use super::consumer_conn::ConsumerConn;
use super::down::link_down;
use super::frames;
use super::gauges::Gauges;
use super::messages::{Faulted, FromConn, FromLink, GiveUp, LinkOver, ReadLink, Run};
use super::pair::{InjectionQueues, LinkSpec, NameUse, Pumps};
use super::producer_conn::ProducerConn;
use super::tap::Tap;

/// The actor of one link.
pub(crate) struct Replicator {
    id: LinkId,
    spec: Arc<LinkSpec>,
    name: NameUse,
    bucket: Recipient<FromLink>,
    open: Option<Open>,
    /// The first fault of a pump, which has more detail than the reason of the machine.
    fault: Option<LinkDown>,
}

struct Open {
    consumer: Addr<ConsumerConn>,
    producer: Addr<ProducerConn>,
    /// Holds both connections; dropping it closes them.
    _pumps: Pumps,
}

impl Replicator {
    pub(crate) const fn new(
        id: LinkId,
        spec: Arc<LinkSpec>,
        name: NameUse,
        bucket: Recipient<FromLink>,
    ) -> Self {
        Self { id, spec, name, bucket, open: None, fault: None }
    }

    fn report(&self, report: LinkReport) {
        self.bucket.do_send(FromLink { id: self.id, report, gauges: None });
    }

    fn connected(&mut self, connections: (Connection, Connection), ctx: &mut Context<Self>) {
        let wires = InjectionQueues::new();
        let gauges = Gauges::new(&self.spec.acknowledgement);
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
            Tap::of_consumer(&frames::OF_CONSUMER, consumer.clone().recipient(), gauges.clone()),
            Tap::new(&frames::OF_PRODUCER, producer.clone().recipient()),
        );
        let queues = (wires.for_consumer, wires.for_producer);
        let own = ctx.address();
        let ended = move |error| own.do_send(PumpsEnded(error));
        let (limits, recorder) = (limits.of_pump(), &self.spec.recorder);
        let pumps = Pumps::start(connections, taps, queues, &gauges, limits, recorder, ended);
        self.open = Some(Open { consumer, producer, _pumps: pumps });
        let (report, gauges) = (LinkReport::Up, Some(gauges));
        self.bucket.do_send(FromLink { id: self.id, report, gauges });
    }

    fn over(&mut self, down: LinkDown, ctx: &mut Context<Self>) {
        let down = self.fault.take().unwrap_or(down);
        self.report(LinkReport::Down(down));
        self.open = None;
        ctx.stop();
    }
}

impl Actor for Replicator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (spec, name) = (Arc::clone(&self.spec), self.name);
        let opened = async move { spec.open(name).await }.into_actor(self);
        ctx.spawn(opened.map(|result, link, ctx| match result {
            Ok(connections) => link.connected(connections, ctx),
            Err(error) => link.over(link_down(&error), ctx),
        }));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct PumpsEnded(LinkError);

impl Handler<PumpsEnded> for Replicator {
    type Result = ();

    fn handle(&mut self, PumpsEnded(error): PumpsEnded, ctx: &mut Self::Context) {
        let Some(open) = &self.open else { return };
        let Some(side) = error.side() else {
            let broken = invariant::broken!("a pump ended without a side: {error}");
            open.consumer.do_send(LinkOver);
            open.producer.do_send(LinkOver);
            return self.over(LinkDown::internal(broken.to_string()), ctx);
        };
        // The machine answers what is pending before it stops, which ends the link.
        open.consumer.do_send(Faulted { side, why: error.fault.to_string() });
        self.fault = Some(link_down(&error));
    }
}

impl Handler<FromConn> for Replicator {
    type Result = ();

    fn handle(&mut self, FromConn(report): FromConn, ctx: &mut Self::Context) {
        let LinkReport::Down(down) = report else { return self.report(report) };
        if down.reopen == Reopen::Never {
            // A shutdown closes the connections, which is not a fault.
            self.fault = None;
        }
        self.over(down, ctx);
    }
}

impl Handler<Run> for Replicator {
    type Result = ();

    fn handle(&mut self, run: Run, _: &mut Self::Context) {
        // Without an open pair the link is over, and its bucket has the report.
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

impl Handler<GiveUp> for Replicator {
    type Result = ();

    fn handle(&mut self, GiveUp { side, down }: GiveUp, _: &mut Self::Context) {
        let Some(open) = &self.open else { return };
        open.consumer.do_send(Faulted { side, why: down.detail.clone() });
        self.fault = Some(down);
    }
}

impl Handler<ReadLink> for Replicator {
    type Result = ResponseFuture<Option<Snapshot>>;

    fn handle(&mut self, _: ReadLink, _: &mut Self::Context) -> Self::Result {
        let consumer = self.open.as_ref().map(|open| open.consumer.clone());
        Box::pin(async move { consumer?.send(ReadLink).await.ok().flatten() })
    }
}
