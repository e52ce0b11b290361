//! Waits until the consumer has all changes of its producers, and shows the progress.

use std::time::{Duration, Instant};

use dcp_actors::{BucketStatus, ReplicationHandle};
use indicatif::HumanCount;
use relay::LinkError;
use tokio_util::sync::CancellationToken;

use crate::load::rate;
use crate::screen::Bar;
use crate::watch::{Position, Watch};

/// How often both nodes are asked for their seqnos.
const TICK: Duration = Duration::from_millis(200);
/// How many different errors of streams are listed.
const REASONS_MAX: usize = 5;

/// The result of the wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaughtUp {
    /// Why the wait ended.
    pub end: End,
    /// The progress of replication at the start of the wait.
    pub before: Position,
    /// The progress at its end.
    pub after: Position,
    /// Links and streams at its end.
    pub links: Links,
    /// How long it took.
    pub elapsed: Duration,
    /// After how long without progress the wait is given up.
    pub idle: Duration,
}

/// Why the wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The consumer has all changes.
    Complete,
    /// There was no progress for too long.
    Stalled,
    /// A stop was requested.
    Stopped,
}

/// A summary of all links.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Links {
    /// Streams that should be open.
    pub wanted: usize,
    /// Streams that are open.
    pub open: usize,
    /// Bytes from producers to the consumer.
    pub bytes: u64,
    /// The first few different errors of streams that are not open.
    pub reasons: Vec<String>,
}

impl Links {
    /// Sums up the status of all buckets.
    #[must_use]
    pub fn of(buckets: &[BucketStatus]) -> Self {
        let mut links = Self::default();
        for link in buckets.iter().flat_map(|bucket| &bucket.links) {
            links.wanted += link.wanted;
            links.open += link.open;
            links.bytes += link.bytes;
            let of_streams = link.streams.iter().filter_map(|stream| {
                let (vb, reason) = (stream.vbucket, stream.last_error.as_ref()?.to_string());
                let is_named = reason.starts_with("vb:");
                Some(if is_named { reason } else { format!("vb:{vb}: {reason}") })
            });
            let of_link = link.last_error.iter().map(ToString::to_string);
            for reason in of_link.chain(of_streams) {
                if links.reasons.len() < REASONS_MAX && !links.reasons.contains(&reason) {
                    links.reasons.push(reason);
                }
            }
        }
        links
    }
}

/// Waits until every stream is open and both nodes have the same seqnos, until there was no
/// progress for `idle`, or until `stop` is cancelled. `before` is the progress at the start, where
/// that is known; the bar begins there.
///
/// # Errors
/// A [`LinkError`] where a node does not answer for `idle`.
pub async fn catch_up(
    watch: &mut Watch,
    replication: &ReplicationHandle,
    mut before: Option<Position>,
    idle: Duration,
    bar: &mut Bar,
    stop: &CancellationToken,
) -> Result<CaughtUp, LinkError> {
    let (started, mut moved, mut last) = (Instant::now(), Instant::now(), None);
    loop {
        let links = Links::of(&replication.status().await);
        let may_wait = !stop.is_cancelled() && moved.elapsed() <= idle;
        let after = match watch.position().await {
            Ok(position) => position,
            // A node that restarts does not answer for a while.
            Err(_) if may_wait => {
                tokio::time::sleep(TICK).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let before = *before.get_or_insert(after);
        let elapsed = started.elapsed();
        bar.set_total(after.total.saturating_sub(before.done()));
        bar.set(after.done().saturating_sub(before.done()), words(&links, elapsed));
        // Bytes are no progress: idle links exchange NOOP frames.
        let now = (after, links.open);
        if last != Some(now) {
            (moved, last) = (Instant::now(), Some(now));
        }
        // Right after the start, a bucket may not have heard of its streams yet.
        let all_open = links.open == links.wanted && links.wanted >= watch.vbuckets();
        let end = match may_wait {
            _ if all_open && after.unequal == 0 => Some(End::Complete),
            true => None,
            false if stop.is_cancelled() => Some(End::Stopped),
            false => Some(End::Stalled),
        };
        if let Some(end) = end {
            return Ok(CaughtUp { end, before, after, links, elapsed, idle });
        }
        tokio::time::sleep(TICK).await;
    }
}

fn words(links: &Links, elapsed: Duration) -> String {
    let (open, wanted) = (HumanCount(links.open as u64), HumanCount(links.wanted as u64));
    format!("{open} of {wanted} streams open, {}", rate(links.bytes, elapsed))
}
