//! Whether an open stream lags, stands still, or is in step; a hole; durable writes that wait.

use std::time::Duration;

use super::histories::is_open;
use super::states::is_forbidden;
use super::{count, span};
use crate::explain::facts::{DcpStream, Facts, Node, VbCopy, View};
use crate::explain::history::Parting;
use crate::explain::situation::{Kind, Situation};

/// Without progress for so long, while changes are missing, a stream stands still: many times what
/// a healthy pair needs.
const STILL: Duration = Duration::from_secs(3);

pub(super) fn situations(facts: &Facts, parting: Option<&Parting>) -> Vec<Situation> {
    let Some((producer, theirs)) = facts.producer().and_then(|it| Some((it, it.copy()?))) else {
        return Vec::new();
    };
    let mut found: Vec<_> = durable_writes(facts, producer, theirs).into_iter().collect();
    let (Some(view), Some(ours)) = (facts.view(), facts.ours.copy()) else { return found };
    let is_shown = is_open(facts) && view.state == "open" && !view.paused && !is_forbidden(facts);
    if !is_shown || parting.is_some_and(|parting| !same_branch(ours, theirs, parting)) {
        return found;
    }
    found.extend(hole(facts, producer, ours, theirs));
    match (ours.last_high(), theirs.last_high()) {
        (Some(have), Some(all)) if have >= all => {
            let what = format!("Replicating: in step with {} at seqno {all}", producer.name);
            found.push(Situation::new(Kind::InStep, what, "the next change comes as it is made"));
        }
        (Some(have), Some(all)) => found.push(behind(facts, view, (ours, theirs), all - have)),
        _ => {
            let what =
                "The stream is open, and how far our copy is cannot be told: a seqno is unknown";
            found.push(Situation::new(Kind::Unknown, what, "see below which node does not say it"));
        }
    }
    found
}

fn same_branch(ours: &VbCopy, theirs: &VbCopy, parting: &Parting) -> bool {
    parting.rollback().is_none()
        || ours.log.first().map(|entry| entry.uuid) == theirs.log.first().map(|entry| entry.uuid)
}

fn behind(facts: &Facts, view: &View, copies: (&VbCopy, &VbCopy), missing: u64) -> Situation {
    let changes = match missing {
        1 => "1 change".to_owned(),
        _ => format!("up to {}", count(missing, "change")),
    };
    let still = view.stream.as_ref().and_then(|stream| stream.progress_ms);
    let lag = view.stream.as_ref().and_then(|stream| stream.lag_ms);
    let still_for = still.into_iter().chain(lag).min();
    match rate(copies.0) {
        Some(0.0) if still_for.is_some_and(|ms| u128::from(ms) >= STILL.as_millis()) => {
            let lasts = span(still_for.unwrap_or(0));
            let what = format!("It stands still: {changes} behind, and none came for {lasts}");
            Situation::new(Kind::Standing, what, whose(facts, copies))
        }
        Some(rate) if rate > 0.0 => {
            let what = format!("Replicating: {changes} behind");
            let next = match eta(copies, missing) {
                Some(ms) => format!("caught up in about {}", about(ms)),
                None => "the lag does not shrink at present: more is written than comes".to_owned(),
            };
            Situation::new(Kind::Behind, what, next)
        }
        _ => {
            let what = format!("Replicating: {changes} behind");
            let next = "how soon they come is not known yet: ask again in a moment";
            Situation::new(Kind::Behind, what, next)
        }
    }
}

/// Changes that came in a second, between the two looks.
fn rate(ours: &VbCopy) -> Option<f64> {
    let later = ours.later.as_ref()?;
    let came = later.high?.checked_sub(ours.high?)?;
    let seconds = later.after.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    (seconds > 0.0).then(|| came as f64 / seconds)
}

/// Milliseconds until nothing is missing, at the present rates of both copies.
fn eta((ours, theirs): (&VbCopy, &VbCopy), missing: u64) -> Option<u64> {
    let gain = rate(ours)? - rate(theirs).unwrap_or(0.0);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, and positive"
    )]
    (gain > 0.0).then(|| (missing as f64 / gain * 1000.0) as u64)
}

fn about(ms: u64) -> String {
    if ms < 1000 { "1 s".to_owned() } else { span(ms.div_ceil(1000) * 1000) }
}

