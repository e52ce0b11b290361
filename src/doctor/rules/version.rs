//! What is known of the version of a node.

use crate::doctor::finding::{Check, Finding, Place};

/// A known defect of versions of a node.
struct Known {
    /// The versions that have it.
    has: fn((u32, u32, u32)) -> bool,
    text: &'static str,
    remedy: &'static str,
}

/// Defects that damage replication. Only those whose versions are public.
const KNOWN: [Known; 1] = [Known {
    has: |version| version < (6, 5, 2) || ((6, 6, 0)..(6, 6, 2)).contains(&version),
    text: "a crash in warm-up may lose the failover entry, so that histories part unnoticed \
           (MB-41942)",
    remedy: "upgrade this node to 6.5.2, 6.6.2, 7.0.0 or newer",
}];

pub(super) fn version(place: &Place, version: Option<&str>) -> Vec<Finding> {
    let Some(text) = version else { return Vec::new() };
    let known = parse(text);
    let defects = KNOWN.iter().filter(|defect| known.is_some_and(defect.has));
    let mut findings: Vec<_> = defects
        .map(|defect| {
            let what = format!("the node is version {text}: {}", defect.text);
            Finding::warning(Check::Version, place, what, defect.remedy)
        })
        .collect();
    if findings.is_empty() {
        let what = format!("the node is version {text}, of which no defect is known here");
        findings.push(Finding::ok(Check::Version, place, what));
    }
    findings
}

/// The version of Couchbase in a text such as `7.6.2-3721-enterprise`; `None` for other programs.
fn parse(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn mb_41942_is_told_of_the_versions_that_have_it() {
        let cases = [
            ("6.5.1-6299", Level::Warning),
            ("6.5.2-6634", Level::Ok),
            ("6.6.0-7909", Level::Warning),
            ("6.6.1", Level::Warning),
            ("6.6.2-9588-enterprise", Level::Ok),
            ("5.0.0", Level::Warning),
            ("7.0.0-5302", Level::Ok),
            ("8.0.2", Level::Ok),
            ("8.0.2-0000-dcp-proxy-0.1.0", Level::Ok),
            ("6", Level::Ok),
            ("", Level::Ok),
        ];
        for (text, level) in cases {
            let found = version(&Place::here(), Some(text));
            assert_eq!(found.iter().map(|it| it.level).collect::<Vec<_>>(), [level], "{text}");
        }
        assert!(version(&Place::here(), None).is_empty(), "a node that was not reached");
    }
}
