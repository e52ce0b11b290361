//! Data nodes that do not answer, cannot be connected to, or warn of something.

use std::collections::BTreeMap;

use dcp_actors::{BucketStatus, LinkPhase, LinkStatus, NodeStatus, StreamPhase, StreamStatus};
use mcbp::VbId;
use replica::plan::VbSet;

use super::facts::Facts;
use super::{Problem, vbuckets};
use crate::vb_state::Severity;

/// How long a lag may be unknown that never was known: the first poll takes a moment. One that was
/// known has become too old, which took its time already.
pub(super) const FIRST_POLL_MS: u64 = 5_000;
/// After this silence, a report that is too old is that of this node: nodes that are polled answer
/// once a second.
const QUIET_MS: u64 = 2_500;
/// What the text of an error of a connection says that could not be opened.
const NO_CONNECTION: &str = "could not connect: ";
/// How the warning begins of vBuckets in a state that does not fit.
const MISFIT: &str = "vBuckets that need to be ";

/// What is the matter with a data node, by its name. Whatever its links and streams do follows
/// from that.
pub(super) type Troubles<'a> = BTreeMap<&'a str, Trouble>;

/// See [`Troubles`].
pub(super) enum Trouble {
    /// It is heard on no connection, and connections to it are opened.
    Silent,
    /// It cannot be connected to, for this reason.
    Gone(String),
    /// It never was connected to, for this reason.
    NeverReached(String),
}

/// The status of a node in each bucket.
fn views<'a>(facts: &Facts<'a>) -> BTreeMap<&'a str, Vec<&'a NodeStatus>> {
    let mut views: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for node in facts.buckets.iter().flat_map(|bucket| &bucket.nodes) {
        views.entry(node.node.as_str()).or_default().push(node);
    }
    views
}

/// Judges every node.
pub(super) fn troubles<'a>(facts: &Facts<'a>) -> Troubles<'a> {
    let mut troubles = Troubles::new();
    for (name, views) in views(facts) {
        let no_connection = |text: &str| {
            let (_, why) = text.split_once(NO_CONNECTION)?;
            Some(why.to_owned())
        };
        let refused = views.iter().find_map(|view| no_connection(view.control_error.as_deref()?));
        let trouble = match refused {
            Some(why) if views.iter().all(|view| view.silent_ms.is_none()) => {
                Trouble::NeverReached(why)
            }
            Some(why) => Trouble::Gone(why),
            None if views.iter().any(|view| view.unresponsive) => Trouble::Silent,
            None => continue,
        };
        troubles.insert(name, trouble);
    }
    troubles
}

/// Whether a link has this node at one of its ends.
pub(super) fn is_of(facts: &Facts<'_>, link: &LinkStatus, node: &str) -> bool {
    node == facts.node || node == link.producer
}

/// The problems of all nodes.
pub(super) fn problems(facts: &Facts<'_>, troubles: &Troubles<'_>) -> Vec<Problem> {
    let mut problems: Vec<_> =
        troubles.iter().map(|(node, trouble)| troubled(facts, node, trouble)).collect();
    for bucket in facts.buckets {
        problems.extend(bucket.nodes.iter().filter_map(|node| warned(facts, bucket, node)));
        problems.extend(lag_unknown(facts, bucket, troubles));
    }
    problems
}

fn troubled(facts: &Facts<'_>, node: &str, trouble: &Trouble) -> Problem {
    let mut hit: Vec<(&str, VbSet)> = Vec::new();
    for bucket in facts.buckets {
        let links = bucket.links.iter().filter(|link| is_of(facts, link, node));
        let is_hit = |link: &&LinkStatus| link.phase != LinkPhase::Up;
        let vbs: VbSet = links
            .flat_map(|link| {
                let streams = link.streams.iter();
                streams.filter(move |it| is_hit(&link) || it.phase != StreamPhase::Open)
            })
            .map(|stream| VbId(stream.vbucket))
            .collect();
        if !vbs.is_empty() {
            hit.push((bucket.bucket.as_str(), vbs));
        }
    }
    let count = hit.iter().map(|(_, vbs)| vbs.len()).sum();
    let consequence = match hit.as_slice() {
        [] => String::new(),
        [(bucket, _)] => format!("; {} get no changes", vbuckets(count, bucket)),
        more => format!("; {} get no changes", vbuckets(count, &format!("{} buckets", more.len()))),
    };
    let severity = if count == 0 { Severity::Warning } else { Severity::Error };
    let role = facts.role(node);
    let doctor = facts.command(&["doctor"]);
    let (id, what, remedy) = match trouble {
        Trouble::Silent => (
            "node-unresponsive",
            format!("{role} does not answer"),
            format!(
                "see whether its process hangs or its network is cut ({doctor} tells more); \
                 replication goes on by itself once it answers"
            ),
        ),
        Trouble::Gone(why) => (
            "node-gone",
            format!("{} cannot be connected to: {why}", facts.role_at(node)),
            "start the node, or see what is between here and there; it is connected to again by \
             itself"
                .to_owned(),
        ),
        Trouble::NeverReached(why) => (
            "node-never-reached",
            format!("{} was never reached: {why}", facts.role_at(node)),
            format!(
                "start the node, or correct its address in {}; {doctor} checks it",
                facts.file()
            ),
        ),
    };
    let unheard = views(facts).remove(node).unwrap_or_default();
    // In the bucket in which it was heard last.
    let unheard = unheard.iter().filter_map(|view| view.unheard_ms).min();
    let problem = Problem::new(severity, id, what + &consequence, remedy).at(node);
    let problem = problem.since(facts.ago(unheard));
    match hit.as_slice() {
        [(bucket, vbs)] => problem.about(bucket, vbs),
        _ => Problem { count, ..problem },
    }
}

