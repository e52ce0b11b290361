//! Takeovers under write load, with and without kill -9 of each process at each step: never two
//! active copies, no acknowledged write lost, every command is answered. After any kill, repeating
//! the takeover completes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{Cluster, Process, States, Writers, all_taken_over, same_documents};
use mcbp::{VbId, VbState};

/// How often an interrupted takeover is repeated: a link may have to wait for a node first.
const ATTEMPTS: usize = 20;

/// The step of a takeover at which a process is killed.
#[derive(Clone, Copy)]
enum Moment {
    Asked,
    Pending,
    Dead,
    Active,
}

/// One for each vBucket that is taken over; twice for the two steps at which no node serves it.
const MOMENTS: [Moment; 6] =
    [Moment::Asked, Moment::Pending, Moment::Dead, Moment::Active, Moment::Pending, Moment::Dead];

impl Moment {
    /// Whether it is reached, by the states on producer and consumer.
    fn is_now(self, producer: Option<VbState>, consumer: Option<VbState>) -> bool {
        match self {
            Self::Asked => true,
            Self::Pending => matches!(consumer, Some(VbState::Pending | VbState::Active)),
            Self::Dead => producer == Some(VbState::Dead),
            Self::Active => consumer == Some(VbState::Active),
        }
    }
}

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

/// Asks the sidecar to take a vBucket over.
async fn ask(cluster: &Cluster, vb: VbId) -> Process {
    cluster.sidecar.ask(&["takeover", "default", &vb.0.to_string(), "--from", "alpha"]).await
}

/// Asks for a whole set with one request.
async fn ask_for_set(cluster: &Cluster, set: &str) -> Process {
    cluster.sidecar.ask(&["takeover", "default", set, "--from", "alpha"]).await
}

/// The same, and returns whether it succeeded.
async fn takeover(cluster: &Cluster, vb: VbId) -> bool {
    ask(cluster, vb).await.exit_code().await == 0
}

/// The same, with a kill at that step. It may succeed or fail, but must be answered, with success
/// or the reason.
async fn disturbed(cluster: &mut Cluster, states: &mut States, vb: VbId, at: Moment, who: Victim) {
    let mut command = ask(cluster, vb).await;
    states.until(vb, |producer, consumer| at.is_now(producer, consumer)).await;
    who.kill(cluster);
    who.restart(cluster).await;
    let code = command.exit_code().await;
    assert!(code == 0 || code == 1 && !command.log().is_empty(), "exit code {code}");
}

async fn takeovers(victim: Option<Victim>) {
    let mut cluster = Cluster::start().await;
    cluster.fill().await;
    let mut states = States::start(&cluster.alpha, &cluster.beta);
    let writers = Writers::start(&[&cluster.alpha, &cluster.beta]);
    for (vb, moment) in (0..).map(VbId).zip(MOMENTS) {
        writers.acknowledge(50).await;
        let attempts = if let Some(victim) = victim {
            disturbed(&mut cluster, &mut states, vb, moment, victim).await;
            ATTEMPTS
        } else {
            1
        };
        let mut is_done = false;
        for _ in 0..attempts {
            is_done = is_done || takeover(&cluster, vb).await;
        }
        assert!(is_done, "{vb} was not taken over");
        assert!(takeover(&cluster, vb).await, "{vb} is ours already");
        let are = (cluster.alpha.state(vb).await, cluster.beta.state(vb).await);
        assert_eq!(are, (VbState::Dead, VbState::Active), "{vb}");
    }
    states.stop().await;
    writers.acknowledge(50).await;
    writers.stop(&[&cluster.beta, &cluster.alpha]).await;
    assert!(cluster.sidecar.process.is_running());
    // vBuckets that were taken over are complete, including deletions; others are still replicated.
    let (alpha, beta) = (cluster.alpha.endpoint(), cluster.beta.endpoint());
    let vbs = (0..cluster.alpha.vbuckets).map(VbId);
    let (taken, rest): (Vec<_>, Vec<_>) = vbs.partition(|vb| usize::from(vb.0) < MOMENTS.len());
    all_taken_over(&alpha, &beta, taken).await;
    same_documents(&alpha, &beta, rest).await;
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

/// Takes over a set that is larger than the queue of other commands, under load.
#[tokio::test]
async fn a_set_of_sixty_four_is_taken_over_under_load() {
    let cluster = Cluster::with(72).await;
    cluster.fill().await;
    let states = States::start(&cluster.alpha, &cluster.beta);
    let writers = Writers::start(&[&cluster.alpha, &cluster.beta]);
    writers.acknowledge(300).await;
    let mut command = ask_for_set(&cluster, "0-63").await;
    assert_eq!(command.exit_code().await, 0, "{}", command.log());
    states.stop().await;
    writers.acknowledge(100).await;
    writers.stop(&[&cluster.beta, &cluster.alpha]).await;
    let (alpha, beta) = (cluster.alpha.endpoint(), cluster.beta.endpoint());
    all_taken_over(&alpha, &beta, (0..64).map(VbId)).await;
    same_documents(&alpha, &beta, (64..72).map(VbId)).await;
}

/// Kills a process in the middle of a set, and repeats the set until all of it is active here.
async fn a_set_survives(victim: Victim) {
    let mut cluster = Cluster::start().await;
    cluster.fill().await;
    let mut states = States::start(&cluster.alpha, &cluster.beta);
    let writers = Writers::start(&[&cluster.alpha, &cluster.beta]);
    writers.acknowledge(100).await;
    let mut command = ask_for_set(&cluster, "0-5").await;
    let at = Moment::Pending;
    states.until(VbId(2), |producer, consumer| at.is_now(producer, consumer)).await;
    victim.kill(&mut cluster);
    victim.restart(&mut cluster).await;
    let code = command.exit_code().await;
    assert!(code == 0 || code == 1 && !command.log().is_empty(), "exit code {code}");
    let mut is_done = false;
    for _ in 0..ATTEMPTS {
        is_done = is_done || ask_for_set(&cluster, "0-5").await.exit_code().await == 0;
    }
    assert!(is_done, "the set was not taken over");
    states.stop().await;
    writers.acknowledge(50).await;
    writers.stop(&[&cluster.beta, &cluster.alpha]).await;
    let (alpha, beta) = (cluster.alpha.endpoint(), cluster.beta.endpoint());
    all_taken_over(&alpha, &beta, (0..6).map(VbId)).await;
    same_documents(&alpha, &beta, [6, 7].map(VbId)).await;
}

#[tokio::test]
async fn a_set_survives_the_death_of_the_producer() {
    a_set_survives(Victim::Producer).await;
}

#[tokio::test]
async fn a_set_survives_the_death_of_the_consumer() {
    a_set_survives(Victim::Consumer).await;
}

#[tokio::test]
async fn a_set_survives_the_death_of_the_sidecar() {
    a_set_survives(Victim::Sidecar).await;
}
