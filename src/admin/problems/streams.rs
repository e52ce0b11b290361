//! Links and streams that are not as they should be, grouped by their reason; without those that
//! follow from what is the matter with a data node.

use std::collections::{BTreeMap, BTreeSet};

use dcp_actors::{BucketStatus, Cause, LinkPhase, LinkStatus, StreamPhase, StreamStatus};
use mcbp::{Status, VbId};
use replica::link::{NodeAnswer, ReasonCode};
use replica::loops::LoopKind;
use replica::plan::VbSet;

use super::facts::Facts;
use super::nodes::{self, Troubles};
use super::words::{self, Kind, Told};
use super::{Problem, vbuckets};
use crate::admin::ready;
use crate::vb_state::Severity;

/// What equal problems have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    kind: Kind,
    node: Option<String>,
    /// The name of the link, where that is what is wrong.
    link: Option<String>,
    /// Why, without the names of node and vBucket.
    why: String,
}

/// vBuckets of a bucket for which the same is wrong.
#[derive(Default)]
struct Group {
    vbs: VbSet,
    /// The longest time for which one of them is not open, in milliseconds.
    ms: Option<u64>,
}

/// The problems of all buckets that run, and of those that do not.
pub(super) fn problems(facts: &Facts<'_>, troubles: &Troubles<'_>) -> Vec<Problem> {
    let runs = |name: &&String| facts.buckets.iter().any(|bucket| bucket.bucket == **name);
    let absent = facts.expected.iter().filter(|name| !runs(name)).map(|name| {
        let what = format!("bucket {name} is not replicated: it has no manager");
        let remedy = "wait a moment: it is being added; else see the log, restart the sidecar, and \
                      report it";
        Problem::new(Severity::Error, "no-manager", what, remedy).of_bucket(name)
    });
    let mut problems: Vec<_> = absent.collect();
    for bucket in facts.buckets {
        let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
        let moving = ready::being_moved(bucket);
        let broken: BTreeMap<_, _> =
            bucket.broken.iter().map(|broken| (broken.vbucket, broken.kind)).collect();
        let misfit: BTreeSet<_> =
            bucket.nodes.iter().filter(|it| nodes::is_misfit(it)).map(|it| &it.node).collect();
        for link in &bucket.links {
            let is_explained = troubles.keys().any(|node| nodes::is_of(facts, link, node));
            if is_explained && link.phase != LinkPhase::Up {
                continue;
            }
            problems.extend(stalled(facts, bucket, link).filter(|_| !is_explained));
            for stream in &link.streams {
                if stream.phase == StreamPhase::Open && stream.complete_to.is_none()
                    || moving.contains(&stream.vbucket)
                    || is_explained
                    || is_misfit(facts, &misfit, link, stream)
                {
                    continue;
                }
                let key = key(facts, link, stream, broken.get(&stream.vbucket).copied());
                let group = groups.entry(key).or_default();
                group.vbs.insert(VbId(stream.vbucket));
                group.ms = group.ms.max(stream.not_open_ms);
            }
        }
        problems.extend(groups.iter().map(|(key, group)| problem(facts, bucket, key, group)));
        problems.extend(growing(facts, bucket, troubles));
    }
    problems
}

/// Whether the state of a vBucket at a node explains why its stream is not open.
fn is_misfit(
    facts: &Facts<'_>,
    misfit: &BTreeSet<&String>,
    link: &LinkStatus,
    stream: &StreamStatus,
) -> bool {
    let at = |name: &str| misfit.iter().any(|node| node.as_str() == name);
    let is_misfit = matches!(&stream.last_error, Some(Cause::Misfit(..)));
    (is_misfit && (at(facts.node) || at(&link.producer)))
        || (stream.phase == StreamPhase::HeldBack && at(facts.node))
}

/// What is wrong with a stream that is not open, or whose copy is incomplete.
fn key(
    facts: &Facts<'_>,
    link: &LinkStatus,
    stream: &StreamStatus,
    broken: Option<LoopKind>,
) -> Key {
    let producer = || Some(link.producer.clone());
    let of_link = |kind, why: &str| Key {
        kind,
        node: producer(),
        link: Some(link.name.clone()),
        why: why.to_owned(),
    };
    let of_stream = |kind, node, why: &str| Key { kind, node, link: None, why: why.to_owned() };
    if let Some(loops) = &link.broken {
        let kind = if loops.kind == LoopKind::Rival { Kind::Rival } else { Kind::LinkLoop };
        return of_link(kind, &loops.detail);
    }
    let found = ready::cause(link, stream)
        .map(|cause| (cause, ready::of_node(facts.node, link, stream.vbucket, cause)));
    if link.phase != LinkPhase::Up
        && let Some((cause, (node, why))) = &found
    {
        let kind = kind_of(cause).unwrap_or(Kind::LinkDown);
        return Key { kind, node: Some(node.clone()), link: None, why: why.clone() };
    }
    match (stream.phase, &found) {
        _ if stream.complete_to.is_some() => {
            of_stream(Kind::Incomplete, Some(facts.node.to_owned()), "")
        }
        (StreamPhase::HeldBack, _) => of_stream(Kind::HeldBack, Some(facts.node.to_owned()), ""),
        (_, Some((_, (node, why)))) if broken.is_some() => {
            of_stream(Kind::StreamLoop, Some(node.clone()), why)
        }
        (StreamPhase::RollingBack, _) => {
            of_stream(Kind::RollingBack, Some(facts.node.to_owned()), "")
        }
        (_, Some((cause, (node, why)))) => {
            of_stream(kind_of(cause).unwrap_or(Kind::Waiting), Some(node.clone()), why)
        }
        (_, None) => of_stream(Kind::SetUp, producer(), ""),
    }
}

