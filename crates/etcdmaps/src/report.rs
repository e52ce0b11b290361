//! What a sidecar reports of a bucket: sets as text, few words, bounded.

use std::collections::BTreeMap;

use replica::plan::VbSet;
use serde::{Deserialize, Serialize};

/// Reasons of failures that are reported one by one; the others are one set.
const FAILING_MAX: usize = 16;
/// The longest reason, in bytes.
const REASON_BYTES_MAX: usize = 200;

/// What the sidecar of a node reports of a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The revision of the map in etcd that is the source now (`mod_revision`); 0 before the first.
    pub revision: i64,
    /// The vBuckets that are replicated, by producer.
    pub open: BTreeMap<String, VbSet>,
    /// The vBuckets that are wanted and not replicated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<Failing>,
    /// Changes that the node's copies are behind by, in all; `None` where it is unknown.
    pub lag: Option<u64>,
    /// How many vBuckets and settings differ from the map in etcd, by changes at run time.
    pub drift: u64,
    /// The newest value in etcd, if it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// vBuckets that fail for the same reason.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Failing {
    /// Their producer; `None` for those whose reasons were too many.
    pub producer: Option<String>,
    /// The vBuckets.
    pub vbuckets: VbSet,
    /// Why.
    pub reason: String,
}

/// A value in etcd that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Refused {
    /// The revision that wrote it (`mod_revision`).
    pub revision: i64,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
}

impl Report {
    /// The report as the value of a key: few reasons, and short ones.
    #[must_use]
    pub fn text(&self) -> String {
        let mut short = self.clone();
        for failing in &mut short.failing {
            failing.reason = logline::capped(&failing.reason, REASON_BYTES_MAX);
        }
        if let Some(refused) = &mut short.refused {
            refused.reason = logline::capped(&refused.reason, REASON_BYTES_MAX);
        }
        if short.failing.len() > FAILING_MAX {
            let others = short.failing.split_off(FAILING_MAX);
            let reason = format!("{} other reasons: see dcp-proxy streams", others.len());
            let vbuckets = others.iter().flat_map(|it| it.vbuckets.iter()).collect();
            short.failing.push(Failing { producer: None, vbuckets, reason });
        }
        // A report has no map with keys other than texts, so it can be written.
        serde_json::to_string(&short).unwrap_or_default()
    }

    /// Whether only the lag differs from `other`, which can wait.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        let without = |report: &Self| Self { lag: None, ..report.clone() };
        self == other || without(self) == without(other)
    }
}

#[cfg(test)]
mod tests {
    //! The form, and its bound.

    use super::*;

    #[test]
    fn a_report_is_compact_and_read_as_it_is_written() {
        let open = [("alpha".to_owned(), "0-510".parse().unwrap())].into();
        let failing = Failing {
            producer: Some("alpha".to_owned()),
            vbuckets: "511".parse().unwrap(),
            reason: "refused".to_owned(),
        };
        let report =
            Report { revision: 7, open, failing: vec![failing], lag: Some(3), ..Report::default() };
        let text = report.text();
        assert_eq!(
            text,
            concat!(
                r#"{"revision":7,"open":{"alpha":"0-510"},"failing":[{"producer":"alpha","#,
                r#""vbuckets":"511","reason":"refused"}],"lag":3,"drift":0}"#
            )
        );
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        assert!(report.is_alike(&Report { lag: Some(99), ..report.clone() }));
        assert!(!report.is_alike(&Report { revision: 8, ..report.clone() }));
    }

    #[test]
    fn a_report_is_bounded_however_many_reasons_there_are() {
        let failing = (0..1024u16).map(|vb| Failing {
            producer: Some("p".repeat(100)),
            vbuckets: vb.to_string().parse().unwrap(),
            reason: format!("{vb}: {}", "x".repeat(10_000)),
        });
        let text = Report { failing: failing.collect(), ..Report::default() }.text();
        assert!(text.len() < 16 * 1024, "{} bytes", text.len());
        assert!(text.contains(r#""vbuckets":"16-1023","reason":"1008 other reasons"#), "{text}");
    }
}
