//! Features: those of a link must be granted by both ends.

use mcbp::Feature;
use relay::LINK_FEATURES;

use crate::doctor::facts::NodeFacts;
use crate::doctor::finding::{Check, Finding, Place};

/// The findings about the features of a node whose links lead to `peers`.
pub(super) fn features(node: &NodeFacts, peers: &[&NodeFacts]) -> Vec<Finding> {
    let Some(Ok(granted)) = &node.login else { return Vec::new() };
    let place = Place::node(node.side, &node.name);
    let missing = |feature: &&Feature| !granted.contains(feature);
    let (optional, needed): (Vec<Feature>, Vec<Feature>) =
        LINK_FEATURES.iter().filter(missing).partition(|feature| **feature == Feature::SNAPPY);
    let mut findings = Vec::new();
    if !needed.is_empty() {
        let ends = others(&needed, peers);
        let what = format!("the node does not grant {needed:?}, which every link needs{ends}");
        let remedy = "enable them at this node, or use a version of the node that has them";
        findings.push(Finding::error(Check::Features, &place, what, remedy));
    }
    if !optional.is_empty() {
        let ends = others(&optional, peers);
        let what =
            format!("the node does not grant {optional:?}{ends}: values are sent uncompressed");
        findings.push(Finding::note(Check::Features, &place, what));
    }
    if findings.is_empty() {
        let what = format!("the node grants all that a link asks for: {granted:?}");
        findings.push(Finding::ok(Check::Features, &place, what));
    }
    findings
}

/// Which of the other ends grant what this one does not.
fn others(missing: &[Feature], peers: &[&NodeFacts]) -> String {
    let grants = |peer: &&&NodeFacts| match &peer.login {
        Some(Ok(granted)) => missing.iter().any(|feature| granted.contains(feature)),
        _ => false,
    };
    let names: Vec<_> = peers.iter().filter(grants).map(|peer| peer.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("; only {} does", names.join(", ")) }
}