/// The kind of a failure that a node's answer tells.
fn kind_of(cause: &Cause) -> Option<Kind> {
    if cause.reason() == ReasonCode::Rival {
        return Some(Kind::Rival);
    }
    match cause.answer()? {
        NodeAnswer::Status(Status::AUTH_ERROR | Status::AUTH_STALE) => Some(Kind::Login),
        // To SELECT_BUCKET, a node answers both where there is no such bucket.
        _ if cause.detail(None).contains("has no bucket ") => Some(Kind::NoBucket),
        NodeAnswer::Status(Status::NO_BUCKET) => Some(Kind::NoBucket),
        NodeAnswer::Status(Status::EACCESS) => Some(Kind::NoPrivilege),
        _ => None,
    }
}

fn problem(facts: &Facts<'_>, bucket: &BucketStatus, key: &Key, group: &Group) -> Problem {
    let name = &bucket.bucket;
    let told = Told {
        name,
        some: vbuckets(group.vbs.len(), name),
        role: facts.role(key.node.as_deref().unwrap_or(facts.node)),
        why: &key.why,
    };
    let problem = words::of_link(facts, key.kind, &told)
        .or_else(|| words::of_streams(facts, key.kind, &told))
        .unwrap_or_else(|| {
            words::of_what_is_done(facts, key.kind, &told, &share(bucket, &group.vbs))
        });
    let problem = problem.about(name, &group.vbs).since(facts.ago(group.ms));
    let remedy = explained(facts, name, &group.vbs, problem.remedy);
    Problem { remedy, node: key.node.clone(), link: key.link.clone(), ..problem }
}

/// The remedy, and where it concerns a single vBucket, the command that tells the story of that.
fn explained(facts: &Facts<'_>, bucket: &str, vbs: &VbSet, remedy: String) -> String {
    let mut all = vbs.iter();
    match (all.next(), all.next()) {
        (Some(vb), None) => {
            let explain = facts.command_of(&["explain"], &[bucket, &vb.0.to_string()]);
            format!("{remedy}; {explain} tells more")
        }
        _ => remedy,
    }
}

/// These vBuckets as an argument of `replicate`, with the producer that most of them come from.
fn share(bucket: &BucketStatus, vbs: &VbSet) -> String {
    let from = |link: &&LinkStatus| {
        link.streams.iter().filter(|it| vbs.as_set().contains(&VbId(it.vbucket))).count()
    };
    let most = bucket.links.iter().max_by_key(from);
    most.map_or_else(|| vbs.to_string(), |link| format!("{}={vbs}", link.producer))
}

/// A link that was restarted because data did not move, and on which it has not moved since.
fn stalled<'a>(
    facts: &Facts<'_>,
    bucket: &'a BucketStatus,
    link: &'a LinkStatus,
) -> impl Iterator<Item = Problem> + use<'a> {
    let remedy = format!(
        "it was restarted and is watched; see the load of both nodes, and {}",
        facts.command(&["doctor"])
    );
    let problem = link.stall.as_ref().filter(|_| link.phase == LinkPhase::Up).map(|stall| {
        let what = format!("no data moves on link {}: {stall}", link.name);
        Problem::new(Severity::Warning, "link-stalled", what, remedy)
            .of_bucket(&bucket.bucket)
            .at(&link.producer)
    });
    problem.map(|it| Problem { link: Some(link.name.clone()), count: link.open, ..it }).into_iter()
}

/// A lag that grows although both nodes are heard.
fn growing(facts: &Facts<'_>, bucket: &BucketStatus, troubles: &Troubles<'_>) -> Option<Problem> {
    let found = facts.growing.iter().find(|growing| growing.bucket == bucket.bucket)?;
    if !troubles.is_empty() {
        return None;
    }
    let what = format!(
        "the lag of {} grows: {} s, after {} s a minute ago",
        bucket.bucket,
        found.lag.as_secs(),
        found.before.as_secs()
    );
    let remedy = format!(
        "a first copy of all data ends by itself; else see the load of both nodes, or run {}",
        facts
            .command_of(&["connections"], &[&bucket.bucket, &(bucket.connections + 1).to_string()])
    );
    let problem = Problem::new(Severity::Warning, "lag-growing", what, remedy);
    Some(problem.of_bucket(&bucket.bucket).since(Some(found.since)))
}