/// The vBuckets of a bucket that a node has in a state that does not fit.
pub(super) fn is_misfit(node: &NodeStatus) -> bool {
    node.warning.as_deref().is_some_and(|warning| warning.starts_with(MISFIT))
}

fn warned(facts: &Facts<'_>, bucket: &BucketStatus, node: &NodeStatus) -> Option<Problem> {
    let warning = node.warning.as_deref()?;
    let (role, name) = (facts.role(&node.node), &bucket.bucket);
    if !is_misfit(node) {
        let what =
            format!("{role} does not count our node for durable writes of {name}: {warning}");
        let remedy = format!(
            "set [node] consumer_name in {} to the name by which the topology knows this node, or \
             add it to the topology",
            facts.file()
        );
        let problem = Problem::new(Severity::Warning, "topology", what, remedy);
        return Some(problem.of_bucket(name).at(&node.node));
    }
    // What the text lists after each state.
    let listed = warning.split("here: ").skip(1).filter_map(|rest| rest.split(';').next());
    let vbs: VbSet = listed.filter_map(|set| set.trim().parse::<VbSet>().ok()).fold(
        VbSet::default(),
        |mut all, set| {
            set.iter().for_each(|vb| _ = all.insert(vb));
            all
        },
    );
    let what = format!("{role}: {} do not fit: {warning}", vbuckets(vbs.len(), name));
    let remedy = "set their states with SET_VBUCKET (of a kvnode: kvnode vbuckets SET --set-state \
                  STATE), or take them out of what is replicated; their streams open by themselves \
                  then";
    let problem = Problem::new(Severity::Error, "misfit", what, remedy);
    Some(problem.about(name, &vbs).at(&node.node))
}

/// Open streams whose lag is not known, and which node does not report.
fn lag_unknown(
    facts: &Facts<'_>,
    bucket: &BucketStatus,
    troubles: &Troubles<'_>,
) -> Option<Problem> {
    let is_explained = |link: &&LinkStatus| {
        troubles.contains_key(facts.node) || troubles.contains_key(link.producer.as_str())
    };
    let links = bucket.links.iter();
    let links = links.filter(|link| link.phase == LinkPhase::Up && !is_explained(link));
    let error = bucket.nodes.iter().find_map(|node| {
        let error = node.control_error.as_deref()?;
        (!troubles.contains_key(node.node.as_str())).then_some((node, error))
    });
    let is_late = |it: &StreamStatus| {
        it.lag_age_ms.is_some() || it.lag_ms.is_some_and(|lag| lag >= FIRST_POLL_MS)
    };
    let streams: Vec<_> = links
        .flat_map(|link| link.streams.iter().map(move |stream| (link, stream)))
        .filter(|(_, it)| it.phase == StreamPhase::Open && it.lag_seqnos.is_none())
        .filter(|(_, it)| it.complete_to.is_none() && (error.is_some() || is_late(it)))
        .collect();
    let vbs: VbSet = streams.iter().map(|(_, stream)| VbId(stream.vbucket)).collect();
    if vbs.is_empty() {
        return None;
    }
    let is_end =
        |node: &&NodeStatus| streams.iter().any(|(link, _)| is_of(facts, link, &node.node));
    let silent = bucket.nodes.iter().filter(is_end).max_by_key(|node| node.silent_ms);
    let silent = silent.filter(|node| node.silent_ms.is_some_and(|ms| ms >= QUIET_MS));
    let unknown =
        format!("how far {} are behind is not known", vbuckets(vbs.len(), &bucket.bucket));
    let (node, what) = match (error, silent) {
        (Some((node, error)), _) => (Some(node), format!("{unknown}: {error}")),
        (None, Some(node)) => {
            (Some(node), format!("{} is silent: {unknown}", facts.role(&node.node)))
        }
        (None, None) => (None, unknown),
    };
    let remedy = format!(
        "a node does not answer questions for its seqnos; changes may still pass: {} checks why",
        facts.command(&["doctor"])
    );
    let ages = streams.iter().filter_map(|(_, stream)| stream.lag_age_ms).max();
    let problem = Problem::new(Severity::Warning, "lag-unknown", what, remedy);
    let problem = problem.about(&bucket.bucket, &vbs).since(facts.ago(ages));
    Some(match node {
        Some(node) => problem.at(&node.node),
        None => problem,
    })
}
