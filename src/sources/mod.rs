//! The sources of the desired maps, and what is in force: the one place that knows what is wanted.
//!
//! The rules are in the package `desired`. Here they meet the file of the state (`state`, written
//! by `keeping`), the configuration file (`reload`, `secrets`), etcd, the maps of a cluster
//! (`cluster`, `watched`, `once`, `turns`, `hosts`, `lookup`), and the running replication
//! (`settle`). What is changed is on disk before it takes effect, and before anybody is told so.

mod change;
mod cluster;
#[cfg(feature = "etcd")]
mod etcd;
mod hosts;
mod keeping;
mod lookup;
mod maps;
mod moves;
mod once;
mod origin;
mod reach;
mod reload;
mod secrets;
mod settle;
mod state;
#[cfg(test)]
mod tests;
mod turns;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use dcp_actors::ReplicationHandle;
use desired::{Entry, Mark};
use events::{Events, Kind, Level};
use logline::value;
use relay::Endpoint;
use tokio::sync::{Mutex as Turn, Notify};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::settle::Settling;
use self::state::StateFolder;
use crate::clock::now_ms;
use crate::config::{Config, MapSource};
use crate::logging::Asked;

pub use self::change::{ChangeError, Changed};
pub use self::maps::{BucketDropped, Maps, SourceKind};
pub(crate) use self::once::{FoundMap, map_of, without_own};
pub use self::origin::{Connection, Origin, OriginOfBucket, RefusedMap};
pub use self::reload::{LastReload, ReloadError, Reloaded};
pub use self::state::StateError;

/// The desired maps of this process; cheap to clone.
#[derive(Clone)]
pub struct Sources(Arc<Inner>);

struct Inner {
    asked: Asked,
    /// What happens to replication is told to them.
    events: Events,
    /// The configuration in force.
    live: RwLock<Live>,
    /// The maps that are on disk.
    maps: RwLock<Arc<Maps>>,
    /// Whoever changes the maps holds this, until they are on disk.
    folder: Arc<Turn<StateFolder>>,
    /// Whoever has a bucket change what it replicates holds its turn, until it has answered.
    turns: Mutex<BTreeMap<String, Arc<Turn<()>>>>,
    /// The changes of each bucket that wait for its turn, or have it.
    waiting: Mutex<BTreeMap<String, usize>>,
    /// One reload at a time.
    reloading: Turn<()>,
    running: OnceLock<Running>,
    settling: Settling,
    /// Why what is in force is not on disk, if it is not.
    unsaved: Mutex<Option<String>>,
    /// The buckets whose cluster maps are followed, and what ends that.
    followed: Mutex<BTreeMap<String, CancellationToken>>,
    /// What is known of etcd or the cluster, where that is the source.
    origin: RwLock<Origin>,
    /// Told when replication has to follow the maps or the configuration.
    unsettled: Notify,
}

/// The configuration in force, and how the last reload went.
struct Live {
    config: Arc<Config>,
    loaded_at: SystemTime,
    last_reload: Option<LastReload>,
    reloads: [u64; 2],
}

/// What has started.
struct Running {
    replication: ReplicationHandle,
    embedded: BTreeMap<String, Endpoint>,
    /// The producers that replication knows.
    producers: Mutex<Vec<Endpoint>>,
    /// The buckets that replication has.
    buckets: Mutex<BTreeSet<String>>,
    /// What runs until the stop, and what ends it.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stop: CancellationToken,
    /// Replication has stopped: no vBucket is taken over any more.
    stopped: CancellationToken,
}

