//! Waits until the consumer has everything that its producers have, and shows how far it is.

use std::time::{Duration, Instant};

use dcp_actors::{BucketStatus, ReplicationHandle};
use indicatif::HumanCount;
use relay::LinkError;
use tokio_util::sync::CancellationToken;

use crate::load::rate;
use crate::screen::Bar;
use crate::watch::{Position, Watch};

/// How often both ends are asked.
const TICK: Duration = Duration::from_millis(200);
/// How many reasons are given for streams that are not open.
const REASONS_MAX: usize = 5;

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaughtUp {
    /// Why it is over.
    pub end: End,
    /// Where replication stood when it began.
    pub before: Position,
    /// Where it stands now.
    pub after: Position,
    /// Links and streams now.
    pub links: Links,
    /// How long it took.
    pub elapsed: Duration,
    /// How long nothing may move until the wait is given up.
    pub idle: Duration,
}

/// Why the wait is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The consumer has everything.
    Complete,
    /// Nothing moved for too long.
    Stalled,
    /// It was told to stop.
    Stopped,
}

/// All links together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Links {
    /// Streams that should be open.
    pub wanted: usize,
    /// Streams that are open.
    pub open: usize,
    /// Bytes from producers to the consumer.
    pub bytes: u64,
    /// Why streams are not open, each reason once, the first few.
    pub reasons: Vec<String>,
}

impl Links {
    /// Sums up what replication says of itself.
    #[must_use]
    pub fn of(buckets: &[BucketStatus]) -> Self {
        let mut links = Self::default();
        for link in buckets.iter().flat_map(|bucket| &bucket.links) {
            links.wanted += link.wanted;
            links.open += link.open;
            links.bytes += link.bytes;
            let of_streams = link.streams.iter().filter_map(|stream| stream.last_error.as_ref());
            for reason in link.last_error.iter().chain(of_streams) {
                let reason = reason.to_string();
                if links.reasons.len() < REASONS_MAX && !links.reasons.contains(&reason) {
                    links.reasons.push(reason);
                }
            }
        }
        links
    }
}

/// Waits until every stream is open and both ends have the same seqnos, until nothing has moved
/// for `idle`, or until it is told to stop.
///
/// # Errors
/// A [`LinkError`] where a node does not answer for `idle`.
pub async fn catch_up(
    watch: &mut Watch,
    replication: &ReplicationHandle,
    idle: Duration,
    bar: &mut Bar,
    stop: &CancellationToken,
) -> Result<CaughtUp, LinkError> {
    let (started, mut before, mut moved, mut last) = (Instant::now(), None, Instant::now(), None);
    loop {
        let links = Links::of(&replication.status().await);
        let may_wait = !stop.is_cancelled() && moved.elapsed() <= idle;
        let after = match watch.position().await {
            Ok(position) => position,
            // A node that restarts is not there for a moment.
            Err(_) if may_wait => {
                tokio::time::sleep(TICK).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let before = *before.get_or_insert(after);
        let elapsed = started.elapsed();
        bar.set_total(after.total);
        bar.set(after.done(), words(&links, elapsed));
        // Not the bytes: idle links exchange NOOP.
        let now = (after, links.open);
        if last != Some(now) {
            (moved, last) = (Instant::now(), Some(now));
        }
        let all_open = links.wanted > 0 && links.open == links.wanted;
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
