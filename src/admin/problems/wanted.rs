//! What is to be replicated: its source, what differs from that, moves that failed.

use super::facts::{Facts, FailedMoves, MapFacts};
use super::{Problem, vbuckets};
use crate::sources::{Connection, Origin, OriginOfBucket, RefusedMap};
use crate::vb_state::Severity;

/// The id of the problem that vBuckets are paused.
pub(super) const PAUSED: &str = "paused";

/// The problems of all buckets.
pub(super) fn problems(facts: &Facts<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(origin) = &facts.etcd {
        problems.extend(etcd_away(origin));
        problems.extend(facts.maps.iter().filter_map(|map| map_of_etcd(facts, origin, map)));
    }
    for map in &facts.maps {
        problems.extend(dropped(facts, map));
        problems.extend(paused(facts, map));
        problems.extend(drift(facts, map));
    }
    problems.extend(facts.failed_moves.iter().map(|moves| failed(facts, moves)));
    problems
}

fn etcd_away(origin: &Origin) -> Option<Problem> {
    let Some(Connection::Away { since, error }) = &origin.connection else { return None };
    let from = origin.name();
    let what = format!("{from} does not answer, the last maps stay in force: {error}");
    let remedy =
        format!("start {from}, or see what is between here and there; it is asked again by itself");
    let problem = Problem::new(Severity::Warning, "source-away", what, remedy);
    Some(Problem { since: Some(since.clone()), ..problem })
}

/// A bucket whose map in etcd is missing, refused or not read yet.
fn map_of_etcd(facts: &Facts<'_>, origin: &Origin, map: &MapFacts) -> Option<Problem> {
    let known = origin.buckets.get(&map.bucket);
    let has_map = !map.is_empty || known.is_some_and(|known| known.revision.is_some());
    let severity = if has_map { Severity::Warning } else { Severity::Error };
    let what = origin.problem(&map.bucket)?;
    let (id, remedy) = match known {
        Some(OriginOfBucket { refused: Some(RefusedMap { key, .. }), .. }) => (
            "map-refused",
            match origin.is_cluster {
                true => format!("see what is wrong at {key}; until then the last good map stays"),
                false => {
                    format!(
                        "correct the value of {key} in etcd; until then the last good map stays"
                    )
                }
            },
        ),
        Some(OriginOfBucket { missing: true, .. }) => (
            "map-missing",
            format!("put one: {}", facts.command_of(&["map", "put"], &[&map.bucket, "FILE"])),
        ),
        // That etcd is away is said already.
        _ if has_map => return None,
        _ if origin.is_cluster => {
            ("map-unknown", "start the cluster, or correct [cluster]".to_owned())
        }
        _ => ("map-unknown", "start etcd, or correct [desired] etcd".to_owned()),
    };
    Some(Problem::new(severity, id, what, remedy).of_bucket(&map.bucket))
}

fn dropped(facts: &Facts<'_>, map: &MapFacts) -> Option<Problem> {
    let (vbs, why, at) = map.dropped.last()?;
    let what = match vbs.len() {
        0 => format!("a run-time change of bucket {} was dropped: {why}", map.bucket),
        count => {
            format!("the run-time change of {} was dropped: {why}", vbuckets(count, &map.bucket))
        }
    };
    let remedy = format!(
        "{} shows what was dropped; repeat the change if it is still meant",
        facts.command(&["config", "diff"])
    );
    let problem = Problem::new(Severity::Notice, "drift-dropped", what, remedy);
    Some(problem.about(&map.bucket, vbs).since(Some(*at)))
}

fn paused(facts: &Facts<'_>, map: &MapFacts) -> Option<Problem> {
    if map.paused.is_empty() {
        return None;
    }
    let (paused, of) = (map.paused.len(), &map.bucket);
    let (severity, some) = match paused {
        // That nothing at all gets changes is seldom meant.
        1 if map.wanted <= 1 => (Severity::Warning, format!("the only vBucket of {of}")),
        _ if paused >= map.wanted => (Severity::Warning, format!("all {}", vbuckets(paused, of))),
        _ => (Severity::Notice, vbuckets(paused, of)),
    };
    let verb = if paused == 1 { "is paused: it gets" } else { "are paused: they get" };
    let what = format!("{some} {verb} no changes");
    let remedy = facts.command_of(&["resume"], &[&map.bucket]);
    let problem = Problem::new(severity, PAUSED, what, remedy);
    Some(problem.about(&map.bucket, &map.paused))
}

fn drift(facts: &Facts<'_>, map: &MapFacts) -> Option<Problem> {
    // What is paused is said already.
    let more = map.drift.saturating_sub(map.paused.len());
    if more == 0 {
        return None;
    }
    let things = if more == 1 { "1 vBucket or setting" } else { "vBuckets and settings" };
    let number = if more == 1 { String::new() } else { format!("{more} ") };
    let what = format!("{number}{things} of {} differ from the source", map.bucket);
    let remedy = format!(
        "{} shows them; {} keeps them in the file",
        facts.command(&["config", "diff"]),
        facts.command(&["config", "save"])
    );
    let problem = Problem::new(Severity::Notice, "drift", what, remedy).of_bucket(&map.bucket);
    Some(Problem { count: more, ..problem })
}

fn failed(facts: &Facts<'_>, moves: &FailedMoves) -> Problem {
    let FailedMoves { bucket, how, from, why, .. } = moves;
    let some = vbuckets(moves.vbuckets.len(), bucket);
    let what = format!("the {how} of {some} from producer {from} failed: {why}");
    let set = moves.vbuckets.to_string();
    // One word, because a name may begin with a hyphen.
    let words = [*how, &format!("--from={from}")];
    let remedy = format!(
        "see to the reason, then repeat it, which goes on where it ended: {}",
        facts.command_of(&words, &[bucket, &set])
    );
    let problem = Problem::new(Severity::Warning, "move-failed", what, remedy).at(from);
    problem.about(bucket, &moves.vbuckets).since(Some(moves.since))
}
