//! Where the histories of our copy and of the producer part, and what a rollback drops.

use mcbp::VbState;

use super::count;
use crate::explain::facts::{Dropped, Facts};
use crate::explain::history::{Parting, Request};
use crate::explain::situation::{Kind, Situation};

/// Nothing where our copy can take no stream, or a stream is open on the same branch.
pub(super) fn situations(facts: &Facts, parting: Option<&Parting>) -> Vec<Situation> {
    let (Some(parting), Some(producer)) = (parting, facts.producer()) else { return Vec::new() };
    let Request::RolledBack { to, is_purged } = parting.request else { return Vec::new() };
    let can_follow = facts.ours.is(VbState::Replica) || facts.ours.is(VbState::Pending);
    if !can_follow || (is_same_branch(facts) && is_open(facts)) {
        return Vec::new();
    }
    let name = &producer.name;
    let request = format!("the next stream request is answered with ROLLBACK to {to}");
    if is_purged {
        let purge = producer.copy().and_then(|copy| copy.purge).unwrap_or(0);
        let what = format!(
            "{name} has purged deletions up to seqno {purge}, and our copy stands at {}, so it may \
             lack some of them",
            parting.ours
        );
        let next = format!("{request}, and the whole copy is dropped and sent anew");
        return vec![Situation::new(Kind::PurgedAhead, what, next)];
    }
    let what = match parting.has_common_branch {
        true => format!("Our copy has {} that {name} never had", never_had(facts, parting)),
        false => format!(
            "Our copy (seqno 1 to {}) has no branch of history in common with {name}",
            parting.ours
        ),
    };
    let next = match to {
        0 => format!("{request}, and all of our copy is dropped and sent anew"),
        _ if to < parting.common => format!(
            "{request}, the start of the last snapshot before they part, and what comes after \
             that is dropped"
        ),
        _ => format!("{request}, and they are dropped"),
    };
    vec![Situation::new(Kind::Parted, what, next)]
}

/// The changes of our copy after the last common seqno. Seqnos are an upper bound: newer changes of
/// a key replace older ones.
fn never_had(facts: &Facts, parting: &Parting) -> String {
    let (first, last) = (parting.common.saturating_add(1), parting.ours);
    let seqnos = last.saturating_sub(parting.common);
    let changes = match &facts.dropped {
        Some(Dropped::Rows { lost: Some(rows @ 1..), .. }) => count(*rows, "change"),
        _ if seqnos == 1 => "1 change".to_owned(),
        _ => format!("up to {}", count(seqnos, "change")),
    };
    match seqnos {
        1 => format!("{changes} (seqno {last})"),
        _ => format!("{changes} (seqno {first} to {last})"),
    }
}

fn is_same_branch(facts: &Facts) -> bool {
    let uuid = |copy: &crate::explain::facts::VbCopy| copy.log.first().map(|entry| entry.uuid);
    let theirs = facts.producer().and_then(|node| uuid(node.copy()?));
    let ours = facts.ours.copy().and_then(uuid);
    ours.is_some() && ours == theirs
}

pub(super) fn is_open(facts: &Facts) -> bool {
    let stream = facts.view().and_then(|view| view.stream.as_ref());
    stream.is_some_and(|stream| stream.phase == "open")
}
