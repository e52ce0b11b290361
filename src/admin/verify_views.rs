//! The body of `GET /api/v1/verify`, and its part of the status.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dcp_actors::schema::VbSetText;
use replica::plan::VbSet;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::utc;
use crate::verification::{Board, ByClass, Record, Run, Target};

/// What is known of the copies.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verification)]
pub(super) struct VerifyView {
    /// How often everything is compared, in seconds; 0 for on request only.
    interval_s: u64,
    /// The most bytes a second that are read, of both nodes together.
    rate_bytes_per_s: u64,
    /// Each bucket and producer.
    targets: Vec<TargetView>,
}

/// A bucket and a producer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifiedTarget)]
struct TargetView {
    bucket: String,
    producer: String,
    /// vBuckets that were compared since the start and are still replicated.
    compared: usize,
    /// Those of them that differ, as far as is known.
    #[schema(value_type = VbSetText)]
    differing: VbSet,
    /// Those that could not be compared when they were looked at.
    #[schema(value_type = VbSetText)]
    unclear: VbSet,
    /// What was found in them, by class.
    differences: BTreeMap<&'static str, u64>,
    /// Some of the differences, in words.
    samples: Vec<SampleView>,
    /// Whether a comparison was asked for that has not begun.
    asked: bool,
    /// The comparison that runs or waits; null for none.
    current: Option<CurrentView>,
    /// The last comparison that came to its end; null for none.
    last: Option<RunView>,
    /// The last comparison, if it failed.
    failure: Option<FailureView>,
    /// When the next one is due; null where none is planned.
    next: Option<String>,
}

/// A difference.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DifferenceSample)]
struct SampleView {
    vbucket: u16,
    /// In a sentence for people.
    what: String,
}

/// A comparison that has begun.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CurrentComparison)]
struct CurrentView {
    began: String,
    /// vBuckets that are left to compare.
    left: usize,
    /// Why it waits, in words; null while it does not.
    held: Option<String>,
}

/// A comparison that came to its end.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LastComparison)]
struct RunView {
    ended: String,
    elapsed_ms: u64,
    /// vBuckets and rows that were compared.
    vbuckets: usize,
    rows: u64,
    /// vBuckets that were left out, because their streams were not open.
    #[schema(value_type = VbSetText)]
    skipped: VbSet,
    /// vBuckets that differed.
    #[schema(value_type = VbSetText)]
    differing: VbSet,
    /// vBuckets that could not be compared.
    #[schema(value_type = VbSetText)]
    unclear: VbSet,
    /// What was found in them, by class.
    differences: BTreeMap<&'static str, u64>,
}

/// A comparison that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailedComparison)]
struct FailureView {
    at: String,
    error: String,
}

impl VerifyView {
    /// `asked` has the targets for which a comparison was asked that has not begun.
    pub(super) fn of(board: &Board, asked: &BTreeSet<Target>) -> Self {
        let target = |(target, record): (&Target, &Record)| {
            TargetView::of(target, record, asked.contains(target))
        };
        Self {
            interval_s: board.interval.map_or(0, |every| every.as_secs()),
            rate_bytes_per_s: board.rate,
            targets: board.targets.iter().map(target).collect(),
        }
    }
}

impl TargetView {
    fn of(Target { bucket, producer }: &Target, record: &Record, asked: bool) -> Self {
        let sample =
            |(vb, what): (mcbp::VbId, &str)| SampleView { vbucket: vb.0, what: what.to_owned() };
        Self {
            bucket: bucket.clone(),
            producer: producer.clone(),
            compared: record.compared(),
            differing: record.differing().collect(),
            unclear: record.unclear().collect(),
            differences: words(&record.by_class()),
            samples: record.samples().map(sample).collect(),
            asked,
            current: record.current.as_ref().map(|current| CurrentView {
                began: utc(current.began),
                left: current.left,
                held: current.held.map(|held| held.to_string()),
            }),
            last: record.last.as_ref().map(RunView::of),
            failure: record
                .failure
                .as_ref()
                .map(|it| FailureView { at: utc(it.at), error: it.why.clone() }),
            next: record.next.map(utc),
        }
    }
}

impl RunView {
    fn of(run: &Run) -> Self {
        Self {
            ended: utc(run.ended),
            elapsed_ms: millis(run.took),
            vbuckets: run.vbuckets,
            rows: run.rows,
            skipped: run.skipped.clone(),
            differing: run.differing.clone(),
            unclear: run.unclear.clone(),
            differences: words(&run.by_class),
        }
    }
}

fn words(by_class: &ByClass) -> BTreeMap<&'static str, u64> {
    by_class.iter().map(|(class, count)| (class.as_str(), *count)).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The verification of the copies of a bucket, in the status.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = VerificationSummary)]
pub(super) struct Summary {
    /// vBuckets that were compared since the start and are still replicated.
    compared: usize,
    /// Those of them that differ, as far as is known.
    differing: usize,
    /// Those that could not be compared when they were looked at.
    unclear: usize,
    /// What was found in them, by class.
    differences: BTreeMap<&'static str, u64>,
    /// Whether a comparison runs or waits.
    running: bool,
    /// When the last comparison of the bucket ended; null for none.
    last: Option<String>,
    /// When the next one is due; null where none is planned.
    next: Option<String>,
    /// Why the last comparison failed, if it did.
    error: Option<String>,
}

impl Summary {
    pub(super) fn of(board: &Board, bucket: &str) -> Self {
        let records = || board.targets.iter().filter(|(target, _)| target.bucket == bucket);
        let records = || records().map(|(_, record)| record);
        let mut by_class = ByClass::new();
        for (class, count) in records().flat_map(Record::by_class) {
            *by_class.entry(class).or_default() += count;
        }
        Self {
            compared: records().map(Record::compared).sum(),
            differing: records().map(|record| record.differing().count()).sum(),
            unclear: records().map(|record| record.unclear().count()).sum(),
            differences: words(&by_class),
            running: records().any(|record| record.current.is_some()),
            last: records().filter_map(|it| Some(it.last.as_ref()?.ended)).max().map(utc),
            next: records().filter_map(|it| it.next).min().map(utc),
            error: records().find_map(|it| Some(it.failure.as_ref()?.why.clone())),
        }
    }
}
