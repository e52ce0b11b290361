//! What comparisons of copies with their producers have found.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Out, Snapshot};
use crate::admin::state::State;
use crate::verification::{Board, Record, Target};
use crate::verify::Class;

/// The results of runs, in the order of their counts.
const RESULTS: [&str; 3] = ["identical", "different", "failed"];

/// A reading of the verification.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading(Board);

impl Reading {
    /// Before replication has started, of every bucket and producer of the configuration.
    pub(super) fn of(state: &State) -> Self {
        let mut board =
            state.running().map_or_else(Board::default, |it| it.verification.read(Board::clone));
        let config = state.sources.config();
        board.interval = config.verify.interval;
        for bucket in state.buckets() {
            for producer in state.producers() {
                let target = Target { bucket: bucket.clone(), producer };
                board.targets.entry(target).or_default();
            }
        }
        Self(board)
    }

    /// A value of each target.
    fn each<V>(
        &self,
        value: impl Fn(&Record) -> V,
    ) -> impl Iterator<Item = ([(&'static str, &str); 2], V)> {
        self.0.targets.iter().map(move |(target, record)| (labels(target), value(record)))
    }
}

fn labels(target: &Target) -> [(&'static str, &str); 2] {
    [("bucket", target.bucket.as_str()), ("producer", target.producer.as_str())]
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl Snapshot {
    pub(super) fn verify(&self, out: &mut Out<'_>) -> fmt::Result {
        let it = &self.verify;
        let interval = it.0.interval.map_or(0.0, |every| every.as_secs_f64());
        let help = "How often copies are compared with their producers; 0 for on request only";
        out.gauge("dcp_proxy_verify_interval_seconds", help, [([], interval)])?;
        let runs = it.0.targets.iter().flat_map(|(target, record)| {
            let [bucket, producer] = labels(target);
            let results = RESULTS.into_iter().zip(record.counts.runs);
            results.map(move |(result, count)| ([bucket, producer, ("result", result)], count))
        });
        out.counter("dcp_proxy_verify_runs", "Comparisons of copies, by result", runs)?;
        let help = "vBuckets that were compared";
        out.counter("dcp_proxy_verify_vbuckets", help, it.each(|record| record.counts.vbuckets))?;
        let help = "Rows that were compared";
        out.counter("dcp_proxy_verify_rows", help, it.each(|record| record.counts.rows))?;
        let help = "Bytes that comparisons have read, of both nodes";
        out.counter("dcp_proxy_verify_bytes", help, it.each(|record| record.counts.bytes))?;
        let running = it.each(|record| u64::from(record.current.is_some()));
        out.gauge("dcp_proxy_verify_running", "1 while a comparison runs or waits", running)?;
        let last = |record: &Record| record.last.as_ref().map(|last| seconds(last.ended));
        let last = it.each(last).filter_map(|(labels, value)| Some((labels, value?)));
        let help = "When the last comparison ended that did not fail, in seconds since 1970";
        out.gauge("dcp_proxy_verify_last_run_timestamp_seconds", help, last)?;
        let took = |record: &Record| record.last.as_ref().map(|last| last.took.as_secs_f64());
        let took = it.each(took).filter_map(|(labels, value)| Some((labels, value?)));
        let help = "How long that comparison took";
        out.gauge("dcp_proxy_verify_last_run_seconds", help, took)?;
        let differing = it.each(|record| record.differing().count());
        let help = "vBuckets that are known to differ from their producer";
        out.gauge("dcp_proxy_verify_differing_vbuckets", help, differing)?;
        let found: Vec<_> =
            it.0.targets.iter().map(|(target, record)| (target, record.by_class())).collect();
        let differences = found.iter().flat_map(|(target, by_class)| {
            let [bucket, producer] = labels(target);
            Class::ALL.into_iter().map(move |class| {
                let count = by_class.get(&class).copied().unwrap_or(0);
                ([bucket, producer, ("class", class.as_str())], count)
            })
        });
        let help = "What is known to differ, by class";
        out.gauge("dcp_proxy_verify_differences", help, differences)
    }
}
