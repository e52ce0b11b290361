//! A bucket of one node: whether it can be selected, what the user may do, DCP, topologies.

use mcbp::{Side, Status};
use replica::topology::TopologyMismatch;

use super::bytes;
use super::maps::{is_followed, is_spared};
use super::reach::{failed, slow};
use crate::config::Config;
use crate::doctor::facts::{BucketFacts, Need, NodeFacts};
use crate::doctor::failure::Failure;
use crate::doctor::finding::{Check, Finding, Place};

/// The rate, in bytes a second, below which a window is worth a warning: a busy producer writes
/// more.
const RATE_WARNING: u64 = 10_000_000;

pub(super) fn bucket(node: &NodeFacts, facts: &BucketFacts, config: &Config) -> Vec<Finding> {
    let place = Place::node(node.side, &node.name).bucket(&facts.bucket);
    let mut findings = Vec::new();
    match &facts.opened {
        None => return findings,
        Some(Err(failure)) => return vec![failed(Check::Bucket, &place, failure)],
        Some(Ok(())) => {
            findings.push(Finding::ok(Check::Bucket, &place, "the bucket can be selected"));
        }
    }
    findings.extend(privileges(node.side, facts, config, &place));
    findings.extend(topology(node, facts, config, &place));
    if let Some(failure) = &facts.broken {
        findings.push(match failure {
            Failure::Silent(_) => slow(&place, failure.sentence()),
            _ => failed(Check::Answers, &place, failure),
        });
    }
    findings.extend(dcp(node, facts, &place));
    findings
}

/// The name of a request, the privilege that it needs, and what does not work without it.
const fn needs(need: Need) -> (&'static str, &'static str, &'static str) {
    match need {
        Need::Seqnos => ("GET_ALL_VB_SEQNOS", "MetaRead", "lag and states are unknown"),
        Need::Statistics => ("STAT", "SimpleStats", "topologies and clocks are not checked"),
        Need::Connections => ("STAT dcp", "Stats", "rivals are not found, moves fail"),
        Need::SetState => {
            ("SET_VBUCKET", "NodeSupervisor (older: BucketManagement)", "takeovers and moves fail")
        }
    }
}

fn privileges(side: Side, facts: &BucketFacts, config: &Config, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    let answers = || facts.answers.iter().filter(|(need, _)| !is_spared(**need, side, config));
    for (need, status) in answers() {
        let (request, privilege, without) = needs(*need);
        match *status {
            Status::EACCESS => {
                let what = format!("the user may not send {request} ({status}): {without}");
                let remedy = format!("give the user the privilege {privilege} in this bucket");
                findings.push(Finding::error(Check::Privileges, place, what, remedy));
            }
            Status::UNKNOWN_COMMAND | Status::NOT_SUPPORTED => {
                let what = format!("the node does not know {request} ({status}): {without}");
                let remedy = "use a version of the node that has it";
                findings.push(Finding::warning(Check::Privileges, place, what, remedy));
            }
            _ => {}
        }
    }
    let names: Vec<_> = answers().map(|(need, _)| needs(*need).0).collect();
    if findings.is_empty() && !names.is_empty() {
        let what = format!("the user may send {}", names.join(", "));
        findings.push(Finding::ok(Check::Privileges, place, what));
    }
    findings
}

fn topology(
    node: &NodeFacts,
    facts: &BucketFacts,
    config: &Config,
    place: &Place,
) -> Option<Finding> {
    // Those of a cluster that is followed name its own nodes, and count none of ours.
    if node.side == Side::Consumer || facts.topologies.is_empty() || is_followed(config) {
        return None;
    }
    let Some(mismatch) = TopologyMismatch::of(config.node.consumer_name(), &facts.topologies)
    else {
        let what = if facts.topologies.iter().all(std::collections::BTreeSet::is_empty) {
            "the topologies that were read name no replica: no durable writes wait for one"
        } else {
            "the topologies name our node"
        };
        return Some(Finding::ok(Check::Topology, place, what));
    };
    let text = mismatch.to_string();
    let (what, remedy) = text.split_once("; ").unwrap_or((&text, "correct [node] consumer_name"));
    Some(Finding::warning(Check::Topology, place, what, remedy))
}

fn dcp(node: &NodeFacts, facts: &BucketFacts, place: &Place) -> Vec<Finding> {
    let mut findings = match &facts.dcp {
        None => return Vec::new(),
        // Told by the features of the node.
        Some(Err(Failure::Features(_))) => return Vec::new(),
        Some(Err(Failure::Refused(Status::EACCESS, _))) => {
            let what = format!("the user may not open a DCP connection as {}", node.side);
            let remedy =
                format!("give the user the privilege {} in this bucket", privilege(node.side));
            return vec![Finding::error(Check::Dcp, place, what, remedy)];
        }
        Some(Err(failure @ Failure::Broken(_))) => {
            let remedy = format!(
                "see the log of the node; some close the connection of a user without {}",
                privilege(node.side)
            );
            return vec![Finding::error(Check::Dcp, place, failure.sentence(), remedy)];
        }
        Some(Err(failure)) => return vec![failed(Check::Dcp, place, failure)],
        Some(Ok(())) => vec![Finding::ok(
            Check::Dcp,
            place,
            format!("a DCP connection to this {} can be opened", node.side),
        )],
    };
    if node.side == Side::Consumer {
        findings.push(window(facts.window_bytes, place));
    }
    findings
}

/// The privilege to open a DCP connection to a node.
const fn privilege(side: Side) -> &'static str {
    match side {
        Side::Consumer => "DcpConsumer",
        Side::Producer => "DcpProducer",
    }
}

/// The window of the consumer: how many bytes may be under way on one connection.
fn window(bytes_max: Option<u64>, place: &Place) -> Finding {
    match bytes_max {
        None => {
            let what = "the flow-control window is unknown: the node does not tell it";
            Finding::note(Check::Window, place, what)
        }
        Some(0) => {
            let what = "flow control is off: a slow node makes the producer buffer without limit";
            Finding::warning(Check::Window, place, what, "enable flow control at this node")
        }
        Some(window) => {
            let what = format!("a connection has a window of {}", bytes(window));
            Finding::ok(Check::Window, place, what)
        }
    }
}

/// Whether a window limits the rate over a long way. It is for a pair of nodes: the round trip is
/// that of the producer, from this machine.
pub(super) fn rate(producer: &NodeFacts, window_bytes: u64, place: &Place) -> Option<Finding> {
    let round_trip = producer.round_trip()?;
    let us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX).max(1);
    let rate = window_bytes.saturating_mul(1_000_000) / us;
    (rate < RATE_WARNING).then(|| {
        let what = format!(
            "with a window of {} at our node and a round trip of {:.1} ms a connection carries at \
             most {}/s",
            bytes(window_bytes),
            round_trip.as_secs_f64() * 1000.0,
            bytes(rate)
        );
        let remedy = "give our node's bucket more memory, or [[bucket]] more connections";
        Finding::warning(Check::Window, place, what, remedy)
    })
}
