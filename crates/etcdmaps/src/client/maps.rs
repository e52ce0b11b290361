//! The maps of a node in etcd, as its sidecar uses them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::config::EtcdConfig;
use super::follow::Follow;
use super::reports::Reports;
use crate::keys::Keys;
use crate::report::Report;
use crate::update::{Known, Update};

/// Updates that wait for the sidecar; then the watch waits too.
const UPDATES_MAX: usize = 64;
/// The deadline of [`EtcdMaps::stop`].
const STOP: Duration = Duration::from_secs(3);

/// Follows the maps of a node, and reports. Dropping it stops both without waiting.
pub struct EtcdMaps {
    known: latest::Sender<Known>,
    reports: latest::Sender<BTreeMap<String, Report>>,
    tasks: [JoinHandle<()>; 2],
    stop: DropGuard,
}

impl EtcdMaps {
    /// Starts to follow the maps of `node`. Must be called on a runtime of tokio. It never gives
    /// up: while etcd is away, the updates say so.
    #[must_use]
    pub fn start(config: EtcdConfig, node: &str, known: Known) -> (Self, mpsc::Receiver<Update>) {
        let stop = CancellationToken::new();
        let (updates, receiver) = mpsc::channel(UPDATES_MAX);
        let (link, linked) = latest::channel(None);
        let (known, knows) = latest::channel(known);
        let (reports, reported) = latest::channel(BTreeMap::new());
        let write = Reports {
            keys: Keys::new(&config.prefix),
            node: node.to_owned(),
            pace: config.pace,
            reports: reported,
            link: linked,
            stop: stop.clone(),
        };
        let follow = Follow {
            config: Arc::new(config),
            node: node.to_owned(),
            updates,
            known: knows,
            link,
            stop: stop.clone(),
        };
        let tasks = [tokio::spawn(follow.run()), tokio::spawn(write.run())];
        (Self { known, reports, tasks, stop: stop.drop_guard() }, receiver)
    }

    /// Takes what the configuration has now. All maps are judged by it again; what was told already
    /// is not told again. Reports of buckets that it does not have are deleted.
    pub fn set_known(&self, known: Known) {
        self.reports.send_if_modified(|reports| {
            let before = reports.len();
            reports.retain(|bucket, _| known.buckets.contains_key(bucket));
            reports.len() != before
        });
        self.known.send_if_modified(|own| {
            let is_new = *own != known;
            *own = known;
            is_new
        });
    }

    /// Reports on a bucket. The newest report counts; it is written some time later.
    pub fn report(&self, bucket: &str, report: Report) {
        self.reports.send_if_modified(|reports| {
            let is_new = reports.get(bucket) != Some(&report);
            if is_new {
                reports.insert(bucket.to_owned(), report);
            }
            is_new
        });
    }

    /// Stops, and gives the lease back, so that the reports vanish. Returns within 3 seconds.
    pub async fn stop(self) {
        drop(self.stop);
        for mut task in self.tasks {
            if timeout(STOP / 2, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}
