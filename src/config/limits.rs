//! `[limits]`: checks the range of each limit, and the relations between them.

use std::time::Duration;

use toml::Spanned;

use super::check::Checker;
use super::checked::Limits;
use super::file;

impl Checker<'_> {
    pub(super) fn limits(&mut self, limits: &file::Limits) -> Limits {
        let default = Limits::default();
        let loop_failures = self.number(
            "limits: loop_failures",
            limits.loop_failures.as_ref(),
            default.loop_failures,
            2..=1000,
        );
        let mut ms = |key: &str, written: &Option<Spanned<u64>>, default: Duration, allowed| {
            let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
            let key = format!("limits: {key}");
            Duration::from_millis(self.number(&key, written.as_ref(), default, allowed))
        };
        let checked = Limits {
            connect: ms("connect_ms", &limits.connect_ms, default.connect, 100..=180_000),
            setup: ms("setup_ms", &limits.setup_ms, default.setup, 100..=600_000),
            close: ms("close_ms", &limits.close_ms, default.close, 100..=600_000),
            data_move: ms(
                "data_move_ms",
                &limits.data_move_ms,
                default.data_move,
                1000..=86_400_000,
            ),
            stall: ms("stall_ms", &limits.stall_ms, default.stall, 1000..=600_000),
            lag_interval: ms(
                "lag_interval_ms",
                &limits.lag_interval_ms,
                default.lag_interval,
                100..=60_000,
            ),
            once_idle: ms("once_idle_ms", &limits.once_idle_ms, default.once_idle, 100..=600_000),
            shutdown: ms("shutdown_ms", &limits.shutdown_ms, default.shutdown, 100..=600_000),
            retry_min: ms("retry_ms_min", &limits.retry_ms_min, default.retry_min, 10..=60_000),
            retry_max: ms("retry_ms_max", &limits.retry_ms_max, default.retry_max, 10..=3_600_000),
            loop_failures,
            loop_window: ms(
                "loop_window_ms",
                &limits.loop_window_ms,
                default.loop_window,
                1000..=3_600_000,
            ),
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
