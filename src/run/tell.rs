//! Tells the service manager how replication is, and that it works: only while the control plane
//! answers within the interval of the watchdog. What it hears of readiness is what `/ready` says.

use std::time::Duration;

use dcp_actors::{BucketStatus, ReplicationHandle};
use indicatif::HumanCount;
use lifecycle::notify;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::catch_up::Links;

/// How long the control plane may take to answer where there is no watchdog.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Runs until it is dropped; says no more how replication is once `over` is cancelled, because
/// streams close then. `not_ready` gives the reasons. Does nothing without a service manager.
pub(super) async fn tell(
    replication: ReplicationHandle,
    not_ready: impl Fn(&[BucketStatus]) -> Vec<String>,
    over: CancellationToken,
) {
    let Some(every) = notify::check_every() else { return };
    let limit = notify::answer_within(ANSWER_MAX);
    let mut checks = interval(every);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        checks.tick().await;
        match timeout(limit, replication.status()).await {
            Ok(buckets) => {
                notify::works();
                if !over.is_cancelled() {
                    notify::status(words(&buckets, &not_ready(&buckets)));
                }
            }
            Err(_) => {
                notify::status(format!("the control plane has not answered for {limit:?}"));
                log::error!("control plane does not answer limit={limit:?}");
            }
        }
    }
}

fn words(buckets: &[BucketStatus], not_ready: &[String]) -> String {
    let Links { wanted, open, reasons, .. } = Links::of(buckets);
    let count = |streams: usize| HumanCount(streams as u64);
    let streams = format!("{} of {} streams open", count(open), count(wanted));
    match (not_ready.first(), reasons.first()) {
        // First, because the line is cut.
        (Some(why), _) => format!("not ready: {why}; {streams}"),
        (None, Some(reason)) if open < wanted => format!("{streams}: {reason}"),
        (None, _) => streams,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wanted_is_said_as_such() {
        assert_eq!(words(&[], &[]), "0 of 0 streams open");
    }

    #[test]
    fn open_streams_do_not_hide_that_it_is_not_ready() {
        let reasons = ["8 vBuckets: alpha: does not answer", "more"].map(str::to_owned);
        let text = "not ready: 8 vBuckets: alpha: does not answer; 0 of 0 streams open";
        assert_eq!(words(&[], &reasons), text);
    }
}
