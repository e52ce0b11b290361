//! Tells the service manager what the node does, and that it works.

use std::time::Duration;

use lifecycle::notify;
use log::error;
use logline::value;
use tokio::time::{MissedTickBehavior, interval};

use crate::bucket::Warmup;
use crate::node::Health;

/// How often the warm-up is checked.
const WARMUP_TICK: Duration = Duration::from_millis(50);
/// How long the listener or a commit may take where there is no watchdog.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Runs until it is dropped. Does nothing without a service manager.
pub(super) async fn tell(health: Health) {
    let Some(every) = notify::check_every() else { return };
    let limit = notify::answer_within(ANSWER_MAX);
    let mut looks = interval(WARMUP_TICK);
    // A bucket that cannot be loaded is not served, so the start does not end.
    while let Some((bucket, warmup)) = health.not_served() {
        let why = match warmup {
            Warmup::Failed(reason) => format!("failed: {reason}"),
            _ => "goes on".to_owned(),
        };
        notify::status(format!("warm-up of bucket {bucket} {why}"));
        looks.tick().await;
    }
    notify::ready();
    let mut checks = interval(every);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        checks.tick().await;
        match health.check(limit).await {
            Ok(()) => {
                notify::works();
                notify::status(health.words());
            }
            Err(problem) => {
                error!("the node does not work problem={}", value(&problem));
                notify::status(problem);
            }
        }
    }
}
