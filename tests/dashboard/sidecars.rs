//! Sidecars that are frozen, gone, started again, or closed to whoever has no token.

use std::net::TcpListener;

use super::common::{Config, Sidecar, nodes};
use super::script::{Script, Tools};

/// A configuration whose admin API is at a port that stays over restarts, with these lines too.
fn at_fixed_port(config: &Config, lines: &str) -> Config {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listen = "listen = \"127.0.0.1:0\"";
    assert!(config.as_str().contains(listen));
    Config::text(config.as_str().replace(listen, &format!("listen = \"{free}\"\n{lines}")))
}

#[tokio::test]
async fn a_sidecar_that_is_frozen_gone_or_new_is_said_within_three_seconds() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7");
    let mut sidecar = Sidecar::start(folder.path(), &at_fixed_port(&config, ""));
    let url = sidecar.dashboard().await;
    let script = Script::start(&tools, "silent", &[&url]).await;
    script
        .play(async |wish| match wish.words()[..] {
            ["KILL"] => sidecar.process.kill_9(),
            ["start"] => sidecar.restart(),
            [signal] => sidecar.process.signal(signal),
            ref other => panic!("{other:?}"),
        })
        .await;
}

#[tokio::test]
async fn a_configured_token_is_asked_for_before_anything_is_shown() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7");
    let config = at_fixed_port(&config, "token = \"a configured token of sixteen or more\"");
    let sidecar = Sidecar::start(folder.path(), &config);
    sidecar.process.logs(&["admin API listens"]).await;
    let url = sidecar.dashboard().await;
    Script::start(&tools, "locked", &[&url]).await.play(async |_| {}).await;
}
