//! What the sidecar does about the vBucket.

use std::collections::BTreeSet;

use replica::names::connection_name;
use replica::plan::Connections;

use super::{count, next_try, span};
use crate::explain::facts::{Facts, Node, Sidecar, View, Wanted};
use crate::explain::situation::{Kind, Situation};
use crate::explain::told::Stream;

pub(super) fn situations(facts: &Facts) -> Vec<Situation> {
    match (&facts.sidecar, facts.view()) {
        (Sidecar::Says(_), Some(view)) => running(facts, view),
        _ if facts.wanted == Wanted::Nobody => Vec::new(),
        (Sidecar::NotRunning(_), _) => {
            let what = "No sidecar runs, so nothing is replicated";
            vec![Situation::new(Kind::NoSidecar, what, once_started(facts))]
        }
        (Sidecar::Elsewhere(why), _) => {
            let what = format!("Another sidecar replicates it than the one that was asked: {why}");
            let next = "name it with --admin, or its configuration file with --config";
            vec![Situation::new(Kind::SidecarUnknown, what, next)]
        }
        (Sidecar::Unknown(why), _) => {
            let what = format!("Whether the sidecar replicates it is unknown: {why}");
            vec![Situation::new(Kind::SidecarUnknown, what, once_started(facts))]
        }
        (Sidecar::Says(_), None) => Vec::new(),
    }
}

/// The sidecar that runs all the same, where nothing listens at its address and both nodes list a
/// stream of a link from the wanted producer: `--admin` may be wrong, or the file.
pub(in crate::explain) fn elsewhere(facts: &Facts) -> Option<Sidecar> {
    let Sidecar::NotRunning(why) = &facts.sidecar else { return None };
    let producer = facts.producer()?;
    let (us, alpha) = (&facts.our_name, &producer.name);
    let names = (0..Connections::MAX.count()).map(|n| connection_name(alpha, us, &facts.bucket, n));
    let names: BTreeSet<_> = names.collect();
    let of_link = |node: &Node| {
        let streams = &node.copy()?.streams;
        let stream = streams.iter().find(|stream| names.contains(&stream.connection))?;
        Some(stream.connection.clone())
    };
    let (here, there) = (of_link(&facts.ours)?, of_link(producer)?);
    (here == there).then(|| {
        Sidecar::Elsewhere(format!("{us} and {alpha} list its stream of connection {here} ({why})"))
    })
}

/// What follows for a failure where the sidecar does not say anything.
pub(super) fn absent(facts: &Facts) -> String {
    match &facts.sidecar {
        Sidecar::NotRunning(_) => "no sidecar runs that would try again".to_owned(),
        _ => "when the sidecar tries again is unknown".to_owned(),
    }
}

fn once_started(facts: &Facts) -> String {
    let runs = match &facts.sidecar {
        Sidecar::NotRunning(_) => "start it",
        _ => "see whether it runs, or name it with --admin",
    };
    match super::parting(facts) {
        Some(parting) if parting.rollback().is_none() => {
            let missing = parting.theirs.saturating_sub(parting.ours);
            let would = "a stream request would be accepted";
            match missing {
                0 => format!("{runs}: {would}, and no change is missing"),
                _ => format!("{runs}: {would}, and up to {} come", count(missing, "change")),
            }
        }
        _ => runs.to_owned(),
    }
}

fn running(facts: &Facts, view: &View) -> Vec<Situation> {
    let mut found = Vec::new();
    if let Some(moving) = &view.moving {
        let left = moving.estimate.map(|left| format!(", {} left", count(left, "change")));
        let left = left.unwrap_or_default();
        let (from, phase, us) = (&moving.from, &moving.phase, &facts.our_name);
        let since = span(moving.since_ms);
        let what = format!("It is being moved from {from} to {us} ({phase}{left}, for {since})");
        let next = format!("it becomes active at {us} and dead at {from} once little is missing");
        found.push(Situation::new(Kind::Moving, what, next));
    }
    if view.paused {
        let (bucket, vb) = (&facts.bucket, facts.vb);
        let what = "Somebody has paused it, so nothing is replicated";
        let next = format!("that stays so until dcp-proxy resume {bucket} {vb}");
        found.push(Situation::new(Kind::Paused, what, next));
    }
    match &view.stream {
        Some(stream) if !view.paused => found.extend(of_stream(facts, view, stream)),
        None if view.wanted_from().is_some() && found.is_empty() => {
            let what = "It is wanted, and the sidecar has no stream of it yet";
            found.push(Situation::new(Kind::SetUp, what, "ask again in a moment"));
        }
        _ => {}
    }
    found
}

fn of_stream(facts: &Facts, view: &View, stream: &Stream) -> Option<Situation> {
    let detail = stream.last_error.as_ref().map(|error| error.detail.clone());
    let of_link = || view.link_status.as_ref()?.last_error.clone();
    let (detail, us) = (detail.or_else(of_link), &facts.our_name);
    if let Some(seqno) = stream.complete_to {
        let what = format!("Our copy may miss changes after seqno {seqno}");
        let next = "it is rolled back to there before its stream opens again";
        return Some(Situation::new(Kind::Incomplete, what, next));
    }
    match stream.phase.as_str() {
        "open" if view.state == "unresponsive" => {
            let what = "The stream is open, and one of its nodes is heard on no connection";
            let next = "the sidecar waits until the node answers, or its connections are lost";
            Some(Situation::new(Kind::Unresponsive, what, next))
        }
        "open" | "held-back" => None,
        "rolling-back" => {
            let before = stream.rollbacks_before.filter(|before| *before > 0);
            let before =
                before.map(|n| format!(", after {} of other vBuckets", count(n, "rollback")));
            let what = format!("{us} is rolling back its copy{}", before.unwrap_or_default());
            let next = "then the stream is requested again from where both histories agree";
            Some(Situation::new(Kind::RollingBack, what, next))
        }
        _ => Some(match detail {
            Some(detail) => {
                let lasts = stream.not_open_ms.map(|ms| format!(" for {}", span(ms)));
                let lasts = lasts.unwrap_or_default();
                let what = format!("The stream has not been open{lasts}: {detail}");
                Situation::new(Kind::Failing, what, next_try(facts))
            }
            None => {
                let what = format!("The stream is about to be opened ({})", stream.phase);
                Situation::new(Kind::SetUp, what, "changes come once it is")
            }
        }),
    }
}
