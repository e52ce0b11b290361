//! The maps of a cluster that is followed, and what is otherwise where its manager owns the states
//! of the producers.

use mcbp::Side;

use crate::config::{Config, MapSource};
use crate::doctor::facts::{MapFacts, Need};
use crate::doctor::finding::{Check, Finding, Level, Place};

/// One finding for each bucket.
pub(super) fn maps(found: &[MapFacts]) -> impl Iterator<Item = Finding> {
    found.iter().map(|MapFacts { bucket, map, nodes }| {
        let place = Place::here().bucket(bucket);
        match map {
            Ok((node, revision)) if *nodes == 0 => {
                let what = format!(
                    "the map {revision} of {node} names no other node with an active copy: nothing \
                     is replicated"
                );
                Finding::note(Check::Cluster, &place, what)
            }
            Ok((node, revision)) => {
                let what = format!("by the map {revision} of {node} it comes from {nodes} nodes");
                Finding::ok(Check::Cluster, &place, what)
            }
            Err(why) => {
                let what = format!("no map of the cluster can be read: {why}");
                let remedy = "start a node of the cluster, or correct [cluster] address, username, \
                              password or tls";
                Finding::error(Check::Cluster, &place, what, remedy)
            }
        }
    })
}

pub(super) const fn is_followed(config: &Config) -> bool {
    matches!(config.source, MapSource::Cluster(_))
}

/// Whether replication from a cluster does without a request to a node: its manager sets states, no
/// vBucket is taken over or moved, and users have no privilege for more.
pub(super) const fn is_spared(need: Need, side: Side, config: &Config) -> bool {
    let is_spared = match need {
        Need::SetState => true,
        Need::Connections => matches!(side, Side::Producer),
        Need::Seqnos | Need::Statistics => false,
    };
    is_spared && is_followed(config)
}

/// A finding about states with what to do where a map cannot be corrected in the configuration.
pub(super) fn of_cluster(finding: Finding) -> Finding {
    let is_about_states = matches!(finding.check, Check::States | Check::Count);
    if finding.level == Level::Ok || !is_about_states {
        return finding;
    }
    let remedy = match (finding.check, finding.place.side) {
        (Check::Count, _) => "create the bucket of our node with as many vBuckets as the cluster's",
        (_, Some(Side::Producer)) => {
            "run this again: the cluster may be moving them; else ask its manager"
        }
        _ => "make our copies replica with SET_VBUCKET: the cluster has the active ones",
    };
    finding.with(remedy)
}
