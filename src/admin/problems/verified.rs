//! Copies that differ from their producer, as comparisons have found; and comparisons that failed.

use dcp_actors::BucketStatus;
use replica::plan::VbSet;

use super::facts::Facts;
use super::{Problem, vbuckets};
use crate::vb_state::Severity;
use crate::verification::{ByClass, Record, Target, in_words};

/// The problems of all targets of bucket and producer.
pub(super) fn problems(facts: &Facts<'_>) -> Vec<Problem> {
    let targets = &facts.verified.targets;
    let of = |(target, record)| [differ(facts, target, record), failed(facts, target, record)];
    targets.iter().flat_map(of).flatten().collect()
}

fn differ(facts: &Facts<'_>, target: &Target, record: &Record) -> Option<Problem> {
    let Target { bucket, producer } = target;
    let vbs: VbSet = record.differing().collect();
    if vbs.is_empty() {
        return None;
    }
    let found: ByClass =
        record.by_class().into_iter().filter(|(class, _)| !class.is_unknown()).collect();
    let verb = if vbs.len() == 1 { "differs" } else { "differ" };
    let what = format!(
        "{} {verb} between producer {producer} and our node {}: {}",
        vbuckets(vbs.len(), bucket),
        facts.node,
        in_words(&found)
    );
    let renewed = being_renewed(facts.buckets, bucket, &vbs);
    let remedy = if renewed {
        "wait: copies are being made anew, and are compared again after that".to_owned()
    } else {
        let repair = facts.command_of(&["verify", "--repair"], &[bucket]);
        format!("{repair} makes these copies anew; take nothing over before")
    };
    let problem = Problem::new(Severity::Error, "copies-differ", what, remedy).at(producer);
    let since = record.last.as_ref().map(|last| last.ended);
    Some(problem.about(bucket, &vbs).since(since))
}

/// Whether one of these copies is being rolled back.
fn being_renewed(buckets: &[BucketStatus], bucket: &str, vbs: &VbSet) -> bool {
    let links = buckets.iter().filter(|it| it.bucket == *bucket).flat_map(|it| &it.links);
    let mut streams = links.flat_map(|link| &link.streams);
    streams.any(|stream| {
        stream.complete_to.is_some() && vbs.as_set().contains(&mcbp::VbId(stream.vbucket))
    })
}

fn failed(facts: &Facts<'_>, target: &Target, record: &Record) -> Option<Problem> {
    let Target { bucket, producer } = target;
    let again = facts.command_of(&["verify", "--in-sidecar"], &[bucket]);
    let problem = |what: String, remedy: String| {
        Problem::new(Severity::Warning, "verify-failed", what, remedy).at(producer)
    };
    if let Some(failure) = &record.failure {
        let what = format!(
            "the last comparison of {bucket} with producer {producer} failed: {}",
            failure.why
        );
        let remedy =
            format!("remove the cause; it is repeated at the next interval, or by {again}");
        return Some(problem(what, remedy).of_bucket(bucket).since(Some(failure.at)));
    }
    let unclear: VbSet = record.unclear().collect();
    if unclear.is_empty() {
        return None;
    }
    let found: ByClass =
        record.by_class().into_iter().filter(|(class, _)| class.is_unknown()).collect();
    let what = format!(
        "{} could not be compared with producer {producer}: {}",
        vbuckets(unclear.len(), bucket),
        in_words(&found)
    );
    let remedy = format!(
        "see their streams; they are compared again at the next interval, or by \
                          {again}"
    );
    let since = record.last.as_ref().map(|last| last.ended);
    Some(problem(what, remedy).about(bucket, &unclear).since(since))
}
