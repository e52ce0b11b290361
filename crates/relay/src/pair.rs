//! The two directions of a link, run side by side, and who is heard after one of them has ended.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use crate::hear_out::HEAR_OUT;
use crate::{Fault, LinkError};

/// How long the other direction may continue after a failed write: what the lost peer sent is in
/// our socket already and only needs to be written to the remaining peer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the two directions of a link until either ends; the other is dropped, which closes both
/// connections.
///
/// `up` is the direction from the consumer to the producer.
///
/// If a write failed, the lost peer may have sent its reason before: the direction that reads this
/// peer delivers that first, and its error is returned. If the producer is lost, the consumer is
/// heard out: it sees the end of the stream, answers for what it received, and closes.
pub async fn run_pair(
    up: impl Future<Output = LinkError>,
    down: impl Future<Output = LinkError>,
) -> LinkError {
    let (mut up, mut down) = (pin!(up), pin!(down));
    tokio::select! {
        error = &mut up => last_words(error, down).await,
        error = &mut down => match error.fault {
            Fault::WriteFailed { .. } => last_words(error, up).await,
            _ => {
                // Its frames are judged in the meantime; its error is a consequence of this one.
                _ = timeout(HEAR_OUT, up).await;
                error
            }
        },
    }
}

async fn last_words(error: LinkError, rest: impl Future<Output = LinkError>) -> LinkError {
    match error.fault {
        Fault::WriteFailed { .. } => timeout(LAST_WORDS, rest).await.unwrap_or(error),
        _ => error,
    }
}
