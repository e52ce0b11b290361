//! Writes to a node at a low rate until stopped, so that there is something to replicate after the
//! first copy.

use std::time::Duration;

use logline::value;
use mcbp::kv::StoreExtras;
use mcbp::{Datatype, Feature, FrameBuilder, Opcode, Status};
use relay::{Client, Deadlines, Endpoint, LinkError, Login};
use tokio_util::sync::CancellationToken;

use crate::sample;

/// Ten writes a second.
const PAUSE: Duration = Duration::from_millis(100);
/// The pause after a lost connection.
const RECONNECT: Duration = Duration::from_secs(1);
/// The number of keys, which are written in turn.
const KEYS: u64 = 100;
/// Every so many writes, one is a deletion.
const DELETE_EVERY: u64 = 10;

/// Writes until `stop` is cancelled. Returns how many writes were acknowledged.
pub async fn trickle(
    endpoint: Endpoint,
    bucket: String,
    vbuckets: u16,
    stop: CancellationToken,
) -> u64 {
    let mut acknowledged = 0;
    while !stop.is_cancelled() {
        if let Err(error) = write(&endpoint, &bucket, vbuckets, &mut acknowledged, &stop).await {
            log::warn!(
                "sample writes failed, reconnecting error={} retry_ms={}",
                value(&error),
                RECONNECT.as_millis()
            );
            pause(RECONNECT, &stop).await;
        }
    }
    acknowledged
}

async fn write(
    endpoint: &Endpoint,
    bucket: &str,
    vbuckets: u16,
    acknowledged: &mut u64,
    stop: &CancellationToken,
) -> Result<(), LinkError> {
    let login = Login {
        bucket: Some(bucket),
        agent: "dcp-proxy/trickle",
        features: &[Feature::JSON],
        deadlines: Deadlines::default(),
    };
    let mut client = Client::connect(endpoint, login).await?;
    let extras = StoreExtras::default().encode();
    while !stop.is_cancelled() {
        let number = *acknowledged;
        let key = format!("trickle-{:02}", number % KEYS);
        let vb = sample::vbucket_of(key.as_bytes(), vbuckets);
        let value = format!("{{\"write\":{number}}}");
        let answer = if number % DELETE_EVERY == DELETE_EVERY - 1 {
            client.ask(FrameBuilder::request(Opcode::DELETE).vbucket(vb).key(key.as_bytes())).await
        } else {
            let set = FrameBuilder::request(Opcode::SET).vbucket(vb).datatype(Datatype::JSON);
            client.ask(set.extras(&extras).key(key.as_bytes()).value(value.as_bytes())).await
        };
        match answer {
            Ok(_) => *acknowledged += 1,
            // An earlier run deleted it.
            Err(error) if error.status() == Some(Status::KEY_ENOENT) => *acknowledged += 1,
            Err(error) => return Err(error),
        }
        pause(PAUSE, stop).await;
    }
    Ok(())
}

async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}
