//! When a sidecar writes its reports: a machine without sockets and clock.
//!
//! The newest report of a bucket counts. All keys are under one lease, so that they vanish some
//! time after the sidecar. A failure to write pauses the reports and nothing else: maps are followed
//! whether or not reports can be written.

use std::collections::BTreeMap;

use crate::report::Report;

/// How often what is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// How long reports outlive a sidecar that is gone, in seconds. 30: a sidecar that restarts
    /// does not vanish for a moment.
    pub ttl_s: u32,
    /// The least time between two reports of a bucket: what changes faster is summed up.
    pub changed_ms: u64,
    /// The same where only the lag has changed: it always does, and each report is a write to disk
    /// on each member of etcd.
    pub lag_ms: u64,
    /// The pause after a failure.
    pub retry_ms: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { ttl_s: 30, changed_ms: 1_000, lag_ms: 15_000, retry_ms: 5_000 }
    }
}

/// The next thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Ask for a lease of [`Pace::ttl_s`]; then [`Reporter::granted`].
    Grant,
    /// Renew this lease; then [`Reporter::renewed`] or [`Reporter::lease_lost`].
    Renew {
        /// The lease.
        lease: i64,
    },
    /// Write a report under the lease; then [`Reporter::wrote`].
    Put {
        /// The bucket.
        bucket: String,
        /// What is written.
        report: Report,
        /// The lease.
        lease: i64,
    },
    /// Delete the report of a bucket that is not reported any more; then [`Reporter::deleted`].
    Delete {
        /// The bucket.
        bucket: String,
    },
    /// Nothing until this time, or until there is another report.
    Wait {
        /// Milliseconds since 1970.
        until_ms: Option<u64>,
    },
}

/// Decides when reports are written.
#[derive(Debug, Default)]
pub struct Reporter {
    pace: Pace,
    slots: BTreeMap<String, Slot>,
    lease: Option<Lease>,
    not_before_ms: u64,
}

#[derive(Debug, Default)]
struct Slot {
    /// The newest report; `None` where the bucket is not reported any more.
    latest: Option<Report>,
    /// What etcd has under the present lease, and when it was written.
    written: Option<(Report, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    id: i64,
    renew_at_ms: u64,
}

impl Reporter {
    /// Nothing is reported yet.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// Takes all reports that there are. One of a bucket that is left out is deleted.
    pub fn take(&mut self, reports: &BTreeMap<String, Report>) {
        for (bucket, slot) in &mut self.slots {
            if !reports.contains_key(bucket) {
                slot.latest = None;
            }
        }
        for (bucket, report) in reports {
            self.slots.entry(bucket.clone()).or_default().latest = Some(report.clone());
        }
        self.slots.retain(|_, slot| slot.latest.is_some() || slot.written.is_some());
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self, now_ms: u64) -> Step {
        if now_ms < self.not_before_ms {
            return Step::Wait { until_ms: Some(self.not_before_ms) };
        }
        let Some(Lease { id, renew_at_ms }) = self.lease else {
            return match self.slots.values().any(|slot| slot.latest.is_some()) {
                true => Step::Grant,
                false => Step::Wait { until_ms: None },
            };
        };
        if renew_at_ms <= now_ms {
            return Step::Renew { lease: id };
        }
        let mut until_ms = renew_at_ms;
        for (bucket, slot) in &self.slots {
            let Some(due_ms) = slot.due_ms(&self.pace) else { continue };
            if due_ms > now_ms {
                until_ms = until_ms.min(due_ms);
                continue;
            }
            let bucket = bucket.clone();
            return match slot.latest.clone() {
                Some(report) => Step::Put { bucket, report, lease: id },
                None => Step::Delete { bucket },
            };
        }
        Step::Wait { until_ms: Some(until_ms) }
    }

    /// There is a lease; nothing was written under it yet.
    pub fn granted(&mut self, id: i64, now_ms: u64) {
        self.lease = Some(Lease { id, renew_at_ms: self.renew_at_ms(now_ms) });
        self.slots.values_mut().for_each(|slot| slot.written = None);
    }

    /// The lease was renewed.
    pub fn renewed(&mut self, now_ms: u64) {
        let renew_at_ms = self.renew_at_ms(now_ms);
        if let Some(lease) = &mut self.lease {
            lease.renew_at_ms = renew_at_ms;
        }
    }

    /// The lease is over, and with it everything that was written under it.
    pub fn lease_lost(&mut self) {
        self.lease = None;
        self.slots.values_mut().for_each(|slot| slot.written = None);
        self.slots.retain(|_, slot| slot.latest.is_some());
    }

    /// The lease, if there is one.
    #[must_use]
    pub fn lease(&self) -> Option<i64> {
        self.lease.map(|lease| lease.id)
    }

    /// A report was written.
    pub fn wrote(&mut self, bucket: &str, report: Report, now_ms: u64) {
        if let Some(slot) = self.slots.get_mut(bucket) {
            slot.written = Some((report, now_ms));
        }
    }

    /// A report was deleted.
    pub fn deleted(&mut self, bucket: &str) {
        if self.slots.get(bucket).is_some_and(|slot| slot.latest.is_none()) {
            self.slots.remove(bucket);
        }
    }

