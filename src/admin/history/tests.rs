//! What the history keeps: gaps, resets of counters, bounds.

use std::time::UNIX_EPOCH;

use dcp_actors::{LinkPhase, StreamPhase};

use super::*;
use crate::admin::fixtures::{all, bucket, link};

/// A bucket with a link whose counters have these values.
fn at(bytes: u64, lag_ms: Option<u64>) -> Vec<BucketStatus> {
    vec![bucket(vec![counted(0, bytes, lag_ms)])]
}

fn counted(connection: u8, bytes: u64, lag_ms: Option<u64>) -> dcp_actors::LinkStatus {
    let mut link = link(LinkPhase::Up, None, all(2, StreamPhase::Open));
    (link.connection, link.name) = (connection, format!("link {connection}"));
    (link.bytes_total, link.frames_total) = (bytes, bytes / 100);
    link.streams[1].lag_ms = lag_ms;
    link
}

/// Takes samples: the second, and what there is then.
fn history(samples: &[(u64, Vec<BucketStatus>)]) -> History {
    let mut history = History::default();
    for (second, buckets) in samples {
        let now = Duration::from_secs(*second);
        history.sample(buckets, now, UNIX_EPOCH + now);
    }
    history
}

fn only(history: &History) -> Columns {
    let mut view = history.view(SAMPLES_MAX);
    assert_eq!(view.links.len(), 1);
    view.links.remove(0).samples
}

#[test]
fn rates_are_of_the_time_since_the_last_sample() {
    let history = history(&[
        (0, at(1000, Some(5))),
        (5, at(2000, None)),
        (11, at(8000, Some(7))),
        (16, at(8000, Some(0))),
    ]);
    let Columns { bytes_per_s, frames_per_s, lag_ms } = only(&history);
    assert_eq!(bytes_per_s, [None, Some(200), Some(1000), Some(0)]);
    assert_eq!(frames_per_s, [None, Some(2), Some(10), Some(0)]);
    assert_eq!(lag_ms, [Some(5), None, Some(7), Some(0)]);
    let view = history.view(2);
    assert_eq!(view.links[0].samples.bytes_per_s, [Some(1000), Some(0)], "the newest");
    assert_eq!((view.interval_ms, view.at.as_deref()), (5000, Some("1970-01-01T00:00:16.000Z")));
}

#[test]
fn a_process_that_was_halted_and_a_counter_that_fell_leave_gaps() {
    let history = history(&[(0, at(0, None)), (5, at(500, None)), (30, at(900, None))]);
    let none = None;
    assert_eq!(only(&history).bytes_per_s, [none, Some(100), none, none, none, none, none]);
    let reset = self::history(&[(0, at(900, None)), (5, at(100, None)), (10, at(600, None))]);
    assert_eq!(only(&reset).bytes_per_s, [none, none, Some(100)]);
}

#[test]
fn a_link_that_goes_and_comes_back_has_a_gap_and_one_that_stays_away_is_forgotten() {
    let mut history = history(&[(0, at(0, Some(1))), (5, Vec::new()), (10, at(700, Some(2)))]);
    assert_eq!(only(&history).bytes_per_s, [None, None, None]);
    assert_eq!(only(&history).lag_ms, [Some(1), None, Some(2)]);
    for tick in 0..SAMPLES_MAX as u64 {
        history.sample(&[], Duration::from_secs(15 + 5 * tick), UNIX_EPOCH);
    }
    assert!(history.view(1).links.is_empty());
}

#[test]
fn samples_and_links_are_bounded_and_what_is_left_out_is_named() {
    let links = |count: u16| -> Vec<_> {
        (0..count)
            .map(|number| {
                let mut of = bucket(vec![counted(0, 0, Some(0))]);
                of.links[0].name = format!("link {number}");
                of.bucket = format!("bucket {number:04}");
                of
            })
            .collect()
    };
    let mut history = History::default();
    for tick in 0..SAMPLES_MAX as u64 + 10 {
        history.sample(&links(1), Duration::from_secs(5 * tick), UNIX_EPOCH);
    }
    assert_eq!(only(&history).lag_ms.len(), SAMPLES_MAX);
    history.sample(&links(258), Duration::from_secs(5 * 800), UNIX_EPOCH);
    let view = history.view(SAMPLES_MAX);
    assert_eq!(view.links.len(), LINKS_MAX);
    assert_eq!(view.left_out, ["link 256", "link 257"]);
}
