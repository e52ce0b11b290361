//! The data folder that is damaged, and what it holds.

use std::path::Path;
use std::sync::Arc;

use kvnode::{BucketOptions, Durability, Node, NodeConfig, NodeHandle};
use mcbp::VbState;
use relay::Secret;

use crate::client::{Client, wait_for};
use crate::reading::{self, Change};

pub(crate) const VBUCKETS: u16 = 4;
/// This one is a replica: streamed, but not read by clients.
pub(crate) const REPLICA: u16 = 3;
const KEYS: u32 = 80;
const RUNS: u32 = 4;

/// What the folder holds.
pub(crate) struct Template {
    /// Of each vBucket, in the order of seqnos.
    pub(crate) changes: Vec<Vec<Change>>,
    /// The failover tables, as they are streamed and shown.
    pub(crate) failovers: Vec<(String, String)>,
}

pub(crate) fn config(folder: &Path) -> NodeConfig {
    let mut bucket = BucketOptions::new("default");
    bucket.vbuckets = VBUCKETS;
    bucket.durability = Durability::Buffered;
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut config = NodeConfig::new(listen, folder, bucket, "dcp-proxy", Secret::new("secret"));
    config.limits.worker_threads = 2;
    config
}

/// Starts with sizes at which little data already ends up in tables.
pub(crate) fn start(folder: &Path) -> NodeHandle {
    let options =
        store::Options { memtable_bytes: 64 << 10, worker_threads: 1, ..store::Options::default() };
    let config = config(folder);
    let folder = folder.join("default");
    let open =
        || Ok(Arc::new(store::FjallStore::open(&folder, options.clone()).unwrap()) as Arc<_>);
    let node = Node::start_on(config, |_| open()).unwrap();
    wait_for("warm-up", || node.buckets()[0].is_ready());
    node
}

impl Template {
    pub(crate) fn build(folder: &Path) -> Self {
        for run in 0..RUNS {
            let node = start(folder);
            let mut client = Client::connect(node.address(), &[]);
            client.set_state(REPLICA, VbState::Active);
            for vb in 0..VBUCKETS {
                write(&mut client, vb, run);
            }
            client.set_state(REPLICA, VbState::Replica);
            node.shutdown().unwrap();
        }
        let node = start(folder);
        let changes = (0..VBUCKETS).map(|vb| reading::stream(&node, vb, None).unwrap()).collect();
        let failovers = Client::connect(node.address(), &[]).stats("failovers");
        node.shutdown().unwrap();
        // Opening once more cuts the zeros off the journal: no flip may fall into unused space.
        start(folder).shutdown().unwrap();
        Self { changes, failovers }
    }
}

fn write(client: &mut Client, vb: u16, run: u32) {
    for n in 0..KEYS {
        let number = u64::from(run * KEYS + n) * 4 + u64::from(vb);
        let value: Vec<u8> = (0..number * 37 % 4_000).map(|at| (at * 31 + number) as u8).collect();
        client.set(vb, &format!("key-{}", number % 97), &value);
        if number.is_multiple_of(11) {
            client.delete(vb, &format!("key-{}", number % 97));
        }
    }
}
