//! Polls the states of all vBuckets on two nodes: never active on both.

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::{VbId, VbState};
use relay::{Client, Endpoint};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::node::connect;
use super::{DataNode, PATIENCE};

/// How often the states are read: a step of a takeover takes a few of these.
const TICK: Duration = Duration::from_millis(1);

/// The states on producer and consumer; empty for a node that does not answer.
type Look = [BTreeMap<VbId, VbState>; 2];

/// See the module.
pub struct States {
    looks: watch::Receiver<Look>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl States {
    /// Starts to poll.
    pub fn start(producer: &DataNode, consumer: &DataNode) -> Self {
        let (sender, looks) = watch::channel(Look::default());
        let stop = CancellationToken::new();
        let nodes = [producer, consumer].map(|node| (node.endpoint(), None));
        let task = tokio::spawn(look(nodes, sender, stop.clone()));
        Self { looks, stop, task }
    }

    /// Waits until the states of a vBucket on producer and consumer are as `right` says.
    pub async fn until(
        &mut self,
        vb: VbId,
        right: impl Fn(Option<VbState>, Option<VbState>) -> bool,
    ) {
        let found =
            self.looks.wait_for(|[from, to]| right(from.get(&vb).copied(), to.get(&vb).copied()));
        drop(timeout(PATIENCE, found).await.expect("a state in time").expect("no failed look"));
    }

    /// Fails if a vBucket was ever active on both nodes.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// The consumer is asked first: once it is active, the producer must not be any more.
async fn look(
    [mut from, mut to]: [(Endpoint, Option<Client>); 2],
    looks: watch::Sender<Look>,
    stop: CancellationToken,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        ticks.tick().await;
        let consumer = states(&mut to).await;
        let producer = states(&mut from).await;
        for (vb, state) in &consumer {
            let both = (producer.get(vb), state);
            assert_ne!(both, (Some(&VbState::Active), &VbState::Active), "{vb}");
        }
        // The last result may arrive after the end of the test.
        _ = looks.send([producer, consumer]);
    }
}

async fn states((endpoint, client): &mut (Endpoint, Option<Client>)) -> BTreeMap<VbId, VbState> {
    if client.is_none() {
        *client = connect(endpoint).await.ok();
    }
    let Some(connected) = client else { return BTreeMap::new() };
    let Ok(stats) = connected.stats("vbucket").await else {
        *client = None;
        return BTreeMap::new();
    };
    let state = |(name, state): (String, String)| {
        let vb = VbId(name.strip_prefix("vb_")?.parse().ok()?);
        let states = [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead];
        Some((vb, states.into_iter().find(|known| known.name() == state)?))
    };
    stats.into_iter().filter_map(state).collect()
}