    /// A step has failed, other than by the loss of the lease.
    pub const fn failed(&mut self, now_ms: u64) {
        self.not_before_ms = now_ms.saturating_add(self.pace.retry_ms);
    }

    /// After a third of its time, so that two renewals may fail.
    fn renew_at_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add(u64::from(self.pace.ttl_s).saturating_mul(1_000) / 3)
    }
}

impl Slot {
    /// When something is to be written; `None` where etcd has the newest report.
    fn due_ms(&self, pace: &Pace) -> Option<u64> {
        match (&self.latest, &self.written) {
            (None, _) | (Some(_), None) => Some(0),
            (Some(latest), Some((written, _))) if latest == written => None,
            (Some(latest), Some((written, at_ms))) => {
                let pause = if latest.is_alike(written) { pace.lag_ms } else { pace.changed_ms };
                Some(at_ms.saturating_add(pause))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Scripts: the lease, the pace, failures.

    use super::*;

    fn report(revision: i64, lag: u64) -> Report {
        Report { revision, lag: Some(lag), ..Report::default() }
    }

    fn all(reports: &[(&str, i64, u64)]) -> BTreeMap<String, Report> {
        let named = reports.iter().map(|&(bucket, at, lag)| (bucket.to_owned(), report(at, lag)));
        named.collect()
    }

    fn put(bucket: &str, revision: i64, lag: u64, lease: i64) -> Step {
        Step::Put { bucket: bucket.to_owned(), report: report(revision, lag), lease }
    }

    fn until(ms: u64) -> Step {
        Step::Wait { until_ms: Some(ms) }
    }

    /// A reporter with a lease from time 0, whose reports of bucket a are written.
    fn settled() -> Reporter {
        let mut reporter = Reporter::new(Pace::default());
        reporter.take(&all(&[("a", 1, 0)]));
        reporter.granted(7, 0);
        reporter.wrote("a", report(1, 0), 0);
        reporter
    }

    #[test]
    fn there_is_no_lease_before_there_is_a_report() {
        let mut reporter = Reporter::new(Pace::default());
        assert_eq!(reporter.next(0), Step::Wait { until_ms: None });
        reporter.take(&all(&[("a", 1, 0), ("b", 1, 0)]));
        assert_eq!(reporter.next(0), Step::Grant);
        reporter.granted(7, 0);
        assert_eq!(reporter.next(0), put("a", 1, 0, 7));
        reporter.wrote("a", report(1, 0), 0);
        assert_eq!(reporter.next(0), put("b", 1, 0, 7));
        reporter.wrote("b", report(1, 0), 0);
        assert_eq!(reporter.next(0), until(10_000), "to renew the lease");
        assert_eq!(reporter.next(10_000), Step::Renew { lease: 7 });
        reporter.renewed(10_000);
        assert_eq!(reporter.next(10_000), until(20_000));
    }

    #[test]
    fn the_newest_report_counts_and_is_not_written_too_often() {
        let mut reporter = settled();
        for revision in 2..100 {
            reporter.take(&all(&[("a", revision, 0)]));
            assert_eq!(reporter.next(500), until(1_000));
        }
        assert_eq!(reporter.next(1_000), put("a", 99, 0, 7));
    }

    #[test]
    fn a_change_of_the_lag_alone_can_wait() {
        let mut reporter = settled();
        reporter.take(&all(&[("a", 1, 5)]));
        assert_eq!(reporter.next(1_000), until(10_000));
        reporter.renewed(10_000);
        assert_eq!(reporter.next(10_000), until(15_000));
        assert_eq!(reporter.next(15_000), put("a", 1, 5, 7));
        reporter.take(&all(&[("a", 1, 0)]));
        assert_eq!(reporter.next(15_000), until(20_000), "as it was written");
    }

    #[test]
    fn after_the_loss_of_the_lease_everything_is_written_again() {
        let mut reporter = settled();
        reporter.lease_lost();
        assert_eq!(reporter.lease(), None);
        assert_eq!(reporter.next(100), Step::Grant);
        reporter.granted(8, 100);
        assert_eq!(reporter.next(100), put("a", 1, 0, 8));
    }

    #[test]
    fn a_report_of_a_bucket_that_is_gone_is_deleted() {
        let mut reporter = settled();
        reporter.take(&all(&[]));
        assert_eq!(reporter.next(100), Step::Delete { bucket: "a".to_owned() });
        reporter.deleted("a");
        assert_eq!(reporter.next(100), until(10_000));
        let mut reporter = settled();
        reporter.take(&all(&[]));
        reporter.take(&all(&[("a", 2, 0)]));
        reporter.deleted("a");
        assert_eq!(reporter.next(1_000), put("a", 2, 0, 7), "it is back");
    }

    #[test]
    fn a_failure_is_followed_by_a_pause() {
        let mut reporter = settled();
        reporter.take(&all(&[("a", 2, 0)]));
        reporter.failed(2_000);
        assert_eq!(reporter.next(2_000), until(7_000));
        assert_eq!(reporter.next(7_000), put("a", 2, 0, 7));
    }
}
