//! The history of `GET /api/v1/history`: what passed on each link in the last hour, and its lag.
//!
//! A sample is taken every five seconds. The memory is fixed: so many samples of so many links.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use dcp_actors::BucketStatus;
use serde::Serialize;
use utoipa::ToSchema;

use super::memory::{LinkKey, link_key, whole};
use crate::clock::utc;

#[cfg(test)]
mod tests;

/// How often a sample is taken.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// The samples that are kept of each link: those of an hour.
pub(super) const SAMPLES_MAX: usize = 720;
/// The links of which samples are kept.
pub(super) const LINKS_MAX: usize = 256;

/// A number of a sample; NaN where it is not known. 12 bytes a sample keep 256 links in 2 MiB.
type Number = f32;

/// One sample of a link.
#[derive(Clone, Copy, Debug)]
struct Sample {
    bytes_per_s: Number,
    frames_per_s: Number,
    lag_ms: Number,
}

impl Sample {
    const UNKNOWN: Self =
        Self { bytes_per_s: Number::NAN, frames_per_s: Number::NAN, lag_ms: Number::NAN };
}

/// The history of all links. Every series has as many samples as there were ticks since its link
/// was first seen, up to the most; the newest is that of the last tick.
#[derive(Debug, Default)]
pub(super) struct History {
    series: BTreeMap<LinkKey, Series>,
    /// Links without room.
    left_out: Vec<String>,
    /// When the last sample was taken.
    last: Option<(Duration, SystemTime)>,
}

/// The samples of one link.
#[derive(Debug)]
struct Series {
    name: String,
    /// The counters at the last tick; `None` where the link was not there.
    counted: Option<(u64, u64)>,
    samples: VecDeque<Sample>,
}

impl History {
    /// Takes a sample at `now`, which counts from a fixed start. Ticks that did not come in time
    /// are unknown.
    pub(super) fn sample(&mut self, buckets: &[BucketStatus], now: Duration, time: SystemTime) {
        let passed = self.last.map(|(last, _)| now.saturating_sub(last));
        self.last = Some((now, time));
        let missed = passed.map_or(0, missed);
        let over = passed.filter(|passed| missed == 0 && !passed.is_zero());
        for series in self.series.values_mut() {
            (0..missed.min(SAMPLES_MAX)).for_each(|_| series.push(Sample::UNKNOWN));
        }
        let mut seen = BTreeMap::new();
        for bucket in buckets {
            for link in &bucket.links {
                seen.insert(link_key(&bucket.bucket, link), link);
            }
        }
        for (key, series) in &mut self.series {
            let Some(link) = seen.remove(key) else {
                series.counted = None;
                series.push(Sample::UNKNOWN);
                continue;
            };
            let counted = (link.bytes_total, link.frames_total);
            let before = series.counted.replace(counted);
            let per_second = |now: u64, before: Option<u64>| rate(now, before, over);
            series.push(Sample {
                bytes_per_s: per_second(counted.0, before.map(|it| it.0)),
                frames_per_s: per_second(counted.1, before.map(|it| it.1)),
                lag_ms: link
                    .streams
                    .iter()
                    .filter_map(|stream| stream.lag_ms)
                    .max()
                    .map_or(Number::NAN, number),
            });
        }
        // What was not there for the whole time makes room.
        self.series.retain(|_, series| {
            series.counted.is_some() || series.samples.iter().any(|it| !it.is_unknown())
        });
        self.left_out.clear();
        for (key, link) in seen {
            if self.series.len() >= LINKS_MAX {
                self.left_out.push(link.name.clone());
                continue;
            }
            let counted = Some((link.bytes_total, link.frames_total));
            let name = link.name.clone();
            let lag = link.streams.iter().filter_map(|stream| stream.lag_ms).max();
            let mut series = Series { name, counted, samples: VecDeque::new() };
            series.push(Sample { lag_ms: lag.map_or(Number::NAN, number), ..Sample::UNKNOWN });
            self.series.insert(key, series);
        }
    }

    /// The last `points` samples of each link.
    pub(super) fn view(&self, points: usize) -> HistoryView {
        let links = self.series.iter().map(|((bucket, producer, connection), series)| LinkSeries {
            bucket: bucket.clone(),
            producer: producer.clone(),
            connection: *connection,
            name: series.name.clone(),
            samples: series.columns(points),
        });
        HistoryView {
            interval_ms: u64::try_from(INTERVAL.as_millis()).unwrap_or(u64::MAX),
            at: self.last.map(|(_, time)| utc(time)),
            links: links.collect(),
            left_out: self.left_out.clone(),
        }
    }
}

/// How many ticks did not come, if so much time has passed since the last one.
fn missed(passed: Duration) -> usize {
    let ticks = (passed.as_secs_f64() / INTERVAL.as_secs_f64()).round();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let ticks = ticks as usize;
    ticks.saturating_sub(1)
}

fn rate(now: u64, before: Option<u64>, over: Option<Duration>) -> Number {
    match (before.and_then(|before| now.checked_sub(before)), over) {
        (Some(passed), Some(over)) => number(passed) / over.as_secs_f32(),
        // The link is new, its counter was reset, or this process was halted meanwhile.
        _ => Number::NAN,
    }
}

#[allow(clippy::cast_precision_loss, reason = "a plot needs no more than seven digits")]
const fn number(whole: u64) -> Number {
    whole as Number
}

impl Sample {
    const fn is_unknown(&self) -> bool {
        self.bytes_per_s.is_nan() && self.frames_per_s.is_nan() && self.lag_ms.is_nan()
    }
}

impl Series {
    fn push(&mut self, sample: Sample) {
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    fn columns(&self, points: usize) -> Columns {
        let skip = self.samples.len().saturating_sub(points);
        let column = |of: fn(&Sample) -> Number| {
            let known = |number: Number| (!number.is_nan()).then(|| whole(number.into()));
            self.samples.iter().skip(skip).map(|sample| known(of(sample))).collect()
        };
        Columns {
            bytes_per_s: column(|sample| sample.bytes_per_s),
            frames_per_s: column(|sample| sample.frames_per_s),
            lag_ms: column(|sample| sample.lag_ms),
        }
    }
}

/// What passed in the last hour.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = History)]
pub(super) struct HistoryView {
    /// Milliseconds from one sample to the next.
    interval_ms: u64,
    /// When the newest sample was taken, in UTC; null before the first.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Each link.
    links: Vec<LinkSeries>,
    /// The names of links of which nothing is kept, because there are too many.
    left_out: Vec<String>,
}

/// The samples of a link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryLink)]
pub(super) struct LinkSeries {
    /// The bucket.
    bucket: String,
    /// The producer.
    producer: String,
    /// The number of the connection, from 0.
    connection: u8,
    /// The name of its DCP connections.
    name: String,
    /// What is known of it.
    samples: Columns,
}

/// Columns of equal length, the oldest sample first; null where it is not known, or where the
/// sidecar was not there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistorySamples)]
pub(super) struct Columns {
    /// Bytes from producer to consumer in a second.
    bytes_per_s: Vec<Option<u64>>,
    /// Frames from producer to consumer in a second.
    frames_per_s: Vec<Option<u64>>,
    /// The largest lag of a stream in milliseconds.
    lag_ms: Vec<Option<u64>>,
}
