//! Data nodes for tests, and a store that fails on demand.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kvnode::{BucketOptions, Durability, Node, NodeConfig, NodeHandle};
use mcbp::{Seqno, VbId, VbState};
use relay::Secret;
use store::Retention;
use tempfile::TempDir;
use vbucket::store::{Batch, Scan, ScanEnd, ScanStep, SharedStore, Store, StoreError};
use vbucket::{Row, VbMeta};

use crate::client::Client;

#[macro_use]
#[path = "../support/inner_store.rs"]
mod inner_store;

const VBUCKETS: u16 = 8;

/// A node on a folder of its own.
pub(crate) struct TestNode {
    handle: Option<NodeHandle>,
    options: BucketOptions,
    folder: TempDir,
    pub(crate) faults: Arc<Faults>,
}

/// What goes wrong.
#[derive(Default)]
pub(crate) struct Faults {
    /// Scans fail after this many rows; 0 for never.
    pub(crate) scan_fails_after: AtomicU64,
    /// A scan that stops after those rows is cancelled instead of failing.
    pub(crate) scan_is_cancelled: AtomicBool,
    /// No scan can be opened.
    pub(crate) open_fails: AtomicBool,
    /// Scans wait before they are opened until this is false again.
    pub(crate) scans_wait: AtomicBool,
    /// How many scans were asked for.
    pub(crate) scans: AtomicU64,
    /// Commits wait until this is false again.
    pub(crate) commits_wait: AtomicBool,
    /// Commits fail.
    pub(crate) commits_fail: AtomicBool,
    /// How many commits were begun.
    pub(crate) commits: AtomicU64,
}

impl TestNode {
    pub(crate) fn start(state: VbState) -> Self {
        Self::start_with(state, |_| ())
    }

    pub(crate) fn start_with(state: VbState, change: impl FnOnce(&mut BucketOptions)) -> Self {
        let mut options = BucketOptions::new("default");
        options.vbuckets = VBUCKETS;
        options.initial_state = Some(state);
        options.durability = Durability::Buffered;
        change(&mut options);
        let folder = TempDir::new().unwrap();
        let mut node = Self { handle: None, options, folder, faults: Arc::default() };
        node.launch();
        node
    }

    fn launch(&mut self) {
        let faults = Arc::clone(&self.faults);
        let folder = self.folder.path().to_owned();
        let password = Secret::new("secret");
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config =
            NodeConfig::new(listen, &folder, self.options.clone(), "dcp-proxy", password);
        config.limits.worker_threads = 2;
        let store =
            |bucket: &BucketOptions| Ok(FaultyStore::open(&folder, &faults, bucket.retention));
        let handle = Node::start_on(config, store).unwrap();
        let bucket = &handle.buckets()[0];
        crate::client::wait_for("warm-up", || bucket.is_ready());
        self.handle = Some(handle);
    }

    /// Stops the node cleanly and starts it again: nothing is in memory then.
    pub(crate) fn restart(&mut self) {
        self.restart_with(|_| ());
    }

    /// The same with other options.
    pub(crate) fn restart_with(&mut self, change: impl FnOnce(&mut BucketOptions)) {
        self.handle.take().unwrap().shutdown().unwrap();
        change(&mut self.options);
        self.launch();
    }

    pub(crate) fn handle(&self) -> &NodeHandle {
        self.handle.as_ref().unwrap()
    }

    /// A connection with the features that a replication proxy asks for.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.handle().address(), &[0x06, 0x12, 0x0a, 0x0b])
    }

    /// A connection without any feature.
    pub(crate) fn plain_client(&self) -> Client {
        Client::connect(self.handle().address(), &[])
    }

    pub(crate) fn state(&self, vb: u16) -> VbState {
        self.handle().buckets()[0].vb(VbId(vb)).unwrap().state()
    }

    pub(crate) fn high_seqno(&self, vb: u16) -> u64 {
        self.handle().buckets()[0].vb(VbId(vb)).unwrap().high_seqno().0
    }

    /// Every row of a vBucket as it is on disk.
    pub(crate) fn rows(&self, vb: u16) -> Vec<Row> {
        let store = self.handle().buckets()[0].store();
        let mut scan = store.scan(VbId(vb), Seqno(1), Seqno::MAX).unwrap();
        let mut rows = Vec::new();
        let end = scan.run(&mut |row| {
            rows.push(row);
            ScanStep::More
        });
        assert!(matches!(end, ScanEnd::Finished), "{end:?}");
        rows
    }

    pub(crate) fn view(&self, vb: u16) -> kvnode::bucket::VbView {
        self.handle().buckets()[0].vb(VbId(vb)).unwrap().view()
    }
}

struct FaultyStore {
    inner: store::FjallStore,
    faults: Arc<Faults>,
}

impl FaultyStore {
    fn open(folder: &Path, faults: &Arc<Faults>, retention: Retention) -> SharedStore {
        let options = store::Options { retention, ..store::Options::default() };
        let inner = store::FjallStore::open(folder, options).unwrap();
        Arc::new(Self { inner, faults: Arc::clone(faults) })
    }
}

impl Store for FaultyStore {
    fn commit(
        &self,
        batch: &Batch,
        durability: vbucket::store::Durability,
    ) -> Result<(), StoreError> {
        self.faults.commits.fetch_add(1, Ordering::Relaxed);
        while self.faults.commits_wait.load(Ordering::Relaxed) {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        if self.faults.commits_fail.load(Ordering::Relaxed) {
            return Err(damage());
        }
        self.inner.commit(batch, durability)
    }
    fn scan(&self, vb: VbId, start: Seqno, end: Seqno) -> Result<Box<dyn Scan>, StoreError> {
        self.faults.scans.fetch_add(1, Ordering::Relaxed);
        while self.faults.scans_wait.load(Ordering::Relaxed) {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        if self.faults.open_fails.load(Ordering::Relaxed) {
            return Err(damage());
        }
        let inner = self.inner.scan(vb, start, end)?;
        let left = self.faults.scan_fails_after.load(Ordering::Relaxed);
        let cancelled = self.faults.scan_is_cancelled.load(Ordering::Relaxed);
        Ok(if left == 0 { inner } else { Box::new(FaultyScan { inner, left, cancelled }) })
    }
    rest_of_store_is_inner!();
}

struct FaultyScan {
    inner: Box<dyn Scan>,
    left: u64,
    cancelled: bool,
}

impl Scan for FaultyScan {
    fn run(&mut self, each: &mut dyn FnMut(Row) -> ScanStep) -> ScanEnd {
        let left = &mut self.left;
        let end = self.inner.run(&mut |row| {
            if *left == 0 {
                return ScanStep::Cancel;
            }
            let step = each(row);
            *left -= u64::from(step != ScanStep::Later);
            step
        });
        if *left > 0 {
            return end;
        }
        if self.cancelled { ScanEnd::Cancelled } else { ScanEnd::Failed(damage()) }
    }
    fn meta(&self) -> &VbMeta {
        self.inner.meta()
    }
    fn default_high_seqno(&self) -> Seqno {
        self.inner.default_high_seqno()
    }
}

fn damage() -> StoreError {
    let (what, detail) = ("vb:0 seqno 4".to_owned(), "told to fail".to_owned());
    StoreError::Damaged { what, detail }
}
