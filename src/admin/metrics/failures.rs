//! The counts of failures. Every kind that is usual has a sample from the start, with 0:
//! Prometheus' `increase()` does not see the first failure of a kind whose series begins with it.

use std::collections::BTreeMap;
use std::fmt;

use dcp_actors::{BucketStatus, FailureCount};
use mcbp::{Side, Status, StreamEndStatus};
use replica::link::{NodeAnswer, ReasonCode};

use super::{Out, Snapshot};

/// The refusals of DCP_OPEN, ADD_STREAM and STREAM_REQ, and of a login, that are usual.
const REFUSALS: [Status; 12] = [
    Status::KEY_ENOENT,
    Status::KEY_EEXISTS,
    Status::EINVAL,
    Status::NOT_MY_VBUCKET,
    Status::NO_BUCKET,
    Status::AUTH_ERROR,
    Status::ERANGE,
    Status::EACCESS,
    Status::ENOMEM,
    Status::NOT_SUPPORTED,
    Status::EBUSY,
    Status::ETMPFAIL,
];
/// The reasons of STREAM_END.
const ENDS: [StreamEndStatus; 9] = [
    StreamEndStatus::OK,
    StreamEndStatus::CLOSED,
    StreamEndStatus::STATE_CHANGED,
    StreamEndStatus::DISCONNECTED,
    StreamEndStatus::SLOW,
    StreamEndStatus::BACKFILL_FAIL,
    StreamEndStatus::ROLLBACK,
    StreamEndStatus::FILTER_EMPTY,
    StreamEndStatus::LOST_PRIVILEGES,
];
/// The failures of a stream that no node answers with a status.
const STREAM_REASONS: [ReasonCode; 7] = [
    ReasonCode::Incomplete,
    ReasonCode::RollingBack,
    ReasonCode::Stalled,
    ReasonCode::Deadline,
    ReasonCode::LinkLost,
    ReasonCode::Protocol,
    ReasonCode::Internal,
];

/// A kind of failure, as its labels are. No label is an empty one.
type Kind = (&'static str, &'static str, String);

/// The word for a side at fault.
fn side_name(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Producer) => "producer",
        Some(Side::Consumer) => "consumer",
        None => "",
    }
}

fn usual_of_links() -> Vec<Kind> {
    let both = ["producer", "consumer"];
    let refused = both.into_iter().flat_map(|side| {
        REFUSALS.map(|status| (side, ReasonCode::Refused.name(), text(&NodeAnswer::Status(status))))
    });
    let lost = [ReasonCode::LinkLost, ReasonCode::Stalled].into_iter();
    let lost = lost.flat_map(|reason| both.map(|side| (side, reason.name(), String::new())));
    let internal = ("", ReasonCode::Internal.name(), String::new());
    refused.chain(lost).chain([internal]).collect()
}

fn usual_of_streams() -> Vec<Kind> {
    let refused = [ReasonCode::Refused, ReasonCode::RowRefused, ReasonCode::StreamGone];
    let refused = refused.into_iter().flat_map(|reason| {
        REFUSALS.map(|status| ("", reason.name(), text(&NodeAnswer::Status(status))))
    });
    let ends =
        ENDS.map(|end| ("", ReasonCode::StreamEnd.name(), text(&NodeAnswer::StreamEnd(end))));
    let others = STREAM_REASONS.map(|reason| ("", reason.name(), String::new()));
    refused.chain(ends).chain(others).collect()
}

fn text(answer: &NodeAnswer) -> String {
    answer.to_string()
}

impl Snapshot {
    pub(super) fn failures(&self, out: &mut Out<'_>) -> fmt::Result {
        let streams = self.counts(&usual_of_streams(), |s| &s.stream_failures, |_| "");
        let samples = streams.iter().map(|((bucket, producer, (_, reason, status)), count)| {
            let labels = [
                ("bucket", *bucket),
                ("producer", producer),
                ("reason", reason),
                ("status", status.as_str()),
            ];
            (labels, *count)
        });
        out.counter("dcp_proxy_stream_failures", "Streams that failed or ended", samples)?;
        let links = self.counts(&usual_of_links(), |s| &s.link_failures, |f| side_name(f.side));
        let samples = links.iter().map(|((bucket, producer, (side, reason, status)), count)| {
            let labels = [
                ("bucket", *bucket),
                ("producer", producer),
                ("reason", reason),
                ("side", side),
                ("status", status.as_str()),
            ];
            (labels, *count)
        });
        out.counter(
            "dcp_proxy_link_failures",
            "Links that were lost or could not be opened",
            samples,
        )
    }

    /// The counts of the usual kinds, and of those that occurred.
    fn counts(
        &self,
        usual: &[Kind],
        counted: fn(&BucketStatus) -> &[FailureCount],
        side: fn(&FailureCount) -> &'static str,
    ) -> BTreeMap<(&str, &str, Kind), u64> {
        let mut counts = BTreeMap::new();
        for (bucket, producer) in &self.expected {
            for kind in usual {
                counts.insert((bucket.as_str(), producer.as_str(), kind.clone()), 0);
            }
        }
        for status in &self.buckets {
            for failure in counted(status) {
                let answer = failure.status.as_ref().map(text).unwrap_or_default();
                let kind = (side(failure), failure.reason.name(), answer);
                let key = (status.bucket.as_str(), failure.producer.as_str(), kind);
                *counts.entry(key).or_default() += failure.count;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who meets an answer of a node in a label finds there what to do.
    #[test]
    fn every_usual_answer_of_a_node_is_in_the_documents() {
        let page = include_str!("../../../docs/couchbase.md");
        let refusals = REFUSALS.map(|status| text(&NodeAnswer::Status(status)));
        let ends = ENDS.map(|end| text(&NodeAnswer::StreamEnd(end)));
        for answer in refusals.iter().chain(&ends) {
            let is_there = page.contains(&format!("`{answer}`"));
            assert!(is_there, "docs/couchbase.md does not say what to do about {answer}");
        }
    }
}
