//! What follows from the facts. Pure.
//!
//! - `reach`: who does not answer, loads its data, or lacks the vBucket
//! - `states`: states at the nodes, and what is wanted
//! - `histories`: where histories part, and what a rollback drops
//! - `sidecar`: what the sidecar does about it
//! - `flow`: whether a stream lags, stands still, or is in step

mod flow;
mod histories;
mod reach;
mod sidecar;
mod states;

pub(super) use self::sidecar::elsewhere;

use super::facts::{Answer, Facts, Wanted};
use super::history::Parting;
use super::situation::{Kind, Situation, Story};

/// Decides what is going on.
pub(super) fn judge(facts: &Facts) -> Story {
    let parting = parting(facts);
    let mut found: Vec<Situation> = [
        reach::situations(facts),
        states::situations(facts),
        histories::situations(facts, parting.as_ref()),
        sidecar::situations(facts),
        flow::situations(facts, parting.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect();
    found.sort_by_key(|situation| situation.kind);
    let mut found = found.into_iter();
    let first = found.next().unwrap_or_else(|| unknown(facts));
    Story { first, others: found.collect(), unasked: unasked(facts) }
}

/// Our copy beside that of the producer it is wanted from.
pub(super) fn parting(facts: &Facts) -> Option<Parting> {
    Parting::of(facts.ours.copy()?, facts.producer()?.copy()?)
}

/// The producers besides the wanted one that could not be asked.
fn unasked(facts: &Facts) -> Vec<String> {
    let wanted = match &facts.wanted {
        Wanted::From(name) => Some(name),
        Wanted::Nobody | Wanted::Unknown => None,
    };
    let others = facts.producers.iter().filter(|node| Some(&node.name) != wanted);
    let text = |node: &super::facts::Node| match &node.answer {
        Answer::Failed(why) => Some(format!("{} could not be asked: {why}", node.name)),
        Answer::NotAsked(why) => Some(format!("{} was not asked: {why}", node.name)),
        Answer::WarmingUp | Answer::Missing | Answer::Copy(_) => None,
    };
    others.filter_map(text).collect()
}

fn unknown(facts: &Facts) -> Situation {
    let wanted = match &facts.wanted {
        Wanted::Unknown => "whether it is wanted is not known",
        Wanted::From(_) | Wanted::Nobody => "the nodes do not say enough",
    };
    let what = format!("What is going on is unknown: {wanted}");
    Situation::new(Kind::Unknown, what, "see the parts below for what could not be read")
}

/// What the sidecar does next about something that failed.
fn next_try(facts: &Facts) -> String {
    let Some(view) = facts.view() else { return sidecar::absent(facts) };
    let stream = view.stream.as_ref().and_then(|stream| stream.retry_in_ms);
    let link = view.link_status.as_ref().and_then(|link| link.retry_in_ms);
    match stream.max(link) {
        Some(0..=50) => "the sidecar tries again now".to_owned(),
        Some(ms) => format!("the sidecar tries again in {}", span(ms)),
        None if histories::is_open(facts) && states::is_forbidden(facts) => {
            "the sidecar has seen its stream open last, and has not heard of this yet".to_owned()
        }
        None if histories::is_open(facts) => {
            "the sidecar waits for it, and opens the link anew once it is lost or stalls".to_owned()
        }
        None if view.stream.is_none() => "the sidecar has not taken it up yet".to_owned(),
        None => "the sidecar tries again by itself".to_owned(),
    }
}

/// A time for a sentence: to a second from ten on.
pub(super) fn span(ms: u64) -> String {
    match ms {
        10_000..60_000 => format!("{} s", ms / 1000),
        _ => crate::client::ms(ms),
    }
}

/// A number of things, such as `1 change` and `3 changes`.
fn count(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests;
