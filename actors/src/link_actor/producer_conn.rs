//! The producer side of one link: passes the producer's control frames to the consumer side, and
//! sends our own frames to the producer. It decides nothing.

use actix::{Actor, ActorContext, Context, Handler, Recipient, ResponseFuture};
use relay::{Injector, Verdict};
use replica::link::Side;

use super::messages::{Faulted, LinkOver, ProducerFrame, SendOwn};
use super::tap::{Tapped, decode};

/// The actor of the producer connection.
pub(crate) struct ProducerConn {
    consumer: Recipient<ProducerFrame>,
    faults: Recipient<Faulted>,
    to_producer: Injector,
}

impl ProducerConn {
    /// Returns an actor that passes control frames to `consumer` and malformed ones to `faults`.
    pub(crate) const fn new(
        consumer: Recipient<ProducerFrame>,
        faults: Recipient<Faulted>,
        to_producer: Injector,
    ) -> Self {
        Self { consumer, faults, to_producer }
    }
}

impl Actor for ProducerConn {
    type Context = Context<Self>;
}

impl Handler<Tapped> for ProducerConn {
    type Result = ResponseFuture<Verdict>;

    fn handle(&mut self, Tapped(frame): Tapped, _: &mut Self::Context) -> Self::Result {
        let (consumer, faults) = (self.consumer.clone(), self.faults.clone());
        Box::pin(async move {
            match decode(Side::Producer, &frame) {
                Ok(Some(frame)) => {
                    consumer.send(ProducerFrame(frame)).await.unwrap_or(Verdict::Stop)
                }
                Ok(None) => Verdict::Forward,
                Err(error) => {
                    faults.do_send(Faulted { side: Side::Producer, why: error.to_string() });
                    Verdict::Stop
                }
            }
        })
    }
}

impl Handler<SendOwn> for ProducerConn {
    type Result = ();

    fn handle(&mut self, SendOwn(frame): SendOwn, _: &mut Self::Context) {
        if let Err(error) = self.to_producer.inject(frame.encode()) {
            self.faults.do_send(Faulted { side: Side::Producer, why: error.to_string() });
        }
    }
}

impl Handler<LinkOver> for ProducerConn {
    type Result = ();

    fn handle(&mut self, _: LinkOver, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
