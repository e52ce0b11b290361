//! The sidecar is killed between any two writes of its state: no acknowledged change is lost, and
//! no file is half written. `STATE_KILL_ROUNDS` sets how often.

use std::net::TcpListener;

use relay::{Endpoint, Secret};
use serde_json::json;

use crate::api::Api;
use crate::common::{Config, Sidecar};

const ROUNDS: u64 = 24;
const CONNECTIONS: &str = "/api/v1/buckets/default/connections";
/// The places between the writes, in their order.
const PLACES: [&str; 4] = ["state-opened", "state-written", "state-synced", "state-renamed"];

/// A node that nobody listens for, so that changes are answered soon: with 502, and in force.
fn gone(name: &str) -> Endpoint {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Endpoint::new(name, port.to_string(), "dcp-proxy", Secret::new("secret"))
}

#[tokio::test]
async fn no_acknowledged_change_is_lost_between_any_two_writes() {
    let rounds = std::env::var("STATE_KILL_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(&gone("beta"), &gone("alpha"), "0-7");
    std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
    let mut acknowledged = 1;
    for round in 0..rounds {
        let place = PLACES[(round % 4) as usize];
        let killed_at = format!("{place}={}", 1 + round / 4 % 5);
        let mut sidecar = Sidecar::start_with(folder.path(), &[(failpoint::VARIABLE, &killed_at)]);
        let api = Api::of(&sidecar).await;
        let found = api.in_force().await["connections"].as_u64().unwrap();
        // One that was on its way when the process was killed may be there or not.
        let next = 1 + acknowledged % 60;
        assert!([acknowledged, next].contains(&found), "round {round}: {found}, {acknowledged}");
        acknowledged = found;
        loop {
            let body = json!({ "connections": 1 + acknowledged % 60 });
            match api.try_ask("PUT", CONNECTIONS, body, None).await {
                Some((200 | 502, _)) => acknowledged = 1 + acknowledged % 60,
                // Replication has not started yet.
                Some((503, _)) => {}
                Some(other) => panic!("{other:?}"),
                None => break,
            }
        }
        assert_ne!(sidecar.process.exit_code().await, 0, "the failpoint has ended it");
    }
}
