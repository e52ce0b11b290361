//! Asks one data node again and again, on a control connection of its own: for its high seqnos,
//! and now and then a producer for a few topologies.

use std::time::Duration;

use actix::{Message, Recipient};
use mcbp::{Feature, Seqno, Side, VbId, VbState};
use relay::{Client, Endpoint, Fault, LinkError, Login, Retry};
use replica::bucket::{PollAnswer, Polled};
use replica::topology::{self, TopologyMismatch};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::Limits;

/// Without it a node tells the seqnos of its default collection only, and those of two nodes cannot
/// be compared.
const SEQNO_FEATURES: [Feature; 1] = [Feature::COLLECTIONS];

/// After how many intervals topologies are read again, a minute by default: they are set once the
/// replicas are there, and somebody may correct a name.
const TOPOLOGY_INTERVALS: u32 = 60;

/// How long to wait before a node is asked again that is gone, or warms up. Links and streams that
/// wait for it are tried as soon as it answers, so this is a part of the time that an outage lasts
/// longer than the node's own.
const GONE_ASK_AGAIN: Duration = Duration::from_millis(250);

/// A node was polled.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NodePolled(pub(crate) Polled);

/// PollTarget to ask.
#[derive(Clone, Copy)]
pub(super) struct PollTarget<'a> {
    pub(super) side: Side,
    pub(super) node: &'a Endpoint,
    pub(super) bucket: &'a str,
    /// The name of our node, as topologies should spell it.
    pub(super) our_name: &'a str,
}

/// A task that asks one node again and again, for as long as this is kept.
pub(super) struct Poll {
    task: JoinHandle<()>,
    sample: watch::Sender<Vec<VbId>>,
}

impl Poll {
    /// Asks `node` at once and then every `interval`; answers go to `told`.
    pub(super) fn start(
        target: PollTarget<'_>,
        limits: &Limits,
        interval: Duration,
        told: &Recipient<NodePolled>,
    ) -> Self {
        let (sample, vbs) = watch::channel(Vec::new());
        let PollTarget { side, node, bucket, our_name } = target;
        let (bucket, our_name) = (bucket.to_owned(), our_name.to_owned());
        let ask = Poller { side, node: node.clone(), bucket, our_name, vbs };
        let task = actix_rt::spawn(poll(ask, limits.clone(), interval, told.clone()));
        Self { task, sample }
    }

    /// Sets the vBuckets whose topology is read; none for a consumer.
    pub(super) fn read_topology_of(&self, vbs: Vec<VbId>) {
        self.sample.send_replace(vbs);
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Poller {
    side: Side,
    node: Endpoint,
    bucket: String,
    our_name: String,
    vbs: watch::Receiver<Vec<VbId>>,
}

async fn poll(ask: Poller, limits: Limits, interval: Duration, told: Recipient<NodePolled>) {
    let mut client = None;
    let mut failures = Refusals::default();
    let mut topology_due = Instant::now();
    loop {
        let seqnos = ask.once(&mut client, &limits).await;
        let pause = match &seqnos {
            Ok(told) => {
                failures = Refusals::default();
                // One that warms up has no vBucket yet, for a moment.
                if told.is_empty() { interval.min(GONE_ASK_AGAIN) } else { interval }
            }
            Err(error) => {
                client = None;
                failures.pause(error.retry(), interval, &limits)
            }
        };
        ask.tell(&told, PollAnswer::Seqnos(seqnos.map_err(|error| error.to_string())));
        if topology_due <= Instant::now()
            && let Some(connected) = &mut client
        {
            topology_due = Instant::now() + interval * TOPOLOGY_INTERVALS;
            match ask.mismatch(connected).await {
                Ok(mismatch) => ask.tell(&told, PollAnswer::Topology(mismatch)),
                // Seqnos are asked for on a new connection, which says what is wrong.
                Err(_) => client = None,
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Refusals in a row, of one kind.
#[derive(Default)]
struct Refusals {
    /// Those that only a change of somebody's configuration ends.
    refusals: u32,
}

impl Refusals {
    /// How long to wait after another failure.
    fn pause(&mut self, retry: Retry, interval: Duration, limits: &Limits) -> Duration {
        let gone = interval.min(GONE_ASK_AGAIN);
        match retry {
            Retry::Soon | Retry::AfterBackoff | Retry::Never => {
                self.refusals = 0;
                gone
            }
            // A bucket may be there in a moment; a wrong password must not be tried all the time.
            Retry::Slowly => {
                let pause = limits.backoff.delay(self.refusals, fastrand::f64()).max(gone);
                self.refusals = self.refusals.saturating_add(1);
                pause
            }
        }
    }
}

impl Poller {
    fn tell(&self, told: &Recipient<NodePolled>, answer: PollAnswer) {
        told.do_send(NodePolled(Polled { side: self.side, node: self.node.name.clone(), answer }));
    }

    /// Our node, where topologies name replicas and none is called as it is.
    async fn mismatch(&self, client: &mut Client) -> Result<Option<TopologyMismatch>, LinkError> {
        let (vbs, mut topologies) = (self.vbs.borrow().clone(), Vec::new());
        for vb in vbs {
            match client.stats(&topology::group(vb)).await {
                Ok(stats) => topologies.push(topology::replicas(vb, &stats)),
                // It has no such vBucket, or does not know the group.
                Err(LinkError { fault: Fault::Refused { .. }, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(TopologyMismatch::of(&self.our_name, &topologies))
    }

    async fn once(
        &self,
        client: &mut Option<Client>,
        limits: &Limits,
    ) -> Result<Vec<(VbId, Seqno)>, LinkError> {
        let connected = match client.take() {
            Some(connected) => connected,
            None => {
                let login = Login {
                    bucket: Some(&self.bucket),
                    agent: "dcp-proxy:lag",
                    features: &SEQNO_FEATURES,
                    deadlines: limits.handshake,
                };
                let connected = Client::connect(&self.node, login).await?;
                connected.require(&SEQNO_FEATURES)?;
                connected
            }
        };
        let connected = client.insert(connected);
        match self.side {
            Side::Producer => connected.get_all_vb_seqnos().await,
            // An active copy follows nobody: that it is a replica again must be noticed.
            Side::Consumer => {
                let mut seqnos = connected.get_vb_seqnos_in(VbState::Replica).await?;
                seqnos.extend(connected.get_vb_seqnos_in(VbState::Pending).await?);
                Ok(seqnos)
            }
        }
    }
}
