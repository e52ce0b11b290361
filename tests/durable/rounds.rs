//! The rounds: load, a kill at a random moment, what follows it, and what must hold then.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use mcbp::Status;
use tokio::time::timeout;

use crate::checker::State;
use crate::clients::Clients;
use crate::cluster::Cluster;
use crate::common::{PATIENCE, converge, until};
use crate::event::Event;
use crate::history::{History, Operation, Outcome, Request};
use crate::keys::{Key, Kind};
use crate::session::{NODES, Session, Shared, Wanted};
use crate::takeover::Victim;

/// Acknowledged durable writes before the kill, and after what follows it, at most.
const WRITES_MAX: u64 = 150;

/// See the module.
pub(crate) struct Campaign {
    rng: Rng,
    cluster: Cluster,
    /// What each key had at the end of the last round. Nothing was undecided then.
    states: BTreeMap<Key, State>,
    manifest: u64,
    report: BTreeMap<String, usize>,
}

impl Campaign {
    pub(crate) async fn start(seed: u64) -> Self {
        let (rng, cluster) = (Rng::with_seed(seed), Cluster::start().await);
        Self { rng, cluster, states: BTreeMap::new(), manifest: 0, report: BTreeMap::new() }
    }

    /// What happened so far, and how often.
    pub(crate) const fn report(&self) -> &BTreeMap<String, usize> {
        &self.report
    }

    /// Compares the nodes as an operator does.
    pub(crate) async fn verify(&self) {
        self.cluster.verify([0, 1]).await;
        self.cluster.verify([0, 2]).await;
    }

    /// One round; returns what must hold and does not.
    pub(crate) async fn round(&mut self) -> Result<(), String> {
        let shared = Arc::new(Shared {
            endpoints: self.cluster.endpoints(),
            routes: self.cluster.routes.subscribe(),
            history: History::default(),
            progress: Default::default(),
        });
        let collection = self.create_collection().await;
        let clients = Clients::start(&shared, &mut self.rng);
        self.wait(&shared, true).await;
        let event = Event::random(&mut self.rng);
        *self.report.entry(format!("{event:?}")).or_default() += 1;
        let dropped = self.rng.u8(..3) == 0;
        let id = collection;
        if dropped {
            self.happen_while_dropped(event, &shared, id).await;
        } else {
            self.happen(event, &shared).await;
        }
        self.wait(&shared, true).await;
        clients.stop().await;
        self.cluster.settle().await.map_err(|flaw| format!("{event:?}: {flaw}"))?;
        let states_now = self.read_all(&shared, id).await;
        self.count(&shared.history);
        let safe = !event.is_failover();
        let states = &self.states;
        let checked = shared
            .history
            .check(|key| states.get(&key).copied().flatten(), |key| key.is_durable() || safe);
        checked.map_err(|flaw| format!("{event:?}: {flaw}"))?;
        self.states = states_now;
        let nodes = self.cluster.nodes();
        converge(&nodes[0], &nodes[1]).await;
        converge(&nodes[0], &nodes[2]).await;
        Ok(())
    }

    /// Waits until some more durable writes were acknowledged, or were not.
    async fn wait(&mut self, shared: &Shared, acknowledged: bool) {
        let more = self.rng.u64(1..WRITES_MAX);
        let mut progress = shared.progress.subscribe();
        let count = |&(done, others): &(u64, u64)| if acknowledged { done } else { others };
        let goal = count(&progress.borrow()) + more;
        let reached =
            timeout(PATIENCE, progress.wait_for(|progress| count(progress) >= goal)).await;
        let reached = reached.map(|seen| *seen.unwrap());
        assert!(reached.is_ok(), "no {more} more writes, {:?}", shared.progress.borrow());
    }

    fn random_active(&mut self) -> usize {
        let active: Vec<_> = (0..NODES).filter(|node| self.cluster.is_active(*node)).collect();
        active[self.rng.usize(..active.len())]
    }

