//! Polls one data node on a control connection of its own: for its high seqnos, and a producer also
//! for a few topologies, less often.

use std::collections::BTreeSet;
use std::time::Duration;

use actix::{Message, Recipient};
use mcbp::{Feature, Seqno, Side, VbId, VbState};
use relay::{Client, Endpoint, Fault, LinkError, Login, Reconnect};
use replica::branch;
use replica::bucket::{PollAnswer, PollError, Polled};
use replica::topology::{self, TopologyMismatch};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::ControlLimits;

/// Without COLLECTIONS a node reports the seqnos of its default collection only, and those of two
/// nodes are not comparable.
const SEQNO_FEATURES: [Feature; 1] = [Feature::COLLECTIONS];

/// Intervals between reads of topologies, a minute by default: they are set after the replicas
/// exist, and an operator may correct a name.
const TOPOLOGY_INTERVALS: u32 = 60;

/// Intervals between reads of the vBuckets whose state does not fit the role of the node.
const MISFIT_INTERVALS: u32 = 5;

/// The interval for a node that is gone or in warm-up. Links and streams that wait for it are
/// retried as soon as it answers, so this interval adds to the length of an outage.
const GONE_ASK_AGAIN: Duration = Duration::from_millis(250);

/// Intervals between reads of the branches of all vBuckets: an answer of some hundred kilobytes,
/// which matters only after somebody has changed states by hand.
const BRANCH_INTERVALS: u32 = 10;

/// The answer to a poll.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NodePolled {
    pub(crate) side: Side,
    pub(crate) node: String,
    pub(crate) answer: PollAnswer,
    /// When it was asked for.
    pub(crate) asked: Instant,
}

impl NodePolled {
    /// Returns the answer, with its age of now.
    pub(crate) fn polled(self) -> Polled {
        let Self { side, node, answer, asked } = self;
        Polled { side, node, answer, age: asked.elapsed() }
    }
}

/// The node to poll.
#[derive(Clone, Copy)]
pub(super) struct PollTarget<'a> {
    pub(super) side: Side,
    pub(super) node: &'a Endpoint,
    pub(super) bucket: &'a str,
    /// The name of our node, which topologies should contain.
    pub(super) our_name: &'a str,
}

/// A task that polls one node until this is dropped.
pub(super) struct Poll {
    task: JoinHandle<()>,
    sample: watch::Sender<Vec<VbId>>,
}

impl Poll {
    /// Polls the node at once and then every `interval`; answers go to `reports`.
    pub(super) fn start(
        target: PollTarget<'_>,
        limits: &ControlLimits,
        interval: Duration,
        reports: &Recipient<NodePolled>,
    ) -> Self {
        let (sample, vbs) = watch::channel(Vec::new());
        let PollTarget { side, node, bucket, our_name } = target;
        let (bucket, our_name) = (bucket.to_owned(), our_name.to_owned());
        let ask = Poller { side, node: node.clone(), bucket, our_name, vbs };
        let task = actix_rt::spawn(poll(ask, limits.clone(), interval, reports.clone()));
        Self { task, sample }
    }

    /// Sets the vBuckets whose topology is read; empty for a consumer.
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

/// The polls of one node, and when each kind of request is due.
struct Polls {
    ask: Poller,
    limits: ControlLimits,
    interval: Duration,
    reports: Recipient<NodePolled>,
    client: Option<Client>,
    misfits_due: Instant,
    topology_due: Instant,
    branches_due: Instant,
    /// The vBuckets of the last answer.
    served: BTreeSet<VbId>,
}

async fn poll(
    ask: Poller,
    limits: ControlLimits,
    interval: Duration,
    reports: Recipient<NodePolled>,
) {
    let (client, served, now) = (None, BTreeSet::new(), Instant::now());
    let mut polls = Polls {
        ask,
        limits,
        interval,
        reports,
        client,
        misfits_due: now,
        topology_due: now,
        branches_due: now,
        served,
    };
    let mut failures = Refusals::default();
    loop {
        let asked = Instant::now();
        let seqnos = polls.seqnos().await;
        let pause = match &seqnos {
            Ok(vbs) => {
                failures = Refusals::default();
                // A node in warm-up has no vBucket yet, for a short time.
                if vbs.is_empty() { interval.min(GONE_ASK_AGAIN) } else { interval }
            }
            Err(error) => failures.pause(error.retry(), interval, &polls.limits),
        };
        polls.report(asked, PollAnswer::Seqnos(seqnos.map_err(|error| poll_error(&error))));
        polls.more().await;
        tokio::time::sleep(pause).await;
    }
}

impl Polls {
    fn report(&self, asked: Instant, answer: PollAnswer) {
        let (side, node) = (self.ask.side, self.ask.node.name.clone());
        self.reports.do_send(NodePolled { side, node, answer, asked });
    }

