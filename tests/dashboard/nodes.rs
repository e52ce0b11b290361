//! Data nodes that are healthy, frozen, gone or rolled back: the first line of the page names what
//! is wrong, and is calm again once it is mended.

use mcbp::{VbId, VbState};
use tempfile::TempDir;

use super::common::{Cluster, Config, DataNode, Sidecar, nodes, until};
use super::script::{Script, Tools};

/// Silence is said after three seconds; what fails is tried again soon.
const LIMITS: &str = "stall_ms = 3000\nlag_interval_ms = 200";

impl Sidecar {
    /// The address of the page, with the token.
    pub(crate) async fn dashboard(&self) -> String {
        let mut printed = self.ask(&["dashboard"]).await;
        assert_eq!(printed.exit_code().await, 0, "{}", printed.log());
        let out = printed.out();
        let url = out.split_whitespace().find(|word| word.starts_with("http://"));
        url.expect("an address").to_owned()
    }
}

/// A running pair and its sidecar.
async fn watched() -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    watching(folder, alpha, beta)
}

fn watching(folder: TempDir, alpha: DataNode, beta: DataNode) -> Cluster {
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7").limits(LIMITS);
    let sidecar = Sidecar::start(folder.path(), &config);
    Cluster { alpha, beta, sidecar, folder }
}

#[tokio::test]
async fn a_healthy_pair_is_calm_on_every_screen() {
    let Some(tools) = Tools::find() else { return };
    let cluster = Cluster::with(64).await;
    cluster.fill().await;
    let url = cluster.sidecar.dashboard().await;
    Script::start(&tools, "healthy", &[&url]).await.play(async |_| {}).await;
}

#[tokio::test]
async fn nothing_changes_without_token_and_confirmation() {
    let Some(tools) = Tools::find() else { return };
    let cluster = Cluster::with(64).await;
    let url = cluster.sidecar.dashboard().await;
    Script::start(&tools, "actions", &[&url]).await.play(async |_| {}).await;
    assert_eq!(cluster.beta.state(VbId(5)).await, VbState::Active, "it was taken over");
    assert_eq!(cluster.alpha.state(VbId(5)).await, VbState::Dead);
}

#[tokio::test]
async fn names_are_no_markup_and_a_thousand_changes_a_second_are_no_burden() {
    let Some(tools) = Tools::find() else { return };
    let cluster = Cluster::start().await;
    let url = cluster.sidecar.dashboard().await;
    Script::start(&tools, "hostile", &[&url]).await.play(async |_| {}).await;
}

#[tokio::test]
async fn a_frozen_producer_and_a_frozen_consumer_are_named_first() {
    let Some(tools) = Tools::find() else { return };
    for (frozen, name) in [("alpha", "frozen-producer"), ("beta", "frozen-consumer")] {
        let cluster = watched().await;
        let node = if frozen == "alpha" { &cluster.alpha } else { &cluster.beta };
        let url = cluster.sidecar.dashboard().await;
        let script = Script::start(&tools, "broken", &[&url, name, "error", frozen]).await;
        script
            .play(async |wish| match wish.words()[..] {
                ["break"] => node.process.signal("STOP"),
                ["mend"] => node.process.signal("CONT"),
                ref other => panic!("{other:?}"),
            })
            .await;
    }
}

/// A browser has six connections to one address: actions that wait and tabs that look use them up.
#[tokio::test]
async fn many_waiting_actions_and_many_tabs_are_no_silence_of_the_sidecar() {
    let Some(tools) = Tools::find() else { return };
    let cluster = watched().await;
    let url = cluster.sidecar.dashboard().await;
    let script = Script::start(&tools, "crowd", &[&url]).await;
    script
        .play(async |wish| match wish.words()[..] {
            ["freeze"] => cluster.alpha.process.signal("STOP"),
            ["thaw"] => cluster.alpha.process.signal("CONT"),
            ref other => panic!("{other:?}"),
        })
        .await;
}

#[tokio::test]
async fn a_producer_that_is_gone_is_named_first() {
    let Some(tools) = Tools::find() else { return };
    let mut cluster = watched().await;
    let url = cluster.sidecar.dashboard().await;
    let script = Script::start(&tools, "broken", &[&url, "gone", "error", "alpha"]).await;
    script
        .play(async |wish| match wish.words()[..] {
            ["break"] => cluster.alpha.process.kill_9(),
            ["mend"] => cluster.alpha.restart().await,
            ref other => panic!("{other:?}"),
        })
        .await;
}

/// Writes to a replica that its producer never had: the copy has to be rolled back.
async fn diverge(beta: &DataNode, state: VbState) {
    let mut client = beta.client().await;
    for vb in 0..beta.vbuckets {
        client.set_vbucket(VbId(vb), state).await.unwrap();
    }
}

/// The copies are active here, with writes of their own, while the sidecar wants them as replicas;
/// once they are replicas again they are rolled back, which the events tell.
#[tokio::test]
async fn copies_that_are_active_here_are_named_and_then_rolled_back() {
    let Some(tools) = Tools::find() else { return };
    let cluster = watched().await;
    let mut documents = cluster.alpha.documents().await;
    for number in 0..50 {
        documents.set(&format!("key-{number}"), "value").await;
    }
    cluster.converge().await;
    let url = cluster.sidecar.dashboard().await;
    let script = Script::start(&tools, "broken", &[&url, "diverged", "*", "8 vBuckets"]).await;
    script
        .play(async |wish| match wish.words()[..] {
            ["break"] => {
                diverge(&cluster.beta, VbState::Active).await;
                let mut replica = cluster.beta.documents().await;
                for number in 0..50 {
                    replica.set(&format!("key-{number}"), "of nobody else").await;
                }
            }
            ["mend"] => {
                diverge(&cluster.beta, VbState::Replica).await;
                let log = &cluster.sidecar.process;
                until("a rollback", async || log.logged(&["roll"]).map(drop)).await;
            }
            ref other => panic!("{other:?}"),
        })
        .await;
    cluster.converge().await;
}
