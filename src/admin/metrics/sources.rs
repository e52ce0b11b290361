//! What is wanted, and how the last reload of the configuration went.

use std::fmt;
use std::time::UNIX_EPOCH;

use super::{Out, Snapshot};
use crate::sources::Sources;

/// A reading of the sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Whether the last reload went well, or there was none.
    is_ok: bool,
    /// When the configuration in force was read, in seconds since 1970.
    loaded_at: f64,
    /// Reloads that went well, and those that did not.
    reloads: [u64; 2],
    /// Of each bucket: its drift, and its paused vBuckets.
    buckets: Vec<(String, usize, usize)>,
}

impl Reading {
    pub(super) fn of(sources: &Sources) -> Self {
        let maps = sources.maps();
        let buckets = maps.buckets().iter();
        let since = sources.loaded_at().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            is_ok: sources.last_reload().is_none_or(|last| last.error.is_none()),
            loaded_at: since.as_secs_f64(),
            reloads: sources.reloads(),
            buckets: buckets
                .map(|(name, maps)| (name.clone(), maps.drift(), maps.paused_and_wanted()))
                .collect(),
        }
    }
}

impl Snapshot {
    pub(super) fn sources(&self, out: &mut Out<'_>) -> fmt::Result {
        let Reading { is_ok, loaded_at, reloads: [good, bad], buckets } = &self.sources;
        let help = "1 unless the last reload of the configuration failed";
        out.gauge("dcp_proxy_config_last_reload_successful", help, [([], u64::from(*is_ok))])?;
        let help = "When the configuration in force was read, in seconds since 1970";
        out.gauge(
            "dcp_proxy_config_last_reload_success_timestamp_seconds",
            help,
            [([], *loaded_at)],
        )?;
        let reloads = [("ok", *good), ("failed", *bad)];
        let reloads = reloads.map(|(result, count)| ([("result", result)], count));
        out.counter("dcp_proxy_config_reloads", "Reloads of the configuration", reloads)?;
        let drift = buckets.iter().map(|(name, drift, _)| ([("bucket", name.as_str())], *drift));
        let help = "vBuckets and settings that differ from what their source says";
        out.gauge("dcp_proxy_desired_drift", help, drift)?;
        let paused = buckets.iter().map(|(name, _, paused)| ([("bucket", name.as_str())], *paused));
        out.gauge("dcp_proxy_vbuckets_paused", "vBuckets that are wanted and paused", paused)
    }
}