/// Which side holds the changes back, by what both nodes say of the stream.
fn whose(facts: &Facts, (_, theirs): (&VbCopy, &VbCopy)) -> String {
    let stream = |node: &Node| our_stream(facts, node).cloned();
    let sent = facts.producer().and_then(stream);
    let received = stream(&facts.ours);
    let (us, producer) = (&facts.our_name, facts.producer().map_or("", |node| &node.name));
    let restart = "the sidecar restarts a link that stalls";
    let Some(sent) = sent else {
        return format!("{producer} lists no stream of it for our connection: {restart}");
    };
    let full = sent.unacked_bytes.zip(sent.window_bytes).is_some_and(|(u, w)| w > 0 && u >= w);
    match (sent.last_sent, theirs.last_high()) {
        _ if full => {
            format!("{us} does not acknowledge what {producer} sent (window full): {restart}")
        }
        (Some(last), Some(all)) if last < all => {
            format!("{producer} has sent up to seqno {last} of {all}: {restart}")
        }
        (Some(last), _) => match received.and_then(|stream| stream.last_received) {
            Some(got) if got >= last => {
                format!("{us} has received seqno {got} and not applied it: {restart}")
            }
            Some(got) => {
                format!("{producer} has sent up to {last}, {us} received up to {got}: {restart}")
            }
            None => format!("{us} lists no stream of it: {restart}"),
        },
        _ => restart.to_owned(),
    }
}

/// The stream of our link at a node.
pub(super) fn our_stream<'a>(facts: &Facts, node: &'a Node) -> Option<&'a DcpStream> {
    let link = facts.view().and_then(|view| view.link.as_deref())?;
    node.copy()?.streams.iter().find(|stream| stream.connection == link)
}

/// Equal seqnos on one branch, all of it on disk, and another number of documents, at two looks.
fn hole(facts: &Facts, producer: &Node, ours: &VbCopy, theirs: &VbCopy) -> Option<Situation> {
    let stays = |copy: &VbCopy| {
        let later = copy.later.as_ref()?;
        let is_settled = copy.persisted? == copy.high? && copy.high == later.high;
        (is_settled && copy.documents == later.documents).then_some((copy.high?, copy.documents?))
    };
    let ((our_high, our_count), (their_high, their_count)) = (stays(ours)?, stays(theirs)?);
    if our_high != their_high || our_count == their_count {
        return None;
    }
    let what = format!(
        "A hole is suspected: both copies are at seqno {our_high}, and {} has {}, {} has {}",
        facts.ours.name,
        count(our_count, "document"),
        producer.name,
        count(their_count, "document")
    );
    let next = format!(
        "nothing repairs that by itself: compare with dcp-proxy verify {}, then replicate it anew",
        facts.bucket
    );
    Some(Situation::new(Kind::Hole, what, next))
}

/// Durable writes that wait, and whose acknowledgements our node cannot give. A real node has some
/// at any time; they are worth a word where our node is why they wait.
fn durable_writes(facts: &Facts, producer: &Node, theirs: &VbCopy) -> Option<Situation> {
    let pending = theirs.pending_prepares.filter(|pending| *pending > 0)?;
    let chains = theirs.topology.as_ref()?;
    let names: Vec<&String> =
        chains.iter().flat_map(|chain| chain.iter().skip(1).flatten()).collect();
    let writes = count(pending, "durable write");
    let (waits, their_name) = (if pending == 1 { "waits" } else { "wait" }, &producer.name);
    let us = &facts.our_name;
    if names.is_empty() || (names.contains(&us) && is_open(facts)) {
        return None;
    }
    if names.contains(&us) {
        let what = format!("{writes} {waits} at {their_name} for {us}, whose stream is not open");
        let next = "clients get them answered, or a timeout, once enough replicas have them";
        return Some(Situation::new(Kind::DurableWrites, what, next));
    }
    let names: Vec<_> = names.into_iter().map(String::as_str).collect();
    let what = format!(
        "{writes} {waits} at {their_name}, whose topology names {} and not our node {us}",
        names.join(", ")
    );
    let next = "acknowledgements of our node do not count: correct [node] name, or the topology";
    Some(Situation::new(Kind::DurableWrites, what, next))
}
