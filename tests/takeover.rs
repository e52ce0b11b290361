//! Takeovers under write load, undisturbed and with kill -9 of each process at many moments: never
//! two active copies, no acknowledged write lost, no command without an end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{Cluster, Writers, until};
use mcbp::{VbId, VbState};

/// vBuckets that are taken over, each with a kill at a later moment than the one before.
const TAKEOVERS: u16 = 5;
/// How many looks at the states that moment is later.
const LOOKS: u16 = 2;
/// How often one that was cut off is tried again.
const ATTEMPTS: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Producer,
    Consumer,
    Sidecar,
}

impl Victim {
    fn kill(self, cluster: &mut Cluster) {
        match self {
            Self::Producer => cluster.alpha.process.kill_9(),
            Self::Consumer => cluster.beta.process.kill_9(),
            Self::Sidecar => cluster.sidecar.process.kill_9(),
        }
    }

    async fn restart(self, cluster: &mut Cluster) {
        match self {
            Self::Producer => cluster.alpha.restart().await,
            Self::Consumer => cluster.beta.restart().await,
            Self::Sidecar => cluster.sidecar.restart(),
        }
    }
}

/// The states on both nodes, which must never both be active. The consumer is asked first: once it
/// is active, the producer is not any more.
async fn states(cluster: &Cluster, vb: VbId) -> (VbState, VbState) {
    let consumer = cluster.beta.state(vb).await;
    let producer = cluster.alpha.state(vb).await;
    assert_ne!((producer, consumer), (VbState::Active, VbState::Active), "{vb}");
    (producer, consumer)
}

/// Asks the sidecar to take a vBucket over, and says whether it did.
async fn takeover(cluster: &mut Cluster, vb: VbId, victim: Option<Victim>) -> bool {
    let number = vb.0.to_string();
    let mut command =
        cluster.sidecar.ask(&["takeover", "default", &number, "--from", "alpha"]).await;
    if let Some(victim) = victim {
        for _ in 0..vb.0 * LOOKS {
            states(cluster, vb).await;
        }
        victim.kill(cluster);
        victim.restart(cluster).await;
    }
    command.exit_code().await == 0
}

/// Does what a control plane does after a takeover that was cut off, until the consumer has it.
async fn finish(cluster: &mut Cluster, vb: VbId) {
    for _ in 0..ATTEMPTS {
        if states(cluster, vb).await.1 == VbState::Active {
            return;
        }
        // A new attempt comes after whatever was still on its way in the one before.
        let is_done = takeover(cluster, vb, None).await;
        if !is_done
            && let (VbState::Dead, VbState::Pending | VbState::Replica) = states(cluster, vb).await
        {
            // What was acknowledged just before it died was not sent yet: nobody else has it.
            cluster.alpha.client().await.set_vbucket(vb, VbState::Active).await.unwrap();
        }
    }
    panic!("{vb} was not taken over");
}

async fn takeovers(victim: Option<Victim>) {
    let mut cluster = Cluster::start().await;
    let writers = Writers::start(&[&cluster.alpha, &cluster.beta]);
    for vb in (0..TAKEOVERS).map(VbId) {
        writers.acknowledge(50).await;
        let is_done = takeover(&mut cluster, vb, victim).await;
        assert!(is_done || victim.is_some(), "{vb}");
        if is_done {
            let are = states(&cluster, vb).await;
            assert_eq!(are, (VbState::Dead, VbState::Active), "{vb}");
        }
        finish(&mut cluster, vb).await;
    }
    writers.acknowledge(50).await;
    writers.stop(&[&cluster.beta, &cluster.alpha]).await;
    assert!(cluster.sidecar.process.is_running());
    // What was not taken over is still replicated.
    let (mut alpha, mut beta) = (cluster.alpha.client().await, cluster.beta.client().await);
    until("the rest is replicated", async || {
        let mut left = alpha.get_all_vb_seqnos().await.unwrap();
        let mut right = beta.get_all_vb_seqnos().await.unwrap();
        for seqnos in [&mut left, &mut right] {
            seqnos.retain(|(vb, _)| vb.0 >= TAKEOVERS);
        }
        assert_eq!(left.len(), usize::from(cluster.alpha.vbuckets - TAKEOVERS));
        (left == right).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_takeover_moves_a_vbucket_under_load() {
    takeovers(None).await;
}

#[tokio::test]
async fn a_takeover_survives_the_death_of_the_producer() {
    takeovers(Some(Victim::Producer)).await;
}

#[tokio::test]
async fn a_takeover_survives_the_death_of_the_consumer() {
    takeovers(Some(Victim::Consumer)).await;
}

#[tokio::test]
async fn a_takeover_survives_the_death_of_the_sidecar() {
    takeovers(Some(Victim::Sidecar)).await;
}
