//! The task that writes reports: carries out what [`Reporter`] decides.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_client::{Client, PutOptions};
use logline::value;
use tokio::sync::watch as latest;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::error::{EtcdError, within};
use super::follow::Link;
use super::now_ms;
use crate::keys::Keys;
use crate::report::Report;
use crate::reporter::{Pace, Reporter, Step};

/// The deadline of one call.
const CALL: Duration = Duration::from_secs(5);
/// The deadline to give the lease back at the end.
const REVOKE: Duration = Duration::from_secs(1);

/// What the task has and is told.
pub(super) struct Reports {
    pub(super) keys: Keys,
    pub(super) node: String,
    pub(super) pace: Pace,
    pub(super) reports: latest::Receiver<BTreeMap<String, Report>>,
    pub(super) link: latest::Receiver<Link>,
    pub(super) stop: CancellationToken,
}

impl Reports {
    /// Runs until it is stopped; then the reports vanish from etcd.
    pub(super) async fn run(mut self) {
        let mut reporter = Reporter::new(self.pace);
        // The last error that was logged.
        let mut failing: Option<String> = None;
        let stop = self.stop.clone();
        while let Some(()) = stop.run_until_cancelled(self.turn(&mut reporter, &mut failing)).await
        {
        }
        let link = self.link.borrow().clone();
        if let (Some((_, client)), Some(lease)) = (link, reporter.lease()) {
            // Where this fails, the lease runs out by itself.
            _ = timeout(REVOKE, client.lease_client().revoke(lease)).await;
        }
    }

    /// Waits for the next thing to do, and does it.
    async fn turn(&mut self, reporter: &mut Reporter, failing: &mut Option<String>) {
        reporter.take(&self.reports.borrow_and_update());
        let link = self.link.borrow_and_update().clone();
        let step = reporter.next(now_ms());
        let (endpoint, client) = match (link, &step) {
            (
                Some(link),
                Step::Grant | Step::Renew { .. } | Step::Put { .. } | Step::Delete { .. },
            ) => link,
            (None, _) => return self.news(None).await,
            (Some(_), Step::Wait { until_ms }) => return self.news(*until_ms).await,
        };
        match self.carry_out(step, &endpoint, &client, reporter).await {
            Ok(()) => {
                if failing.take().is_some() {
                    log::info!("reports are written to etcd again endpoint={}", value(&endpoint));
                }
            }
            Err(EtcdError::LeaseLost { .. }) => reporter.lease_lost(),
            Err(error) => {
                reporter.failed(now_ms());
                let error = error.to_string();
                if failing.as_ref() != Some(&error) {
                    log::warn!("reports not written to etcd error={}", value(&error));
                    *failing = Some(error);
                }
            }
        }
    }

    /// Waits for another report or connection, or until a time.
    async fn news(&mut self, until_ms: Option<u64>) {
        let pause = async {
            match until_ms {
                Some(until) => sleep(Duration::from_millis(until.saturating_sub(now_ms()))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pause => {}
            // Where a sender is gone, the whole is about to be stopped.
            changed = self.reports.changed() => if changed.is_err() { self.stop.cancelled().await },
            changed = self.link.changed() => if changed.is_err() { self.stop.cancelled().await },
        }
    }

    async fn carry_out(
        &self,
        step: Step,
        endpoint: &str,
        client: &Client,
        reporter: &mut Reporter,
    ) -> Result<(), EtcdError> {
        match step {
            Step::Grant => {
                let ttl = i64::from(self.pace.ttl_s);
                let mut leases = client.lease_client();
                let granted = within(endpoint, "grant a lease", CALL, leases.grant(ttl, None));
                reporter.granted(granted.await?.id(), now_ms());
            }
            Step::Renew { lease } => {
                let mut leases = client.lease_client();
                within(endpoint, "renew a lease", CALL, leases.keep_alive(lease)).await?;
                reporter.renewed(now_ms());
            }
            Step::Put { bucket, report, lease } => {
                let key = self.keys.status(&self.node, &bucket);
                let options = Some(PutOptions::new().with_lease(lease));
                let mut kv = client.kv_client();
                within(endpoint, "write a report", CALL, kv.put(key, report.text(), options))
                    .await?;
                reporter.wrote(&bucket, report, now_ms());
            }
            Step::Delete { bucket } => {
                let key = self.keys.status(&self.node, &bucket);
                let mut kv = client.kv_client();
                within(endpoint, "delete a report", CALL, kv.delete(key, None)).await?;
                reporter.deleted(&bucket);
            }
            Step::Wait { .. } => {}
        }
        Ok(())
    }
}
