//! Write load that remembers what was acknowledged, and goes on over lost connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use relay::Endpoint;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::node::connect;
use super::{DataNode, Documents, TICK, until};

/// Connections that write.
const WRITERS: usize = 3;

/// Running writers; every key is written once, again only where no acknowledgement came.
pub struct Writers {
    acknowledged: [Arc<AtomicU64>; WRITERS],
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Writers {
    pub fn start(node: &DataNode) -> Self {
        let acknowledged: [Arc<AtomicU64>; WRITERS] = Default::default();
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for (writer, count) in acknowledged.iter().enumerate() {
            let (endpoint, count, stop) = (node.endpoint(), Arc::clone(count), stop.clone());
            let vbuckets = node.vbuckets;
            tasks.spawn(async move {
                while !stop.is_cancelled() {
                    write(writer, &endpoint, vbuckets, &count, &stop).await;
                    tokio::time::sleep(TICK).await;
                }
            });
        }
        Self { acknowledged, tasks, stop }
    }

    fn count(&self) -> u64 {
        self.acknowledged.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Waits until so many writes more were acknowledged.
    pub async fn acknowledge(&self, more: u64) {
        let goal = self.count() + more;
        until("writes are acknowledged", async || (self.count() >= goal).then_some(())).await;
    }

    /// Stops writing; fails where a write that was acknowledged is not there.
    pub async fn stop(self, node: &DataNode) {
        self.stop.cancel();
        self.tasks.join_all().await;
        let mut documents = node.documents().await;
        for (writer, count) in self.acknowledged.iter().enumerate() {
            for number in 0..count.load(Relaxed) {
                let key = key(writer, number);
                let found = documents.get(&key).await;
                assert_eq!(found, Some(number.to_string()), "{key} was acknowledged");
            }
        }
    }
}

fn key(writer: usize, number: u64) -> String {
    format!("writer-{writer}-{number}")
}

/// Writes until the connection fails.
async fn write(
    writer: usize,
    endpoint: &Endpoint,
    vbuckets: u16,
    acknowledged: &AtomicU64,
    stop: &CancellationToken,
) {
    let Ok(client) = connect(endpoint).await else { return };
    let mut documents = Documents::new(client, vbuckets);
    while !stop.is_cancelled() {
        let number = acknowledged.load(Relaxed);
        if documents.try_set(&key(writer, number), &number.to_string()).await.is_err() {
            return;
        }
        acknowledged.store(number + 1, Relaxed);
    }
}
