//! When a sidecar writes its reports: a machine without sockets and clock.
//!
//! The newest report of a bucket counts. All keys are under one lease, so that they vanish some
//! time after the sidecar. A failure to write pauses the reports and nothing else: maps are
//! followed whether or not reports can be written.

#[cfg(test)]
mod tests;

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
