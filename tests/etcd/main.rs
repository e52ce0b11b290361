//! Desired maps from etcd, against real etcds, which each test starts for itself: as a sidecar
//! follows them, what it reports, and `dcp-proxy map` as a process.

#![cfg(feature = "etcd")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod command;
#[path = "../common/mod.rs"]
mod common;
mod follow;
mod login;
mod sidecars;
mod status;

use common::PATIENCE;
use etcdmaps::{Connection, EtcdConfig, EtcdMaps, Known, Pace, Report, Update};
use replica::plan::Connections;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

const KEY: &str = "/t/maps/beta/default";
const STATUS: &str = "/t/status/beta/default";

fn config(endpoints: &[String]) -> EtcdConfig {
    let pace = Pace { ttl_s: 5, changed_ms: 50, lag_ms: 100, retry_ms: 100 };
    let (endpoints, prefix) = (endpoints.to_vec(), "/t".to_owned());
    EtcdConfig { endpoints, prefix, tls: None, login: None, pace }
}

fn known(buckets: &[&str]) -> Known {
    let buckets = buckets.iter().map(|&name| (name.to_owned(), Connections::ONE)).collect();
    Known { buckets, producers: ["alpha".to_owned()].into() }
}

/// A sidecar of beta with the bucket default.
struct Sidecar {
    maps: EtcdMaps,
    updates: Receiver<Update>,
}

impl Sidecar {
    fn start(config: EtcdConfig) -> Self {
        let (maps, updates) = EtcdMaps::start(config, "beta", known(&["default"]));
        Self { maps, updates }
    }

    async fn next(&mut self) -> Update {
        timeout(PATIENCE, self.updates.recv()).await.expect("an update").expect("it runs")
    }

    /// The updates until one is as wanted, which is returned last.
    async fn until(&mut self, is_wanted: impl Fn(&Update) -> bool) -> Vec<Update> {
        let mut seen = Vec::new();
        loop {
            let update = self.next().await;
            let is_last = is_wanted(&update);
            seen.push(update);
            if is_last {
                return seen;
            }
        }
    }

    async fn until_connected(&mut self) -> Vec<Update> {
        self.until(|it| matches!(it, Update::Connection(Connection::Connected { .. }))).await
    }

    async fn until_away(&mut self) -> (u64, String) {
        let away = |it: &Update| matches!(it, Update::Connection(Connection::Away { .. }));
        match self.until(away).await.pop() {
            Some(Update::Connection(Connection::Away { since_ms, error })) => (since_ms, error),
            other => panic!("not away: {other:?}"),
        }
    }

    /// Waits for the map of this revision; returns its vBuckets from alpha.
    async fn until_map(&mut self, at: i64) -> String {
        let is_map = |it: &Update| matches!(it, Update::Map { revision, .. } if *revision == at);
        match self.until(is_map).await.pop() {
            Some(Update::Map { entry, .. }) => entry
                .replicate
                .producers()
                .get("alpha")
                .map(ToString::to_string)
                .unwrap_or_default(),
            other => panic!("no map: {other:?}"),
        }
    }
}

fn report(revision: i64) -> Report {
    let open = [("alpha".to_owned(), "0-5".parse().unwrap())].into();
    Report { revision, open, lag: Some(0), ..Report::default() }
}
