//! Who does not answer, loads its data, or lacks the vBucket.

use super::{next_try, span};
use crate::explain::facts::{Answer, Facts, Node, Wanted};
use crate::explain::situation::{Kind, Situation};

pub(super) fn situations(facts: &Facts) -> Vec<Situation> {
    let ours = node(facts, &facts.ours, true);
    let producer = facts.producer().and_then(|producer| node(facts, producer, false));
    let absent = || {
        let Wanted::From(name) = &facts.wanted else { return None };
        let what = format!("{name}, from which it is wanted, is no [[producer]] of the file");
        Some(Situation::new(Kind::ProducerSilent, what, "name the file of this sidecar (--config)"))
    };
    let producer = if facts.producer().is_none() { absent() } else { producer };
    ours.into_iter().chain(producer).collect()
}

fn node(facts: &Facts, node: &Node, is_ours: bool) -> Option<Situation> {
    let name = &node.name;
    let title = if is_ours { format!("{name} (our node)") } else { name.clone() };
    let silent = if is_ours { Kind::NodeSilent } else { Kind::ProducerSilent };
    match &node.answer {
        Answer::Copy(_) => None,
        Answer::NotAsked(why) => {
            let what = format!("{title} could not be asked: {why}");
            Some(Situation::new(silent, what, next_try(facts)))
        }
        Answer::Failed(why) => {
            let since = silent_for(facts, is_ours);
            let since = since.map(|ms| format!(" since {}", span(ms))).unwrap_or_default();
            let lasts = not_open(facts)
                .map(|ms| format!("; the stream has not been open for {}", span(ms)));
            let lasts = lasts.unwrap_or_default();
            let what = format!("{title} does not answer as it should{since}: {why}{lasts}");
            Some(Situation::new(silent, what, next_try(facts)))
        }
        Answer::WarmingUp => {
            let what = format!("{title} is still loading its data");
            Some(Situation::new(Kind::WarmingUp, what, next_try(facts)))
        }
        // Of one that is not wanted, the states tell.
        Answer::Missing if !matches!(facts.wanted, Wanted::From(_)) => None,
        Answer::Missing => {
            let (vb, bucket) = (facts.vb, &facts.bucket);
            let what = format!("{title} has no vBucket {vb} in bucket {bucket}");
            let next = match is_ours {
                true => "create it there as a replica (SET_VBUCKET)",
                false => "find the node that has it active, and name that one in replicate",
            };
            let next = format!("{next}; {}", next_try(facts));
            Some(Situation::new(Kind::Missing, what, next))
        }
    }
}

/// For how long the sidecar has not heard the node, where the sidecar finds it unresponsive itself:
/// else nothing may have passed on the link because nothing changed. Of both nodes of the link, it
/// is the one that was heard last long ago.
fn silent_for(facts: &Facts, is_ours: bool) -> Option<u64> {
    let view = facts.view().filter(|view| view.state == "unresponsive")?;
    let link = view.link_status.as_ref()?;
    let (of, other) = match is_ours {
        true => (link.consumer_silent_ms?, link.producer_silent_ms),
        false => (link.producer_silent_ms?, link.consumer_silent_ms),
    };
    (other.unwrap_or(0) <= of).then_some(of)
}

fn not_open(facts: &Facts) -> Option<u64> {
    facts.view()?.stream.as_ref()?.not_open_ms
}
