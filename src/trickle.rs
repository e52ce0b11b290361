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
/// A deletion hits the key that was written so many steps before it.
const DELETES_BACK: u64 = 5;

/// How far the writes are.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The number of the next write.
    step: u64,
    /// How many were acknowledged.
    acknowledged: u64,
}

/// The key of this step, and whether it is deleted instead of written.
fn step(number: u64) -> (String, bool) {
    let is_deletion = number % DELETE_EVERY == DELETE_EVERY - 1;
    let of = if is_deletion { number - DELETES_BACK } else { number };
    (format!("trickle-{:02}", of % KEYS), is_deletion)
}

/// Writes until `stop` is cancelled. Returns how many writes were acknowledged.
pub async fn trickle(
    endpoint: Endpoint,
    bucket: String,
    vbuckets: u16,
    stop: CancellationToken,
) -> u64 {
    let mut progress = Progress::default();
    while !stop.is_cancelled() {
        if let Err(error) = write(&endpoint, &bucket, vbuckets, &mut progress, &stop).await {
            log::warn!(
                "sample writes failed, reconnecting error={} retry_ms={}",
                value(&error),
                RECONNECT.as_millis()
            );
            pause(RECONNECT, &stop).await;
        }
    }
    progress.acknowledged
}

async fn write(
    endpoint: &Endpoint,
    bucket: &str,
    vbuckets: u16,
    progress: &mut Progress,
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
        let number = progress.step;
        let (key, is_deletion) = step(number);
        let vb = sample::vbucket_of(key.as_bytes(), vbuckets);
        let value = format!("{{\"write\":{number}}}");
        let answer = if is_deletion {
            client.ask(FrameBuilder::request(Opcode::DELETE).vbucket(vb).key(key.as_bytes())).await
        } else {
            let set = FrameBuilder::request(Opcode::SET).vbucket(vb).datatype(Datatype::JSON);
            client.ask(set.extras(&extras).key(key.as_bytes()).value(value.as_bytes())).await
        };
        match answer {
            Ok(_) => progress.acknowledged += 1,
            // Deleted by the same step, whose answer was lost with its connection.
            Err(error) if is_deletion && error.status() == Some(Status::KEY_ENOENT) => {}
            Err(error) => return Err(error),
        }
        progress.step += 1;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_deletion_hits_a_key_that_is_there() {
        let (mut there, mut deletions) = (BTreeSet::new(), 0);
        for number in 0..3 * KEYS {
            let (key, is_deletion) = step(number);
            if is_deletion {
                assert!(there.remove(&key), "step {number} deletes {key}, which is not there");
                deletions += 1;
            } else {
                there.insert(key);
            }
        }
        assert_eq!(deletions, 3 * KEYS / DELETE_EVERY);
    }
}
