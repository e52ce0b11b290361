//! A sidecar of two producers at full size, under load, one of which freezes: the first line names
//! it, and the grid shows its half. The picture in the README is made here.

use std::path::Path;
use std::time::Instant;

use relay::Endpoint;
use tokio::task::JoinSet;

use super::common::{Config, DataNode, Sidecar};
use super::script::{Script, Tools};

/// Clients of each producer.
const WRITERS: usize = 8;
/// The sizes of documents go up and down with this period, so that the plots show something.
const PERIOD_S: f64 = 40.0;

fn config(beta: &Endpoint, producers: &[(&Endpoint, &str)]) -> Config {
    let (first, vbuckets) = producers[0];
    let text = Config::new(beta, first, vbuckets);
    let (second, others) = producers[1];
    let Endpoint { name, address, username, password, .. } = second;
    let password = password.expose();
    let more = format!(
        "[[producer]]\nname = {name:?}\naddress = {address:?}\nusername = {username:?}\n\
         password = {password:?}\n[[bucket]]"
    );
    let map = format!("replicate = {{ {} = \"{vbuckets}\"", first.name);
    let both = format!("{map}, {name} = \"{others}\"");
    Config::text(text.as_str().replace("[[bucket]]", &more).replace(&map, &both))
        .limits("stall_ms = 3000\nlag_interval_ms = 500")
}

/// Writes documents to a node until it is dropped, or the node takes no more.
async fn write(node: &DataNode, writers: &mut JoinSet<()>) {
    let began = Instant::now();
    for writer in 0..WRITERS {
        let mut documents = node.documents().await;
        let name = node.name.clone();
        writers.spawn(async move {
            for number in 0_u64.. {
                let phase = began.elapsed().as_secs_f64() / PERIOD_S * std::f64::consts::TAU;
                let wave = if name == "alpha" { phase.sin() } else { phase.cos() };
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 300 and 3,300"
                )]
                let value = "x".repeat((1_800.0 + 1_500.0 * wave) as usize);
                let key = format!("{writer}-{}", number % 5_000);
                if documents.try_set(&key, &value).await.is_err() {
                    break;
                }
            }
        });
    }
}

#[tokio::test]
async fn one_of_two_producers_freezes_under_load() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = |name, state| DataNode::start(folder.path(), name, state, 1024);
    let (alpha, gamma, beta) =
        tokio::join!(start("alpha", "active"), start("gamma", "active"), start("beta", "replica"));
    let halves = [(&alpha.endpoint(), "0-511"), (&gamma.endpoint(), "512-1023")];
    let sidecar = Sidecar::start(folder.path(), &config(&beta.endpoint(), &halves));
    let url = sidecar.dashboard().await;
    let picture = std::env::var("DASHBOARD_PICTURE").unwrap_or_default();
    let picture = match picture.as_str() {
        "" => String::new(),
        file => Path::new(env!("CARGO_MANIFEST_DIR")).join(file).to_str().unwrap().to_owned(),
    };
    let mut writers = JoinSet::new();
    let script = Script::start(&tools, "scene", &[&url, &picture]).await;
    script
        .play(async |wish| match wish.words()[..] {
            ["write"] => {
                write(&alpha, &mut writers).await;
                write(&gamma, &mut writers).await;
            }
            ["freeze"] => gamma.process.signal("STOP"),
            ["thaw"] => gamma.process.signal("CONT"),
            ref other => panic!("{other:?}"),
        })
        .await;
    writers.abort_all();
}
