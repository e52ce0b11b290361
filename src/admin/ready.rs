//! Decides whether replication is ready. Pure: statuses and the time in, reasons out.
//!
//! What is unknown does not count as healthy: a stream counts as served only while it is open and
//! both nodes of its link are heard.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dcp_actors::{
    BucketStatus, Cause, LinkPhase, LinkStatus, MovePhase, StreamPhase, StreamStatus,
};
use mcbp::{Side, VbId};

#[cfg(test)]
mod tests;

/// How many reasons are given; the first ones, of the most vBuckets, are enough to see what is
/// wrong.
const REASONS_MAX: usize = 5;
/// From this age on, a time of day says too little.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What must be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs<'a> {
    /// The buckets; each must have its manager.
    pub(super) buckets: &'a [String],
    /// The share of wanted streams that must be served, in percent.
    pub(super) percent: u8,
    /// The data node that this sidecar serves.
    pub(super) node: &'a str,
}

/// Returns why the sidecar is not ready at `now`; empty when it is.
pub(super) fn missing(needs: &Needs<'_>, buckets: &[BucketStatus], now: SystemTime) -> Vec<String> {
    let absent = needs.buckets.iter().filter(|name| !buckets.iter().any(|b| b.bucket == **name));
    let mut reasons: Vec<_> = absent.map(|name| format!("bucket {name} has no manager")).collect();
    let mut groups = Groups::default();
    let (mut wanted, mut served) = (0, 0);
    for bucket in buckets {
        let moving = being_moved(bucket);
        for link in &bucket.links {
            for stream in &link.streams {
                wanted += 1;
                match fault(needs, bucket, link, stream) {
                    Some(Fault::NotOpen(..)) if moving.contains(&stream.vbucket) => served += 1,
                    Some(fault) => groups.add(fault, bucket, link, stream),
                    None => served += 1,
                }
            }
        }
    }
    if reasons.is_empty() && served * 100 >= wanted * usize::from(needs.percent) {
        return reasons;
    }
    reasons.extend(groups.texts(needs, now));
    let more = reasons.len().saturating_sub(REASONS_MAX);
    reasons.truncate(REASONS_MAX);
    if more > 0 {
        reasons.push(format!("and {more} more reasons"));
    }
    reasons
}

/// The vBuckets whose streams a takeover opens and closes on purpose.
pub(super) fn being_moved(bucket: &BucketStatus) -> BTreeSet<u16> {
    let begun = bucket.moves.iter().filter(|moving| moving.phase != MovePhase::Queued);
    begun.map(|moving| moving.vbucket).collect()
}

/// Why a wanted stream is not served.
enum Fault {
    /// This node is heard on no connection, for so many milliseconds.
    Unresponsive { node: String, text: String, ms: Option<u64> },
    /// The stream is not open, because of an error at this node.
    NotOpen(Option<(String, String)>),
}

fn fault(
    needs: &Needs<'_>,
    bucket: &BucketStatus,
    link: &LinkStatus,
    stream: &StreamStatus,
) -> Option<Fault> {
    let silent = || unresponsive(needs, bucket, link);
    if link.phase == LinkPhase::Unresponsive {
        return silent();
    }
    if stream.phase == StreamPhase::Open {
        return None;
    }
    let cause = cause(link, stream);
    let failed = cause.map(|cause| of_node(needs.node, link, stream.vbucket, cause));
    match failed {
        Some(failed) => Some(Fault::NotOpen(Some(failed))),
        // A node that lets the first attempt hang has no error yet.
        None => silent().or(Some(Fault::NotOpen(None))),
    }
}

/// Returns why a stream is not open, if that is known.
pub(super) fn cause<'a>(link: &'a LinkStatus, stream: &'a StreamStatus) -> Option<&'a Cause> {
    // The error of a link that is up belongs to its last incarnation.
    let causes = match link.phase {
        LinkPhase::Up => [&stream.last_error, &link.last_error],
        _ => [&link.last_error, &stream.last_error],
    };
    causes.into_iter().flatten().next()
}

