//! Opens the pair of connections of one link, and starts its two pumps.

use std::sync::Arc;

use exposition::Durations;
use futures::future::try_join;
use mcbp::Feature;
use relay::{
    Connection, DcpOpen, Endpoint, Fault, HearOut, Injections, Injector, LINK_FEATURES, LinkError,
    Prepared, Pump, PumpLimits, Recorder, Side, injections, run_pair,
};
use replica::names::{agent_name, connection_name};
use tokio::task::JoinHandle;

use super::gauges::Gauges;
use super::tap::Tap;
use crate::config::ControlLimits;
use crate::recorders::Recorders;
use crate::timings::Timings;

/// What to do where a node has an open connection of the link's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NameUse {
    /// Displace it, without asking.
    Displace,
    /// Ask both nodes, and leave it alone.
    OnlyIfFree,
}

/// The identity of a link, and what it needs to open.
#[derive(Debug)]
pub(crate) struct LinkSpec {
    /// The bucket.
    pub(crate) bucket: String,
    /// The data node that this sidecar serves.
    pub(crate) consumer: Endpoint,
    /// The data node to replicate from.
    pub(crate) producer: Endpoint,
    /// The name of both DCP connections; unique at each node.
    pub(crate) name: Arc<str>,
    /// Time limits and sizes.
    pub(crate) limits: ControlLimits,
    /// Records what passes.
    pub(crate) recorder: Arc<Recorder>,
    /// Observes how long the consumer takes to acknowledge prepares.
    pub(crate) acknowledgement: Arc<Durations>,
}

impl LinkSpec {
    /// Returns the link for connection number `connection` from `producer` to `consumer`.
    pub(crate) fn new(
        bucket: &str,
        consumer: &Endpoint,
        producer: &Endpoint,
        connection: u8,
        limits: &ControlLimits,
        recorders: &Recorders,
        timings: &Timings,
    ) -> Self {
        let name = connection_name(&producer.name, &consumer.name, bucket, connection);
        let recorder = recorders.of(&name);
        Self {
            bucket: bucket.to_owned(),
            consumer: consumer.clone(),
            producer: producer.clone(),
            name: name.into(),
            limits: limits.clone(),
            recorder,
            acknowledgement: Arc::clone(&timings.acknowledgement),
        }
    }

    /// Opens both connections. The first failure cancels the other one.
    ///
    /// Both nodes are connected to at the same time. The producer's connection becomes a DCP
    /// connection only once the consumer's is open: it is asked for no feature that the consumer
    /// did not grant, and a consumer that refuses leaves the producer's older connection alone.
    pub(crate) async fn open(&self, name: NameUse) -> Result<(Connection, Connection), LinkError> {
        self.recorder.begins();
        if name == NameUse::OnlyIfFree {
            return self.open_if_free().await;
        }
        let consumer = async {
            let prepared = self.prepare(Side::Consumer, &self.consumer).await?;
            self.open_side(Side::Consumer, prepared, &LINK_FEATURES).await
        };
        let producer = self.prepare(Side::Producer, &self.producer);
        let (consumer, producer) = try_join(consumer, producer).await?;
        let producer = self.open_side(Side::Producer, producer, &consumer.features).await?;
        Ok((consumer, producer))
    }

    /// As [`Self::open`], once both nodes were asked whether the name is free: neither is opened
    /// where the other one has a rival. A node that does not say passes.
    async fn open_if_free(&self) -> Result<(Connection, Connection), LinkError> {
        let checked = async |side, endpoint| {
            let mut prepared = self.prepare(side, endpoint).await?;
            match prepared.check_name(&self.name).await {
                Ok(()) => Ok(prepared),
                Err(error) if matches!(error.fault, Fault::Rival { .. }) => Err(error),
                // Such as a list that is too long for the deadline: the link must not wait for ever
                // for an answer that it can do without.
                Err(_) => self.prepare(side, endpoint).await,
            }
        };
        let consumer = checked(Side::Consumer, &self.consumer);
        let producer = checked(Side::Producer, &self.producer);
        let (consumer, producer) = try_join(consumer, producer).await?;
        let consumer = self.open_side(Side::Consumer, consumer, &LINK_FEATURES).await?;
        let producer = self.open_side(Side::Producer, producer, &consumer.features).await?;
        Ok((consumer, producer))
    }

    async fn prepare(&self, side: Side, endpoint: &Endpoint) -> Result<Prepared, LinkError> {
        let (deadlines, recorder) = (self.limits.handshake, Some(self.recorder.of(side)));
        Prepared::connect_recorded(endpoint, side, &self.bucket, deadlines, recorder).await
    }

    async fn open_side(
        &self,
        side: Side,
        prepared: Prepared,
        features: &[Feature],
    ) -> Result<Connection, LinkError> {
        let open = DcpOpen {
            connection_name: &self.name,
            consumer_name: Some(self.consumer.consumer_name()),
            agent: &agent_name(side, &self.name),
            features,
        };
        prepared.open(open).await
    }
}

/// The queues of our own frames, one for each side.
pub(crate) struct InjectionQueues {
    /// Sends to the queue for the consumer.
    pub(crate) to_consumer: Injector,
    /// Sends to the queue for the producer.
    pub(crate) to_producer: Injector,
    /// Receives from the queue for the consumer.
    pub(crate) for_consumer: Injections,
    /// Receives from the queue for the producer.
    pub(crate) for_producer: Injections,
}

impl InjectionQueues {
    pub(crate) fn new() -> Self {
        let (to_consumer, for_consumer) = injections();
        let (to_producer, for_producer) = injections();
        Self { to_consumer, to_producer, for_consumer, for_producer }
    }
}

/// Both pumps of an open link, in one task. Dropping it closes both connections.
pub(crate) struct Pumps(JoinHandle<()>);

impl Pumps {
    /// Starts both pumps on the current arbiter. `ended` is called with the error that ended them.
    pub(crate) fn start(
        (consumer, producer): (Connection, Connection),
        (consumer_tap, producer_tap): (Tap, Tap),
        (for_consumer, for_producer): (Injections, Injections),
        gauges: &Gauges,
        limits: PumpLimits,
        recorder: &Arc<Recorder>,
        ended: impl FnOnce(LinkError) + 'static,
    ) -> Self {
        let (consumer_source, consumer_sink) = consumer.split();
        let (producer_source, mut producer_sink) = producer.split();
        producer_sink.writer = Box::new(HearOut::new(producer_sink.writer));
        let up = Pump {
            source: consumer_source,
            sink: producer_sink,
            judge: consumer_tap,
            injections: for_producer,
            progress: Arc::clone(&gauges.upstream),
            limits,
            recorder: recorder.of(Side::Consumer),
        };
        let down = Pump {
            source: producer_source,
            sink: consumer_sink,
            judge: producer_tap,
            injections: for_consumer,
            progress: Arc::clone(&gauges.downstream),
            limits,
            recorder: recorder.of(Side::Producer),
        };
        let both = run_pair(up.run(), down.run());
        Self(actix_rt::spawn(async move { ended(both.await) }))
    }
}

impl Drop for Pumps {
    fn drop(&mut self) {
        self.0.abort();
    }
}