impl Sources {
    /// Reads the state, and lets it follow the configuration. Logs what was dropped.
    ///
    /// # Errors
    /// A [`StateError`] where there is a state that cannot be used.
    pub fn open(config: Arc<Config>, asked: Asked) -> Result<Self, StateError> {
        let (mut folder, kept) = StateFolder::open(&config.state, config.node.name())?;
        let mut dropped = Vec::new();
        // The producers of a cluster are those of its last maps, until it says something else.
        let last = |config: Arc<Config>, maps: Option<&Maps>| match (&config.source, maps) {
            (MapSource::Cluster(_), Some(maps)) => {
                Arc::new(cluster::with_producers(&config, maps, &BTreeSet::new()))
            }
            _ => config,
        };
        let config = last(config, kept.as_ref());
        let maps = match kept {
            None => Maps::new(&config),
            Some(before) => {
                let mut maps = before.clone();
                maps.forget_dropped();
                dropped = maps.follow(&config, now_ms());
                if maps != before
                    && let Err(error) = folder.save(&maps)
                {
                    // The next start comes to the same.
                    let error = value(&error);
                    log::warn!("state not written, changes at run time are refused error={error}");
                }
                maps
            }
        };
        let config = last(config, Some(&maps));
        let is_cluster = matches!(config.source, MapSource::Cluster(_));
        let live =
            Live { config, loaded_at: SystemTime::now(), last_reload: None, reloads: [0; 2] };
        let events = Events::start();
        let text = format!("dcp-proxy {} has started", env!("CARGO_PKG_VERSION"));
        events.note(Level::Info, Kind::Started, None, text);
        let sources = Self(Arc::new(Inner {
            asked,
            events,
            live: RwLock::new(live),
            maps: RwLock::new(Arc::new(maps)),
            folder: Arc::new(Turn::new(folder)),
            turns: Mutex::default(),
            waiting: Mutex::default(),
            reloading: Turn::default(),
            running: OnceLock::new(),
            settling: Settling::default(),
            unsaved: Mutex::default(),
            followed: Mutex::default(),
            origin: RwLock::new(Origin { is_cluster, ..Origin::default() }),
            unsettled: Notify::new(),
        }));
        sources.tell_dropped(&dropped);
        Ok(sources)
    }

    /// The configuration in force: the file as it was read last without a problem.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.0.live.read().unwrap_or_else(PoisonError::into_inner).config)
    }

    /// When the configuration in force was read.
    #[must_use]
    pub fn loaded_at(&self) -> SystemTime {
        self.0.live.read().unwrap_or_else(PoisonError::into_inner).loaded_at
    }

    /// What happens to replication.
    #[must_use]
    pub fn events(&self) -> Events {
        self.0.events.clone()
    }

    /// The desired maps.
    #[must_use]
    pub fn maps(&self) -> Arc<Maps> {
        Arc::clone(&self.0.maps.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of etcd or the cluster as the source.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.0.origin.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change_origin(&self, change: impl FnOnce(&mut Origin)) {
        change(&mut self.0.origin.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn origin_of(&self, bucket: &str, change: impl FnOnce(&mut OriginOfBucket)) {
        self.change_origin(|origin| {
            change(origin.buckets.entry(bucket.to_owned()).or_default());
        });
    }

    /// What is to be replicated of a bucket; nothing where the configuration does not have it.
    #[must_use]
    pub fn in_force(&self, bucket: &str) -> Entry {
        self.maps().bucket(bucket).map(|maps| maps.in_force()).unwrap_or_default()
    }

    /// Says what was dropped of the overlays.
    fn tell_dropped(&self, dropped: &[BucketDropped]) {
        for BucketDropped { bucket, dropped, .. } in dropped {
            let what = match dropped.connections {
                Some(connections) => format!("connections={}", connections.count()),
                None => {
                    let from = dropped.from.as_deref().unwrap_or("none");
                    format!("vbs={} from={from}", dropped.vbuckets)
                }
            };
            let (why, by) = (dropped.why, value(&dropped.mark.by));
            log::warn!("run-time change dropped bucket={bucket} {what} why={why} changed_by={by}");
            let text = format!("run-time change dropped, {why}: {what}");
            self.0.events.note(Level::Warn, Kind::DesiredChanged, Some(bucket), text);
        }
    }

    /// The turn of a bucket.
    fn turn(&self, bucket: &str) -> Arc<Turn<()>> {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(bucket.to_owned()).or_default())
    }
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// A mark of now.
fn mark(by: &str) -> Mark {
    Mark { by: by.to_owned(), at_ms: now_ms() }
}