/// Returns the fault of the unresponsive nodes of a link, if it has any.
fn unresponsive(needs: &Needs<'_>, bucket: &BucketStatus, link: &LinkStatus) -> Option<Fault> {
    let of_link = |name: &str| name == needs.node || name == link.producer;
    let nodes = bucket.nodes.iter().filter(|node| node.unresponsive && of_link(&node.node));
    let nodes: Vec<_> = nodes.collect();
    let first = nodes.first()?;
    let error = first.control_error.as_deref();
    let why = error.map_or("no answer on any connection", |error| without_peer(error));
    let names: Vec<_> = nodes.iter().map(|node| node.node.as_str()).collect();
    Some(Fault::Unresponsive {
        node: names.join(" and "),
        text: format!("unresponsive: {why}"),
        ms: first.unheard_ms,
    })
}

/// Returns the node at fault, and the cause without the names of node and vBucket, so that equal
/// causes have equal texts.
pub(super) fn of_node(
    consumer: &str,
    link: &LinkStatus,
    vb: u16,
    cause: &Cause,
) -> (String, String) {
    let detail = cause.detail(None);
    let text = detail.strip_prefix(&format!("{}: ", VbId(vb))).unwrap_or(&detail);
    let (node, text) = match cause.side() {
        Some(side) => {
            let node = if side == Side::Consumer { consumer } else { &link.producer };
            (node.to_owned(), text.strip_prefix(&format!("{side} ")).unwrap_or(text))
        }
        None => (link.producer.clone(), text),
    };
    let text = text.strip_prefix(&format!("{node} at ")).map_or(text, without_peer);
    (node, text.to_owned())
}

/// Returns what follows the name and address of a peer.
fn without_peer(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(_, rest)| rest)
}

/// vBuckets that are not served for the same reason.
#[derive(Default)]
struct Groups(BTreeMap<Key, Group>);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Bucket, node and text.
    Failed(String, String, String),
    /// Bucket, producer and connection: no error is known.
    SetUp(String, String, u8),
}

struct Group {
    count: usize,
    first: u16,
    /// The longest time for which one of them is not served, in milliseconds.
    ms: Option<u64>,
}

impl Groups {
    fn add(
        &mut self,
        fault: Fault,
        bucket: &BucketStatus,
        link: &LinkStatus,
        stream: &StreamStatus,
    ) {
        let name = bucket.bucket.clone();
        let (key, ms) = match fault {
            Fault::Unresponsive { node, text, ms } => (Key::Failed(name, node, text), ms),
            Fault::NotOpen(Some((node, text))) => {
                (Key::Failed(name, node, text), stream.not_open_ms)
            }
            Fault::NotOpen(None) => {
                (Key::SetUp(name, link.producer.clone(), link.connection), stream.not_open_ms)
            }
        };
        let new = Group { count: 0, first: stream.vbucket, ms: None };
        let group = self.0.entry(key).or_insert(new);
        group.count += 1;
        group.first = group.first.min(stream.vbucket);
        group.ms = group.ms.max(ms);
    }

    /// Returns a text for each group, the largest first.
    fn texts(self, needs: &Needs<'_>, now: SystemTime) -> Vec<String> {
        let mut groups: Vec<_> = self.0.into_iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
        groups.into_iter().map(|(key, group)| text(needs, &key, &group, now)).collect()
    }
}

fn text(needs: &Needs<'_>, key: &Key, group: &Group, now: SystemTime) -> String {
    let Group { count, first, ms } = group;
    match key {
        Key::SetUp(bucket, producer, connection) => format!(
            "bucket {bucket}, producer {producer}, connection {connection}: {count} streams are \
             being set up, the first: {}",
            VbId(*first)
        ),
        Key::Failed(bucket, node, text) => {
            let things = if *count == 1 { "vBucket" } else { "vBuckets" };
            let mut whole = format!("{} {things}", thousands(*count));
            if needs.buckets.len() > 1 {
                _ = write!(whole, " of {bucket}");
            }
            _ = write!(whole, ": {node}: {text}");
            if let Some(ms) = ms {
                whole += &since(Duration::from_millis(*ms), now);
            }
            whole
        }
    }
}

/// Returns since when something lasts: a time of the day (UTC, as in the log), or its days.
fn since(lasts: Duration, now: SystemTime) -> String {
    let began = now.checked_sub(lasts).and_then(|began| began.duration_since(UNIX_EPOCH).ok());
    match began {
        Some(began) if lasts < DAY => {
            let seconds = began.as_secs() % DAY.as_secs();
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            format!(", since {hours:02}:{minutes:02}:{:02}", seconds % 60)
        }
        _ => format!(", for {} days", lasts.as_secs() / DAY.as_secs()),
    }
}

/// Returns a number with commas between thousands.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
