//! `[limits]`: the relations between the limits; their ranges are in the table of settings.

use std::time::Duration;

use toml::Spanned;

use super::check::{Checker, number};
use super::checked::Limits;
use super::file;

impl Checker<'_, '_> {
    pub(super) fn limits(&mut self, limits: &file::Limits) -> Limits {
        let default = Limits::default();
        let ms = |written: &Option<Spanned<u64>>, default: Duration| {
            written.as_ref().map_or(default, |ms| Duration::from_millis(*ms.as_ref()))
        };
        let checked = Limits {
            connect: ms(&limits.connect_ms, default.connect),
            setup: ms(&limits.setup_ms, default.setup),
            close: ms(&limits.close_ms, default.close),
            data_move: ms(&limits.data_move_ms, default.data_move),
            stall: ms(&limits.stall_ms, default.stall),
            lag_interval: ms(&limits.lag_interval_ms, default.lag_interval),
            once_idle: ms(&limits.once_idle_ms, default.once_idle),
            drain: ms(&limits.drain_ms, default.drain),
            shutdown: ms(&limits.shutdown_ms, default.shutdown),
            retry_min: ms(&limits.retry_ms_min, default.retry_min),
            retry_max: ms(&limits.retry_ms_max, default.retry_max),
            loop_failures: number(limits.loop_failures.as_ref(), default.loop_failures),
            loop_window: ms(&limits.loop_window_ms, default.loop_window),
        };
        self.in_proportion(
            checked.retry_min <= checked.retry_max,
            [("retry_ms_min", &limits.retry_ms_min), ("retry_ms_max", &limits.retry_ms_max)],
            "the first pause is longer than the longest: give retry_ms_min <= retry_ms_max",
        );
        self.in_proportion(
            checked.lag_interval * 2 <= checked.stall,
            [("lag_interval_ms", &limits.lag_interval_ms), ("stall_ms", &limits.stall_ms)],
            "lag is measured too rarely to detect a stall: give lag_interval_ms <= stall_ms / 2",
        );
        checked
    }

    /// Reports two limits that do not fit together, at the first of them that is written.
    fn in_proportion(&mut self, are: bool, limits: [(&str, &Option<Spanned<u64>>); 2], text: &str) {
        let mut written = limits.iter().filter_map(|(key, limit)| Some((key, limit.as_ref()?)));
        if let (false, Some((key, limit))) = (are, written.next()) {
            self.report(limit.span(), &format!("limits: {key}"), text);
        }
    }
}
