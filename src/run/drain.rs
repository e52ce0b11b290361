//! The time between a request to stop and the stop: the process is not ready any more, and
//! everything else goes on, so that whoever asks `/ready` can act before streams close.

use std::time::Duration;

use lifecycle::notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::SOURCES_STOP;
use super::job::STEP_STOP;
use crate::config::Config;

/// What the end of the admin API and of the runtime may take, and the threads of replication.
const REST: Duration = Duration::from_secs(4);

/// Waits for a request to stop, then for the time of the drain.
pub(super) struct Drain {
    over: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

impl Drain {
    /// A run with `once` stops without a drain: nobody relies on it.
    pub(super) fn new(config: &Config, once: bool, stop: &CancellationToken) -> Self {
        let (over, stop) = (CancellationToken::new(), stop.clone());
        let drain = if once { Duration::ZERO } else { config.limits.drain };
        let (within, ends) = (longest(config, drain), over.clone());
        let task = tokio::spawn(async move {
            stop.cancelled().await;
            notify::stopping(within);
            if !drain.is_zero() {
                let ms = drain.as_millis();
                notify::status("not ready, and stops soon");
                log::info!("not ready any more, replication goes on for a while drain_ms={ms}");
                tokio::time::sleep(drain).await;
            }
            notify::status("stopping");
            ends.cancel();
        });
        Self { over, _task: AbortOnDropHandle::new(task) }
    }

    /// Cancelled once the drain is over.
    pub(super) const fn over(&self) -> &CancellationToken {
        &self.over
    }
}

/// The longest time from the request to stop to the exit.
fn longest(config: &Config, drain: Duration) -> Duration {
    let nodes = config.embedded.as_ref().map_or(0, |embedded| embedded.nodes.len());
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
    let clean = config.limits.shutdown.saturating_mul(nodes.saturating_add(1));
    drain.saturating_add(clean).saturating_add(STEP_STOP + SOURCES_STOP + REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(limits: &str) -> Config {
        let text = format!(
            "[node]\nname = \"beta\"\n[[producer]]\nname = \"alpha\"\n[[bucket]]\n\
             name = \"default\"\nreplicate = {{ alpha = \"0-7\" }}\n[limits]\n{limits}\n\
             [embedded]\n[[embedded.node]]\nname = \"alpha\"\nstate = \"active\"\n\
             [[embedded.node]]\nname = \"beta\"\nstate = \"replica\"\n"
        );
        crate::config::parse("proxy.toml".as_ref(), &text, &|_| None).unwrap()
    }

    #[test]
    fn the_longest_stop_has_all_its_parts() {
        let config = config("drain_ms = 5000\nshutdown_ms = 10000");
        let seconds = |drain| longest(&config, Duration::from_secs(drain)).as_secs();
        assert_eq!(seconds(5), 5 + 3 * 10 + 1 + 4 + 4);
    }

    #[tokio::test(start_paused = true)]
    async fn the_stop_begins_when_the_drain_is_over() {
        let (config, stop) = (config("drain_ms = 5000"), CancellationToken::new());
        let (drain, once) = (Drain::new(&config, false, &stop), Drain::new(&config, true, &stop));
        let requested = tokio::time::Instant::now();
        stop.cancel();
        once.over().cancelled().await;
        assert_eq!(requested.elapsed(), Duration::ZERO);
        drain.over().cancelled().await;
        assert_eq!(requested.elapsed(), Duration::from_secs(5));
    }
}