    /// Asks for the high seqnos. A new connection asks for the states first, because set-ups wait
    /// for the first report of them. After an error there is no connection.
    async fn seqnos(&mut self) -> Result<Vec<(VbId, Seqno)>, LinkError> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => {
                let mut client = self.ask.connect(&self.limits).await?;
                self.misfits(&mut client).await?;
                client
            }
        };
        let seqnos = self.ask.seqnos(&mut client).await?;
        let served = seqnos.iter().map(|(vb, _)| *vb).collect();
        if std::mem::replace(&mut self.served, served) != self.served {
            // A vBucket has come or gone, so states have changed.
            self.misfits_due = Instant::now();
        }
        self.client = Some(client);
        Ok(seqnos)
    }

    /// Asks for what is due less often. An error ends the connection; the next poll reports it.
    async fn more(&mut self) {
        let Some(mut client) = self.client.take() else { return };
        if self.misfits_due <= Instant::now() && self.misfits(&mut client).await.is_err() {
            return;
        }
        if self.branches_due <= Instant::now() && self.branches(&mut client).await.is_err() {
            return;
        }
        if self.topology_due <= Instant::now() {
            let asked = Instant::now();
            self.topology_due = asked + self.interval * TOPOLOGY_INTERVALS;
            match self.ask.mismatch(&mut client).await {
                Ok(mismatch) => self.report(asked, PollAnswer::Topology(mismatch)),
                Err(_) => return,
            }
        }
        self.client = Some(client);
    }

    async fn misfits(&mut self, client: &mut Client) -> Result<(), LinkError> {
        let asked = Instant::now();
        self.misfits_due = asked + self.interval * MISFIT_INTERVALS;
        let states = unless_refused(self.ask.misfits(client).await)?;
        self.report(asked, PollAnswer::Misfits(states));
        Ok(())
    }

    async fn branches(&mut self, client: &mut Client) -> Result<(), LinkError> {
        let asked = Instant::now();
        self.branches_due = asked + self.interval * BRANCH_INTERVALS;
        let stats = unless_refused(client.stats(branch::GROUP).await)?;
        let uuids = stats.map(|stats| branch::uuids(&stats));
        self.report(asked, PollAnswer::Branches(uuids));
        Ok(())
    }
}

/// Returns `None` where the node does not know the request, or does not allow it.
fn unless_refused<T>(answer: Result<T, LinkError>) -> Result<Option<T>, LinkError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(LinkError { fault: Fault::Refused { .. }, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A status of any kind shows that the node lives. All other errors may come from the system or the
/// network between.
fn poll_error(error: &LinkError) -> PollError {
    PollError { text: error.to_string(), is_sign: error.status().is_some() }
}

/// Refusals in a row, for the backoff.
#[derive(Default)]
struct Refusals {
    /// Failures that only a change of some configuration ends.
    refusals: u32,
}

impl Refusals {
    /// Returns the delay after another failure.
    fn pause(&mut self, retry: Reconnect, interval: Duration, limits: &ControlLimits) -> Duration {
        let gone = interval.min(GONE_ASK_AGAIN);
        match retry {
            Reconnect::Soon | Reconnect::AfterBackoff | Reconnect::Never => {
                self.refusals = 0;
                gone
            }
            // The bucket may exist in a moment, but a wrong password must not be tried at a high
            // rate. A refusal is a sign of life: without one for the stall limit, the node would
            // count as unresponsive.
            Reconnect::Slowly => {
                let pause = limits.backoff.delay(self.refusals, fastrand::f64()).max(gone);
                self.refusals = self.refusals.saturating_add(1);
                pause.min(limits.stall / 2)
            }
        }
    }
}

impl Poller {
    /// Returns the vBuckets in a state that the role of the node cannot use.
    async fn misfits(&self, client: &mut Client) -> Result<Vec<(VbId, VbState)>, LinkError> {
        let states: &[VbState] = match self.side {
            Side::Producer => &[VbState::Replica, VbState::Pending, VbState::Dead],
            Side::Consumer => &[VbState::Active, VbState::Dead],
        };
        let mut found = Vec::new();
        for &state in states {
            let vbs = client.get_vb_seqnos_in(state).await?;
            found.extend(vbs.into_iter().map(|(vb, _)| (vb, state)));
        }
        Ok(found)
    }

    /// Returns a mismatch if topologies name replicas and none of them is our node.
    async fn mismatch(&self, client: &mut Client) -> Result<Option<TopologyMismatch>, LinkError> {
        let (vbs, mut topologies) = (self.vbs.borrow().clone(), Vec::new());
        for vb in vbs {
            match client.stats(&topology::group(vb)).await {
                Ok(stats) => topologies.push(topology::replicas(vb, &stats)),
                // The node has no such vBucket, or does not know the group.
                Err(LinkError { fault: Fault::Refused { .. }, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(TopologyMismatch::of(&self.our_name, &topologies))
    }

    async fn connect(&self, limits: &ControlLimits) -> Result<Client, LinkError> {
        let login = Login {
            bucket: Some(&self.bucket),
            agent: "dcp-proxy:lag",
            features: &SEQNO_FEATURES,
            deadlines: limits.handshake,
        };
        let client = Client::connect(&self.node, login).await?;
        client.require(&SEQNO_FEATURES)?;
        Ok(client)
    }

    async fn seqnos(&self, client: &mut Client) -> Result<Vec<(VbId, Seqno)>, LinkError> {
        match self.side {
            Side::Producer => client.get_all_vb_seqnos().await,
            // Active copies are left out: a copy that becomes a replica again must appear as new.
            Side::Consumer => {
                let mut seqnos = client.get_vb_seqnos_in(VbState::Replica).await?;
                seqnos.extend(client.get_vb_seqnos_in(VbState::Pending).await?);
                Ok(seqnos)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_refuses_is_asked_less_often_but_heard_within_the_stall_limit() {
        let (limits, interval) = (ControlLimits::default(), Duration::from_secs(1));
        let mut refusals = Refusals::default();
        let pauses = (0..50).map(|_| refusals.pause(Reconnect::Slowly, interval, &limits));
        let pauses: Vec<_> = pauses.collect();
        assert!(pauses.iter().all(|pause| *pause <= limits.stall / 2), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&(limits.stall / 2)));
        assert_eq!(refusals.pause(Reconnect::Soon, interval, &limits), GONE_ASK_AGAIN);
    }
}
