//! What is wanted, and how the last reload of the configuration went.

use std::fmt;
use std::time::UNIX_EPOCH;

use super::{Out, Snapshot};
use crate::config::MapSource;
use crate::sources::{Connection, Sources};

/// A reading of the sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Whether the last reload went well, or there was none.
    is_ok: bool,
    /// When the configuration in force was read, in seconds since 1970.
    loaded_at: f64,
    /// Reloads that went well, and those that did not.
    reloads: [u64; 2],
    /// Whether what is in force is on disk.
    is_saved: bool,
    /// Whether changes of the source arrive.
    is_connected: bool,
    /// Of each bucket: its drift, its paused vBuckets, and whether its newest map is refused.
    buckets: Vec<(String, usize, usize, bool)>,
}

impl Reading {
    pub(super) fn of(sources: &Sources) -> Self {
        let (maps, origin) = (sources.maps(), sources.origin());
        let is_refused =
            |name: &String| origin.buckets.get(name).is_some_and(|known| known.refused.is_some());
        let is_file = matches!(sources.config().source, MapSource::File);
        let buckets = maps.buckets().iter();
        let since = sources.loaded_at().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            is_ok: sources.last_reload().is_none_or(|last| last.error.is_none()),
            loaded_at: since.as_secs_f64(),
            reloads: sources.reloads(),
            is_saved: sources.state_error().is_none(),
            is_connected: is_file
                || matches!(origin.connection, Some(Connection::Connected { .. })),
            buckets: buckets
                .map(|(name, maps)| {
                    (name.clone(), maps.drift(), maps.paused_and_wanted(), is_refused(name))
                })
                .collect(),
        }
    }
}

impl Snapshot {
    pub(super) fn sources(&self, out: &mut Out<'_>) -> fmt::Result {
        let Reading { is_ok, loaded_at, reloads: [good, bad], is_saved, is_connected, buckets } =
            &self.sources;
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
        let help = "0 while what is in force could not be written to [state] directory";
        out.gauge("dcp_proxy_state_written", help, [([], u64::from(*is_saved))])?;
        let help = "1 while changes of the source of the desired maps arrive";
        let connected = [([], u64::from(*is_connected))];
        out.gauge("dcp_proxy_desired_source_connected", help, connected)?;
        let refused = buckets
            .iter()
            .map(|(name, .., refused)| ([("bucket", name.as_str())], u64::from(*refused)));
        let help = "1 while the newest map of the source cannot be used";
        out.gauge("dcp_proxy_desired_map_refused", help, refused)?;
        let drift = buckets.iter().map(|(name, drift, ..)| ([("bucket", name.as_str())], *drift));
        let help = "vBuckets and settings that differ from what their source says";
        out.gauge("dcp_proxy_desired_drift", help, drift)?;
        let paused =
            buckets.iter().map(|(name, _, paused, _)| ([("bucket", name.as_str())], *paused));
        out.gauge("dcp_proxy_vbuckets_paused", "vBuckets that are wanted and paused", paused)
    }
}
