//! The buckets of a running replication and the producers they share, which change at run time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::ArbiterHandle;
use events::Events;
use futures::channel::oneshot;
use relay::Endpoint;
use replica::bucket::{BucketCommand, Change, CommandError, Done};
use replica::names::connection_name;

use crate::bucket_actor::{BucketActor, End, Parts, SetProducers, Submit};
use crate::config::{BucketPlan, ControlLimits};
use crate::moved::MovedOut;
use crate::recorders::Recorders;
use crate::timings::Timings;

/// The buckets; clones share them.
#[derive(Clone)]
pub(crate) struct Buckets {
    node: Endpoint,
    limits: ControlLimits,
    /// Where the actors of buckets run.
    own: ArbiterHandle,
    /// Where the links run.
    arbiters: Vec<ArbiterHandle>,
    /// What happens is told to them.
    events: Events,
    moved: MovedOut,
    recorders: Recorders,
    /// Locked for moments only, never while anything is awaited.
    state: Arc<Mutex<State>>,
}

struct State {
    buckets: BTreeMap<String, Bucket>,
    producers: BTreeMap<String, Endpoint>,
    is_stopping: bool,
}

/// One bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) actor: Addr<BucketActor>,
    pub(crate) timings: Arc<Timings>,
    /// Whether it is being removed: then it is unknown to commands, and its name is not free.
    is_ending: bool,
}

