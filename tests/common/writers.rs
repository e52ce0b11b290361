//! Write load that records acknowledged writes, and continues over lost connections and from node
//! to node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mcbp::Status;
use relay::{Endpoint, LinkError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::node::connect;
use super::{DataNode, Documents, looks, until};

/// Connections that write.
const WRITERS: usize = 3;

/// Running writers. Every key is written once, and again only without an acknowledgement. Some are
/// then overwritten or deleted, and some have an expiry.
pub struct Writers {
    acknowledged: [Arc<AtomicU64>; WRITERS],
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Writers {
    /// Writes each key to whichever of these nodes accepts it.
    pub fn start(nodes: &[&DataNode]) -> Self {
        let acknowledged: [Arc<AtomicU64>; WRITERS] = Default::default();
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for (writer, count) in acknowledged.iter().enumerate() {
            let (count, stop) = (Arc::clone(count), stop.clone());
            let nodes = nodes.iter().map(|node| Target::of(node)).collect();
            tasks.spawn(write(writer, nodes, count, stop));
        }
        Self { acknowledged, tasks, stop }
    }

    fn count(&self) -> u64 {
        self.acknowledged.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Waits until this many more writes were acknowledged.
    pub async fn acknowledge(&self, more: u64) {
        let goal = self.count() + more;
        until("writes are acknowledged", async || (self.count() >= goal).then_some(())).await;
    }

    /// Stops writing; fails if an acknowledged write is on none of these nodes.
    pub async fn stop(self, nodes: &[&DataNode]) {
        self.stop.cancel();
        self.tasks.join_all().await;
        let mut targets: Vec<_> = nodes.iter().map(|node| Target::of(node)).collect();
        for (writer, count) in self.acknowledged.iter().enumerate() {
            for number in 0..count.load(Relaxed) {
                let key = key(writer, number);
                let mut found = Err(Status::NOT_MY_VBUCKET);
                for target in &mut targets {
                    if found == Err(Status::NOT_MY_VBUCKET) {
                        found = target.documents().await.unwrap().try_get(&key).await;
                    }
                }
                assert_eq!(found, Ok(Fate::of(number).leaves(number)), "{key} was acknowledged");
            }
        }
    }
}

/// What happens to a document.
#[derive(Clone, Copy)]
enum Fate {
    Stays,
    LivesForAWhile,
    IsOverwritten,
    IsDeleted,
}

impl Fate {
    const fn of(number: u64) -> Self {
        match number % 8 {
            3 => Self::LivesForAWhile,
            5 => Self::IsOverwritten,
            7 => Self::IsDeleted,
            _ => Self::Stays,
        }
    }

    /// The final value.
    fn leaves(self, number: u64) -> Option<String> {
        match self {
            Self::Stays | Self::LivesForAWhile => Some(number.to_string()),
            Self::IsOverwritten => Some(format!("{number} again")),
            Self::IsDeleted => None,
        }
    }
}

fn key(writer: usize, number: u64) -> String {
    format!("writer-{writer}-{number}")
}

/// A node and the connection to it, if any.
struct Target {
    endpoint: Endpoint,
    vbuckets: u16,
    documents: Option<Documents>,
}

impl Target {
    fn of(node: &DataNode) -> Self {
        Self { endpoint: node.endpoint(), vbuckets: node.vbuckets, documents: None }
    }

    async fn documents(&mut self) -> Option<&mut Documents> {
        if self.documents.is_none() {
            let client = connect(&self.endpoint).await.ok()?;
            self.documents = Some(Documents::new(client, self.vbuckets));
        }
        self.documents.as_mut()
    }

    /// Records whether the write was acknowledged, and its document.
    async fn write(&mut self, key: &str, number: u64) -> bool {
        let Some(documents) = self.documents().await else { return false };
        match write_one(documents, key, number).await {
            Ok(()) => true,
            Err(error) => {
                if error.status().is_none() {
                    self.documents = None;
                }
                false
            }
        }
    }
}

async fn write_one(documents: &mut Documents, key: &str, number: u64) -> Result<(), LinkError> {
    let (value, fate) = (number.to_string(), Fate::of(number));
    let seconds = if let Fate::LivesForAWhile = fate { 36_000 } else { 0 };
    documents.try_set_for(key, &value, seconds).await?;
    match fate {
        Fate::Stays | Fate::LivesForAWhile => Ok(()),
        Fate::IsOverwritten => documents.try_set(key, &format!("{number} again")).await,
        Fate::IsDeleted => documents.try_delete(key).await,
    }
}

async fn write(
    writer: usize,
    mut targets: Vec<Target>,
    acknowledged: Arc<AtomicU64>,
    stop: CancellationToken,
) {
    let mut attempts = looks();
    while !stop.is_cancelled() {
        let number = acknowledged.load(Relaxed);
        let key = key(writer, number);
        let mut is_written = false;
        for target in &mut targets {
            is_written = is_written || target.write(&key, number).await;
        }
        if is_written {
            acknowledged.store(number + 1, Relaxed);
        } else {
            attempts.tick().await;
        }
    }
}
