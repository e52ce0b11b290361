//! What follows from the facts: pure functions from facts to findings.
//!
//! - `machine`, `sidecar`: this machine and the running sidecar; `maps`: a cluster that is followed
//! - `reach`: from the address of a node to its login; `version`: what is known of its version
//! - `bucket`: a bucket of one node; `states`: its vBuckets against the map, on both nodes
//! - `features`, `clocks`: what two nodes have to have in common; `rivals`: names of connections

mod bucket;
mod clocks;
mod features;
mod machine;
mod maps;
mod reach;
mod rivals;
mod sidecar;
mod states;
#[cfg(test)]
mod tests;
mod version;

use mcbp::Side;

use super::facts::{Facts, NodeFacts};
use super::finding::{Check, Finding, Place, Report};
use crate::config::{Config, MapSource};

/// Returns the findings: this machine and the sidecar, then node by node.
pub(super) fn judge(facts: &Facts, config: &Config) -> Report {
    let mut findings = machine::machine(&facts.machine, config, facts.now_s);
    findings.extend(sidecar::sidecar(&facts.sidecar, config));
    findings.extend(machine::etcd(&facts.etcd));
    findings.extend(maps::maps(&facts.maps));
    let own = facts.nodes.iter().find(|node| node.side == Side::Consumer);
    for node in &facts.nodes {
        findings.extend(of_node(node, own, facts, config));
    }
    Report { findings }
}

fn of_node(
    node: &NodeFacts,
    own: Option<&NodeFacts>,
    facts: &Facts,
    config: &Config,
) -> Vec<Finding> {
    let place = Place::node(node.side, &node.name);
    if let Some(why) = &node.unchecked {
        let remedy = "start the sidecar, and run this as its user, to have it checked";
        return vec![
            Finding::note(Check::Embedded, &place, format!("not checked: {why}")).with(remedy),
        ];
    }
    let mut findings = reach::reach(node, facts.now_s);
    findings.extend(version::version(&place, node.version.as_deref()));
    let peers: Vec<&NodeFacts> = match node.side {
        Side::Consumer => facts.nodes.iter().filter(|it| it.side == Side::Producer).collect(),
        Side::Producer => own.into_iter().collect(),
    };
    findings.extend(features::features(node, &peers));
    for found in &node.buckets {
        findings.extend(bucket::bucket(node, found, config));
        let desired = config.buckets.iter().find(|bucket| bucket.name == found.bucket);
        if let Some(bucket) = desired.filter(|_| !matches!(config.source, MapSource::Etcd(_))) {
            let states = states::states(node, own, &facts.nodes, bucket);
            let is_followed = maps::is_followed(config);
            findings.extend(states.into_iter().map(|it| match it {
                it if is_followed => maps::of_cluster(it),
                it => it,
            }));
        }
        findings.extend(clocks::clocks(node, found, own));
        findings.extend(rivals::rivals(node, found, config, &facts.sidecar));
    }
    findings
}

/// A number of bytes in a unit that people read.
fn bytes(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.iter().find(|(size, _)| bytes >= *size);
    unit.map_or(format!("{bytes} bytes"), |(size, name)| {
        let tenths = bytes.saturating_mul(10) / size;
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    })
}

/// When something expires, and how bad that is.
fn expiry(place: &Place, what: &str, expires_s: i64, now_s: i64, remedy: &str) -> Finding {
    const DAY_S: i64 = 24 * 3600;
    /// Certificates are usually renewed a month before their end.
    const WARNING_DAYS: i64 = 30;
    let left_s = expires_s.saturating_sub(now_s);
    let days = left_s.div_euclid(DAY_S);
    match () {
        () if left_s <= 0 => {
            let ago = (-left_s) / DAY_S;
            Finding::error(
                Check::Certificate,
                place,
                format!("{what} expired {ago} days ago"),
                remedy,
            )
        }
        () if days < WARNING_DAYS => {
            let what = format!("{what} expires in {days} days");
            Finding::warning(Check::Certificate, place, what, remedy)
        }
        () => Finding::ok(Check::Certificate, place, format!("{what} expires in {days} days")),
    }
}