impl Buckets {
    pub(crate) fn new(
        node: Endpoint,
        producers: Vec<Endpoint>,
        limits: ControlLimits,
        own: ArbiterHandle,
        arbiters: Vec<ArbiterHandle>,
        events: Events,
    ) -> Self {
        let producers = by_name(producers);
        let state = State { buckets: BTreeMap::new(), producers, is_stopping: false };
        let (moved, state) = (MovedOut::default(), Arc::new(Mutex::new(state)));
        let recorders = Recorders::new(limits.recorded_bytes);
        Self { node, limits, own, arbiters, events, moved, recorders, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn moved(&self) -> &MovedOut {
        &self.moved
    }

    /// What passes the links.
    pub(crate) const fn recorders(&self) -> &Recorders {
        &self.recorders
    }

    /// The name of a link's connections.
    pub(crate) fn link_name(&self, bucket: &str, producer: &str, connection: u8) -> String {
        connection_name(producer, &self.node.name, bucket, connection)
    }

    /// Starts a bucket, which begins to replicate at once.
    pub(crate) fn add(&self, plan: BucketPlan) -> Result<(), CommandError> {
        let BucketPlan { name, connections, desired } = plan;
        let mut state = self.state();
        if state.is_stopping {
            return Err(CommandError::Stopping);
        }
        if let Some(known) = state.buckets.get(&name) {
            let why = if known.is_ending {
                "is still being removed: add it again when that is done"
            } else {
                "is replicated already: change it instead"
            };
            return Err(CommandError::BucketExists { bucket: name, why });
        }
        let is_known = |producer: &&String| state.producers.contains_key(*producer);
        if let Some(producer) = desired.producers().keys().find(|name| !is_known(name)) {
            return Err(CommandError::NoProducer { producer: producer.clone() });
        }
        let timings = Arc::new(Timings::default());
        let parts = Parts {
            node: self.node.clone(),
            producers: state.producers.clone(),
            limits: self.limits.clone(),
            arbiters: self.arbiters.clone(),
            moved: self.moved.clone(),
            timings: Arc::clone(&timings),
            events: self.events.clone(),
            recorders: self.recorders.clone(),
        };
        let of = name.clone();
        let make = move |_: &mut _| BucketActor::new(of, connections, parts);
        let actor = BucketActor::start_in_arbiter(&self.own, make);
        // No caller waits for the first set-up: failures are retried, and the status shows them.
        let (answer, _) = oneshot::channel();
        let command = BucketCommand::Change(Change::All(desired));
        actor.do_send(Submit { command, answer });
        state.buckets.insert(name, Bucket { actor, timings, is_ending: false });
        Ok(())
    }

    /// Closes the streams and links of a bucket and ends its actor. Returns whether all streams
    /// were closed within `limit`. A takeover that has begun ends first.
    pub(crate) async fn remove(&self, name: &str, limit: Duration) -> bool {
        let actor = match self.state().buckets.get_mut(name) {
            Some(bucket) if !bucket.is_ending => {
                bucket.is_ending = true;
                bucket.actor.clone()
            }
            Some(_) | None => return false,
        };
        // A task of its own: a caller that goes away must not leave it half done.
        let (done, removed) = oneshot::channel();
        let (buckets, name) = (self.clone(), name.to_owned());
        let takeover = self.limits.takeover();
        let is_spawned = self.own.spawn(async move {
            // Cut off, a takeover may leave its vBucket active nowhere. Where none runs, this is
            // answered at once.
            let ended = tokio::time::timeout(limit.max(takeover), remove(&actor)).await;
            if matches!(ended, Ok(Err(CommandError::Stopping))) {
                // The stop of all buckets closes this one too.
                _ = done.send(false);
                return;
            }
            let is_clean = tokio::time::timeout(limit, stop(&actor, limit)).await.is_ok();
            // The actor may have ended.
            _ = actor.send(End).await;
            buckets.state().buckets.remove(&name);
            // The caller may have gone.
            _ = done.send(is_clean);
        });
        is_spawned && removed.await.unwrap_or(false)
    }

    /// Sets the producers, and tells every bucket.
    pub(crate) fn set_producers(&self, producers: Vec<Endpoint>) {
        let mut new = by_name(producers);
        let mut state = self.state();
        let mut changed = BTreeSet::new();
        for (name, endpoint) in &mut new {
            match state.producers.get(name) {
                // The old one stays: its clones share the secrets that were adopted into it.
                Some(old) if is_same(old, endpoint) => *endpoint = old.clone(),
                Some(_) => _ = changed.insert(name.clone()),
                None => {}
            }
        }
        for bucket in state.buckets.values() {
            let (all, changed) = (new.clone(), changed.clone());
            bucket.actor.do_send(SetProducers { all, changed });
        }
        state.producers = new;
    }

    /// Returns the bucket of this name.
    pub(crate) fn get(&self, name: &str) -> Option<Bucket> {
        self.state().buckets.get(name).filter(|bucket| !bucket.is_ending).cloned()
    }

    /// Returns every bucket by its name.
    pub(crate) fn all(&self) -> Vec<(String, Bucket)> {
        let state = self.state();
        let live = state.buckets.iter().filter(|(_, bucket)| !bucket.is_ending);
        live.map(|(name, bucket)| (name.clone(), bucket.clone())).collect()
    }

    /// Accepts no more buckets. Returns all of them, also those that are being removed.
    pub(crate) fn stop(&self) -> Vec<Addr<BucketActor>> {
        let mut state = self.state();
        state.is_stopping = true;
        state.buckets.values().map(|bucket| bucket.actor.clone()).collect()
    }
}

/// Refuses every command of a bucket. Waits for a takeover that runs.
fn remove(
    actor: &Addr<BucketActor>,
) -> impl Future<Output = Result<Done, CommandError>> + Send + use<> {
    let (answer, answered) = oneshot::channel();
    actor.do_send(Submit { command: BucketCommand::Remove, answer });
    async move { answered.await.unwrap_or(Err(CommandError::Stopping)) }
}

/// Closes every stream and link of a bucket; a takeover that runs ends first, within this time.
pub(crate) fn stop(
    actor: &Addr<BucketActor>,
    within: Duration,
) -> impl Future<Output = ()> + Send + use<> {
    let (answer, answered) = oneshot::channel();
    actor.do_send(Submit { command: BucketCommand::Stop { within }, answer });
    async move { _ = answered.await }
}

fn by_name(producers: Vec<Endpoint>) -> BTreeMap<String, Endpoint> {
    producers.into_iter().map(|endpoint| (endpoint.name.clone(), endpoint)).collect()
}

/// Whether links to a node may stay. A password, and the content of certificates, need no new link.
fn is_same(old: &Endpoint, new: &Endpoint) -> bool {
    let server_name = |endpoint: &Endpoint| endpoint.tls.as_ref().map(relay::Tls::server_name);
    old.address == new.address
        && old.allow_plain == new.allow_plain
        && old.username == new.username
        && server_name(old) == server_name(new)
}
