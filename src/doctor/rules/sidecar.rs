//! The running sidecar: whether it is ready, and runs the configuration of the file.

use crate::config::Config;
use crate::doctor::facts::{Running, Sidecar};
use crate::doctor::finding::{Check, Finding, Place};

/// How many keys or reasons a finding lists.
const LISTED_MAX: usize = 8;

pub(super) fn sidecar(facts: &Sidecar, config: &Config) -> Vec<Finding> {
    let here = Place::here();
    match facts {
        Sidecar::Unknown(why) => {
            let what = format!("whether a sidecar runs is unknown: {why}");
            vec![Finding::note(Check::Sidecar, &here, what).with("give [admin] listen a port")]
        }
        Sidecar::Silent(_) => {
            let what = format!("no sidecar runs: nothing listens at {}", config.admin.listen);
            vec![Finding::note(Check::Sidecar, &here, what).with("start dcp-proxy")]
        }
        Sidecar::Stranger(why) => {
            let remedy = format!(
                "see what listens at {}, and whether [admin] token is its token",
                config.admin.listen
            );
            vec![Finding::error(Check::Sidecar, &here, why, remedy)]
        }
        Sidecar::Runs(running) => runs(running, config),
    }
}

fn runs(running: &Running, config: &Config) -> Vec<Finding> {
    let (here, url) = (Place::here(), &running.url);
    if running.node != config.node.name() {
        let what = format!(
            "the sidecar at {url} serves node {:?}, and this configuration is of {:?}",
            running.node,
            config.node.name()
        );
        return vec![Finding::error(
            Check::Sidecar,
            &here,
            what,
            "give each its own [admin] listen",
        )];
    }
    let mut findings = Vec::new();
    if running.not_ready.is_empty() {
        findings.push(Finding::ok(Check::Sidecar, &here, format!("a sidecar at {url} is ready")));
    } else {
        let what =
            format!("the sidecar at {url} is not ready: {}", listed(&running.not_ready, "; "));
        let remedy = "see dcp-proxy streams, and the other findings";
        findings.push(Finding::warning(Check::Sidecar, &here, what, remedy));
    }
    // What the API may have changed is no sign of another file.
    let is_map = |key: &&String| key.contains(".replicate") || key.ends_with(".connections");
    let (maps, settings): (Vec<_>, Vec<_>) = running.differs.iter().partition(is_map);
    if !settings.is_empty() {
        let settings: Vec<_> = settings.into_iter().cloned().collect();
        let what = format!(
            "the sidecar at {url} runs other settings than this file: {}",
            listed(&settings, ", ")
        );
        let remedy = "reload or restart the sidecar, or give its file with --config";
        findings.push(Finding::warning(Check::Sidecar, &here, what, remedy));
    }
    if !maps.is_empty() {
        let maps: Vec<_> = maps.into_iter().cloned().collect();
        let what = format!(
            "the sidecar at {url} replicates by another map than this file: {}",
            listed(&maps, ", ")
        );
        let remedy = "see whether it was changed at run time (dcp-proxy status), or reload it";
        findings.push(Finding::note(Check::Sidecar, &here, what).with(remedy));
    }
    findings
}

fn listed(all: &[String], separator: &str) -> String {
    let shown: Vec<_> = all.iter().take(LISTED_MAX).map(String::as_str).collect();
    let more = all.len().saturating_sub(shown.len());
    let more = if more > 0 { format!("{separator}and {more} more") } else { String::new() };
    shown.join(separator) + &more
}
