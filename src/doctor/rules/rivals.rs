//! Rivals: connections with the names of our links that our sidecar did not open, and other
//! replicators that feed the same bucket.

use std::collections::BTreeSet;

use mcbp::Side;
use replica::names::connection_name;
use replica::plan::Connections;

use crate::config::Config;
use crate::doctor::facts::{BucketFacts, DcpConnection, NodeFacts, Sidecar};
use crate::doctor::finding::{Check, Finding, Place};

/// How many names a finding lists.
const LISTED_MAX: usize = 4;

pub(super) fn rivals(
    node: &NodeFacts,
    facts: &BucketFacts,
    config: &Config,
    sidecar: &Sidecar,
) -> Vec<Finding> {
    let place = Place::node(node.side, &node.name).bucket(&facts.bucket);
    let Some(listed) = &facts.connections else {
        if facts.opened == Some(Ok(())) {
            let what = "whether another sidecar uses our names is unknown: the node does not list \
                        its connections";
            return vec![Finding::note(Check::Rival, &place, what)];
        }
        return Vec::new();
    };
    let ours = our_names(node, &facts.bucket, config);
    let is_open = |connection: &&DcpConnection| !connection.is_ending;
    let open: Vec<&str> =
        listed.iter().filter(is_open).map(|connection| connection.name.as_str()).collect();
    let same: Vec<&str> = open.iter().copied().filter(|name| ours.contains(*name)).collect();
    let mut findings = vec![same_names(&same, facts, config, sidecar, &place)];
    if node.side == Side::Consumer {
        let others: Vec<&str> = open
            .iter()
            .copied()
            .filter(|name| name.starts_with("replication:") && !ours.contains(*name))
            .collect();
        if !others.is_empty() {
            let what = format!("others replicate to this node too: {}", shown(&others));
            let remedy = "make sure that no vBucket is replicated twice";
            findings.push(Finding::note(Check::Rival, &place, what).with(remedy));
        }
    }
    findings
}

/// The names of all connections that a sidecar of this configuration may open at a node.
fn our_names(node: &NodeFacts, bucket: &str, config: &Config) -> BTreeSet<String> {
    let own = config.node.name();
    let producers = config.producers.iter().map(crate::config::Node::name);
    let of_node = producers.filter(|name| node.side == Side::Consumer || *name == node.name);
    let numbers = 0..Connections::MAX.count();
    let names = of_node.flat_map(|producer| {
        numbers.clone().map(move |number| connection_name(producer, own, bucket, number))
    });
    names.collect()
}

fn same_names(
    names: &[&str],
    facts: &BucketFacts,
    config: &Config,
    sidecar: &Sidecar,
    place: &Place,
) -> Finding {
    let own = config.node.name();
    let remedy = format!(
        "find the other sidecar with [node] name {own:?} and stop it, or give each its own name"
    );
    let rival = |why: String| {
        let what = format!("open connections with the names of our links: {}: {why}", shown(names));
        Finding::warning(Check::Rival, place, what, remedy.clone())
    };
    match sidecar {
        _ if names.is_empty() => {
            Finding::ok(Check::Rival, place, "no connection has the name of a link of ours")
        }
        Sidecar::Runs(running) if running.node == own => {
            match running.links_up.get(&facts.bucket) {
                Some(0) => rival("our sidecar has no link of this bucket open".to_owned()),
                _ => {
                    let plural = if names.len() == 1 { "" } else { "s" };
                    let what = format!("{} connection{plural} of our sidecar", names.len());
                    Finding::ok(Check::Rival, place, what)
                }
            }
        }
        Sidecar::Unknown(why) | Sidecar::Stranger(why) => {
            let what = format!(
                "open connections with the names of our links: {}; whether they are those of our \
                 sidecar is unknown: {why}",
                shown(names)
            );
            Finding::note(Check::Rival, place, what)
        }
        Sidecar::Silent(_) | Sidecar::Runs(_) => {
            rival(format!("no sidecar of ours answers at {}", config.admin.listen))
        }
    }
}

fn shown(names: &[&str]) -> String {
    let first: Vec<_> = names.iter().take(LISTED_MAX).copied().collect();
    let more = names.len().saturating_sub(first.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    first.join(", ") + &more
}