    async fn happen(&mut self, event: Event, shared: &Shared) {
        let node = match event {
            Event::AnyNode | Event::Sidecar => self.rng.usize(..NODES),
            _ => self.random_active(),
        };
        match event {
            Event::Restart | Event::AnyNode => self.restart(node).await,
            Event::Failover => self.fail_over(node, shared).await,
            Event::FailoverLagging => {
                let lagging = (node + self.rng.usize(1..NODES)) % NODES;
                self.cluster.kill_sidecar(lagging);
                self.wait(shared, true).await;
                self.fail_over(node, shared).await;
            }
            Event::Takeover | Event::TakeoverKilled => {
                let to = (node + self.rng.usize(1..NODES)) % NODES;
                let victims = [Victim::Producer, Victim::Consumer, Victim::Sidecar];
                let killed = event == Event::TakeoverKilled;
                let victim = killed.then(|| victims[self.rng.usize(..victims.len())]);
                self.cluster.take_over(node, to, victim).await;
            }
            Event::Sidecar => {
                self.cluster.kill_sidecar(node);
                self.wait(shared, true).await;
                self.cluster.start_sidecar(node);
            }
            Event::NoSidecars | Event::KilledAlone | Event::FailoverAlone => {
                (0..NODES).for_each(|node| self.cluster.kill_sidecar(node));
                self.wait(shared, false).await;
                match event {
                    Event::FailoverAlone => return self.fail_over(node, shared).await,
                    Event::KilledAlone => self.restart(node).await,
                    _ => {}
                }
                (0..NODES).for_each(|node| self.cluster.start_sidecar(node));
            }
        }
    }

    async fn restart(&mut self, node: usize) {
        self.cluster.kill(node);
        self.cluster.restart(node).await;
    }

    async fn fail_over(&mut self, node: usize, shared: &Shared) {
        self.cluster.kill(node);
        self.cluster.fail_over(node).await;
        self.wait(shared, true).await;
        self.cluster.come_back(node).await;
    }

    /// The same while the collection is dropped.
    async fn happen_while_dropped(&mut self, event: Event, shared: &Shared, id: u32) {
        let start = shared.history.now();
        self.manifest += 1;
        let told = self.cluster.set_manifest(self.manifest, None);
        self.happen(event, shared).await;
        told.join_all().await;
        // It is done once each node knows of it.
        for node in 0..NODES {
            self.cluster.tell_manifest(node).await;
        }
        let (end, level, node) = (shared.history.now(), 0, 0);
        let (request, outcome) = (Request::Drop, Outcome::Done { found: None, cas: 0, seqno: 0 });
        for key in Key::all(Kind::Of(id)) {
            shared.history.add(Operation { key, request, level, node, start, end, outcome });
        }
    }

    /// A collection that was never there.
    async fn create_collection(&mut self) -> u32 {
        self.manifest += 1;
        let id = u32::try_from(self.manifest).unwrap() + 7;
        self.cluster.set_manifest(self.manifest, Some(id)).join_all().await;
        self.cluster.routes.send_modify(|routes| routes.collection = Some(id));
        id
    }

    /// Reads every document, and records it.
    async fn read_all(&self, shared: &Arc<Shared>, collection: u32) -> BTreeMap<Key, State> {
        let mut session = Session::new(Arc::clone(shared));
        let kinds = [Kind::Hot, Kind::Cold, Kind::Of(collection), Kind::Plain];
        let mut states = BTreeMap::new();
        for key in kinds.into_iter().flat_map(Key::all) {
            let get = Wanted { key, request: Request::Get, level: 0, milliseconds: 0, cas: 0 };
            let found =
                until(&format!("{key:?} can be read"), async || match session.call(get).await? {
                    Outcome::Done { found, .. } => Some(found),
                    Outcome::Refused(Status::KEY_ENOENT | Status::UNKNOWN_COLLECTION) => Some(None),
                    Outcome::Refused(_) | Outcome::Ambiguous => None,
                })
                .await;
            states.insert(key, found);
        }
        states
    }

    fn count(&mut self, history: &History) {
        let mut add = |what: &str, count| *self.report.entry(what.to_owned()).or_default() += count;
        let durable = |it: &&Operation| it.level > 0;
        add(
            "durable, acknowledged",
            history.count(|it| durable(&it) && matches!(it.outcome, Outcome::Done { .. })),
        );
        add(
            "durable, ambiguous",
            history.count(|it| durable(&it) && it.outcome == Outcome::Ambiguous),
        );
        add("reads", history.count(|it| it.request == Request::Get));
        for status in [
            Status::SYNC_WRITE_IN_PROGRESS,
            Status::SYNC_WRITE_RE_COMMIT_IN_PROGRESS,
            Status::UNKNOWN_COLLECTION,
        ] {
            let refused = Outcome::Refused(status);
            add(&status.to_string(), history.count(|it| it.outcome == refused));
        }
    }
}
