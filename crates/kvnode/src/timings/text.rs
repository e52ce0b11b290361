//! Times as kv_engine writes them, for mctimings and cbstats: a JSON object whose `data` has the
//! upper end of a bucket in microseconds, how many times are in it and in those since the line
//! before, and the share in percent that the line stands for.
//!
//! The shares are those at which HdrHistogram reports: five from each half of what remains to 100 %
//! to the next half. Source: kv_engine's `docs/HdrHistogramFormat.md`, and recorded statistics.

use std::fmt;

use serde_json::json;

use super::times::{MAX_US, Reading};

/// How many shares are reported before the distance to 100 % is half of what it was.
const STEPS: f64 = 5.0;

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.buckets().map(|(_, count)| count).sum();
        let text = json!({
            "bucketsLow": 0,
            "data": lines(self, total),
            "max_trackable": MAX_US,
            "overflowed": self.overflowed,
            "overflowed_sum": self.overflowed_sum_us,
            "total": total,
        });
        text.fmt(f)
    }
}

/// Returns the lines of `data`.
fn lines(reading: &Reading, total: u64) -> Vec<(u64, u64, f64)> {
    let (mut lines, mut last_us) = (Vec::new(), 0);
    let (mut seen, mut told, mut share) = (0, 0, 0.0);
    for (us, count) in reading.buckets() {
        seen += count;
        last_us = us;
        // The last bucket is told once, and then as 100 %.
        while share <= percent(seen, total) {
            lines.push((us, seen - told, share));
            told = seen;
            share += step(share);
            if seen == total {
                break;
            }
        }
    }
    lines.push((last_us, seen - told, 100.0));
    lines
}

#[allow(clippy::cast_precision_loss, reason = "a share of very many times is not exact")]
fn percent(seen: u64, total: u64) -> f64 {
    100.0 * seen as f64 / total as f64
}

/// How far the next share is from this one.
fn step(share: f64) -> f64 {
    let halves = (100.0 / (100.0 - share)).log2().floor() + 1.0;
    100.0 / (STEPS * halves.exp2())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::super::times::Times;
    use super::*;

    /// Every histogram of a real node: the same times give the same text.
    #[test]
    fn texts_are_those_of_a_real_node() {
        let mut compared = 0;
        for group in ["timings.txt", "stat-timings.txt"] {
            let text = recordings::stats(group);
            for line in text.lines().filter(|line| line.contains("bucketsLow")) {
                let (name, want) = line.split_once(' ').unwrap();
                let recorded: Value = serde_json::from_str(want).unwrap();
                let times = Times::default();
                for line in recorded["data"].as_array().unwrap() {
                    let us = Duration::from_micros(line[0].as_u64().unwrap());
                    (0..line[1].as_u64().unwrap()).for_each(|_| times.observe(us));
                }
                // Sizes and ages have other units and limits.
                if recorded["max_trackable"] == MAX_US {
                    assert_eq!(times.read().to_string(), want, "{name}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 50, "{compared}");
    }

    #[test]
    fn a_time_beyond_the_limit_is_in_no_bucket() {
        let times = Times::default();
        times.observe(Duration::from_secs(61));
        let text: Value = serde_json::from_str(&times.read().to_string()).unwrap();
        assert_eq!((&text["total"], &text["overflowed"]), (&0.into(), &1.into()));
        assert_eq!(text["overflowed_sum"], 61_000_000);
        assert_eq!(text["data"], serde_json::json!([[0, 0, 100.0]]));
    }
}
