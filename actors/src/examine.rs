//! Asks both nodes what has become of a vBucket whose takeover failed, and repairs what a takeover
//! left that was cut off.
//!
//! On connections of their own: the link may be gone, and its nodes need not know of it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use mcbp::{Status, VbId, VbState};
use relay::{Client, Deadlines, Endpoint, LinkError, Login};
use replica::link::Retry;
use replica::remedy::{Remedy, Said};

use crate::error::VbFailure;
use crate::link::LinkSpec;

/// What a lost link had delivered takes effect within this time: a change of state is one sync.
const SETTLE: Duration = Duration::from_secs(1);
/// How long a node may take for a connection or an answer, where the limits allow more: a caller
/// waits, and a node that is well takes milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long to wait before the nodes are asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// What to look into.
pub(crate) struct Examine {
    pub(crate) spec: Arc<LinkSpec>,
    pub(crate) vb: VbId,
    /// How the takeover failed, as far as its link knows.
    pub(crate) failure: VbFailure,
    /// Whether the copies may be repaired: nothing of a takeover is on its way to either node.
    pub(crate) may_repair: bool,
    /// Whether the consumer's copy is known to miss no row.
    pub(crate) is_complete: bool,
}

/// What became of the vBucket.
pub(crate) enum Verdict {
    /// It is active at the consumer.
    Moved,
    /// It is active at the producer again, and may be taken over anew.
    GivenBack,
    /// It did not move. The text says what both nodes have, and what would help.
    Failed(VbFailure),
}

impl Examine {
    /// Asks, and repairs where that is allowed. Bounded by the deadlines of its few requests.
    pub(crate) async fn run(self) -> Verdict {
        let (producer, consumer) = self.ask().await;
        let remedy = Remedy::of(&producer, &consumer, self.is_complete);
        let (spec, vb) = (&self.spec, self.vb);
        let names = (&spec.producer.name, &spec.consumer.name);
        let found = format!("at {} it is {producer}, at {} {consumer}", names.0, names.1);
        log::info!("takeover looked into bucket={} vb={vb} found=\"{found}\"", spec.bucket);
        let repair = match remedy {
            Remedy::Done => return Verdict::Moved,
            Remedy::Activate if self.may_repair => (&spec.consumer, Verdict::Moved),
            Remedy::GiveBack if self.may_repair => (&spec.producer, Verdict::GivenBack),
            _ => return self.failed(&found, remedy),
        };
        let (node, repaired) = repair;
        match self.activate(node).await {
            Ok(()) => {
                log::warn!(
                    "set active what a takeover left without an active copy bucket={} vb={vb} \
                     node={} found=\"{found}\"",
                    spec.bucket,
                    node.name
                );
                repaired
            }
            Err(error) => self.failed(&format!("{found}, {error}"), remedy),
        }
    }

    /// Asks both nodes; again for a while where the consumer may be about to become active.
    async fn ask(&self) -> (Said, Said) {
        let (vb, begun) = (self.vb, tokio::time::Instant::now());
        let (mut from, mut to) =
            join(self.connect(&self.spec.producer), self.connect(&self.spec.consumer)).await;
        loop {
            let (producer, consumer) = join(said(&mut from, vb), said(&mut to, vb)).await;
            let is_between = consumer.is(VbState::Pending) && !producer.is(VbState::Active);
            if self.may_repair || !is_between || begun.elapsed() >= SETTLE {
                return (producer, consumer);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn activate(&self, node: &Endpoint) -> Result<(), LinkError> {
        self.connect(node).await?.set_vbucket(self.vb, VbState::Active).await
    }

    async fn connect(&self, node: &Endpoint) -> Result<Client, LinkError> {
        let Deadlines { connect, request } = self.spec.limits.handshake;
        let login = Login {
            bucket: Some(&self.spec.bucket),
            agent: "dcp-proxy:takeover",
            features: &[],
            deadlines: Deadlines {
                connect: connect.min(ANSWER_MAX),
                request: request.min(ANSWER_MAX),
            },
        };
        Client::connect(node, login).await
    }

    fn failed(&self, found: &str, remedy: Remedy) -> Verdict {
        let mut failure = self.failure.clone();
        let advice = match remedy {
            Remedy::Activate | Remedy::GiveBack => {
                failure.retry = Retry::AtOnce.to_string();
                ": ask for the takeover again, it goes on from there".to_owned()
            }
            Remedy::Ask(advice) => format!(": {advice}"),
            Remedy::AsBefore | Remedy::Done => String::new(),
        };
        failure.detail = format!("{}; {found}{advice}", failure.detail);
        Verdict::Failed(failure)
    }
}

/// What a node says of its copy. Why one says nothing is no news: its link has said so, or will.
async fn said(client: &mut Result<Client, LinkError>, vb: VbId) -> Said {
    let Ok(connected) = client else { return Said::Nothing };
    match connected.stats(&Said::group(vb)).await {
        Ok(stats) => Said::of(vb, &stats),
        Err(error) if error.status() == Some(Status::NOT_MY_VBUCKET) => Said::HasNone,
        Err(error) => {
            *client = Err(error);
            Said::Nothing
        }
    }
}
