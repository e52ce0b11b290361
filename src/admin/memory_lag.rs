//! The lag of a bucket in the last minute, and whether it grows. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use dcp_actors::{BucketStatus, LinkPhase, StreamPhase};

use super::problems::Growing;

/// Over how long a lag is compared.
const OVER: Duration = Duration::from_secs(60);
/// How often it is remembered.
const EVERY: Duration = Duration::from_secs(5);
/// The shortest lag that is worth a word.
const LEAST: Duration = Duration::from_secs(30);

/// Readings of the lag of a bucket, the oldest first; at most those of a minute.
#[derive(Debug, Default)]
pub(super) struct Lags(VecDeque<(Instant, Duration)>);

/// The largest lag of a bucket's streams that are open at nodes that are heard, where that is
/// known. What is not open has its own problem.
pub(super) fn lag(bucket: &BucketStatus) -> Option<Duration> {
    let links = bucket.links.iter().filter(|link| link.phase == LinkPhase::Up);
    let open = links.flat_map(|link| &link.streams).filter(|it| it.phase == StreamPhase::Open);
    let known = open.filter(|it| it.lag_seqnos.is_some());
    known.filter_map(|stream| stream.lag_ms).max().map(Duration::from_millis)
}

impl Lags {
    /// Takes a reading; one that is not known begins anew.
    pub(super) fn push(&mut self, at: Instant, lag: Option<Duration>) {
        let Some(lag) = lag else { return self.0.clear() };
        let is_due = |(last, _): &(Instant, Duration)| at.saturating_duration_since(*last) >= EVERY;
        if self.0.back().is_none_or(is_due) {
            self.0.push_back((at, lag));
        }
        while self.0.get(1).is_some_and(|(next, _)| at.saturating_duration_since(*next) >= OVER) {
            self.0.pop_front();
        }
    }

    /// Whether the lag is long, and has grown for a minute by more than half of that time: less is
    /// the noise of a busy bucket.
    pub(super) fn growing(&self, bucket: &str, at: Instant, time: SystemTime) -> Option<Growing> {
        let ((first, before), (_, lag)) = (self.0.front()?, self.0.back()?);
        let over = at.saturating_duration_since(*first);
        let has_grown = *lag >= LEAST && lag.saturating_sub(*before) > over / 2;
        (over >= OVER && has_grown).then(|| Growing {
            bucket: bucket.to_owned(),
            lag: *lag,
            before: *before,
            since: time.checked_sub(over).unwrap_or(time),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds readings of the lag, in seconds, every second; returns whether it grows at the end.
    fn grows(lags: impl IntoIterator<Item = Option<u64>>) -> Option<(u64, u64)> {
        let (start, mut all) = (Instant::now(), Lags::default());
        let mut grows = None;
        for (second, lag) in lags.into_iter().enumerate() {
            let at = start + Duration::from_secs(second as u64);
            all.push(at, lag.map(Duration::from_secs));
            assert!(all.0.len() < 20, "bounded");
            grows = all.growing("default", at, SystemTime::UNIX_EPOCH);
        }
        grows.map(|it| (it.before.as_secs(), it.lag.as_secs()))
    }

    #[test]
    fn a_lag_grows_where_it_is_long_and_longer_than_a_minute_ago() {
        assert_eq!(grows((0..120).map(Some)), Some((55, 115)), "nothing moves");
        assert_eq!(grows((0..60).map(Some)), None, "not for a minute yet");
        assert_eq!(grows((0..200).map(|_| Some(300))), None, "long, and steady");
        assert_eq!(grows((0..200).map(|s| Some(s / 4))), None, "slowly: mostly as fast");
        assert_eq!(grows((0..200).map(|s| Some(s % 40))), None, "up and down");
        let unknown = (0..120).map(|s| (s != 80).then_some(s));
        assert_eq!(grows(unknown), None, "a minute begins anew after what is not known");
    }
}
