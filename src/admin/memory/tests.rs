//! What is remembered from one look to the next.

use dcp_actors::{MovePhase, StreamPhase};

use super::*;
use crate::admin::fixtures::{all, bucket, link};
use crate::vb_state::Severity;

fn counted(bytes: u64, phase: LinkPhase) -> Vec<BucketStatus> {
    let mut link = link(phase, None, all(1, StreamPhase::Open));
    (link.bytes_total, link.frames_total) = (bytes, bytes / 10);
    vec![bucket(vec![link])]
}

fn key() -> LinkKey {
    ("default".to_owned(), "alpha".to_owned(), 0)
}

#[test]
fn a_rate_is_of_the_last_seconds_however_often_somebody_looks() {
    let (start, mut memory) = (Instant::now(), Memory::default());
    let mut look = |ms: u64, bytes| {
        let at = start + Duration::from_millis(ms);
        memory.update(&counted(bytes, LinkPhase::Up), at, SystemTime::UNIX_EPOCH);
        memory.rate(&key()).map(|rate| (whole(rate.bytes), whole(rate.frames)))
    };
    assert_eq!(look(0, 0), None, "one reading says nothing");
    assert_eq!(look(100, 100), None, "nor does a moment");
    assert_eq!(look(1000, 1000), Some((1000, 100)));
    for tenth in 11..100 {
        assert_eq!(look(tenth * 100, tenth * 100), Some((1000, 100)));
    }
    let after = |ms, bytes, look: &mut dyn FnMut(u64, u64) -> Option<(u64, u64)>| look(ms, bytes);
    assert_eq!(after(20_000, 9900, &mut look).map(|(bytes, _)| bytes < 500), Some(true), "it fell");
    assert_eq!(look(21_000, 0), None, "the counter was reset");
    assert_eq!(look(22_000, 500), Some((500, 50)));
}

#[test]
fn the_phase_of_a_link_is_dated_once_it_changes() {
    let (start, mut memory) = (Instant::now(), Memory::default());
    let time = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let mut look = |second, phase| {
        let at = start + Duration::from_secs(second);
        memory.update(&counted(0, phase), at, time(second));
        memory.phase_since(&key())
    };
    assert_eq!(look(0, LinkPhase::Connecting), None, "it may have it for long");
    assert_eq!(look(1, LinkPhase::Up), Some(time(1)));
    assert_eq!(look(9, LinkPhase::Up), Some(time(1)));
    assert_eq!(look(10, LinkPhase::Waiting), Some(time(10)));
    memory.update(&[], start, time(11));
    assert_eq!(memory.phase_since(&key()), None, "it is gone, and forgotten");
    assert!(memory.links.is_empty() && memory.lags.is_empty());
}

#[test]
fn progress_of_a_move_is_measured_from_its_largest_estimate() {
    let mut memory = Memory::default();
    let mut look = |estimate| {
        let moving = MoveStatus {
            bucket: "default".to_owned(),
            vbucket: 7,
            from: "alpha".to_owned(),
            phase: MovePhase::Copying,
            estimate,
            since_ms: 0,
        };
        let mut bucket = bucket(Vec::new());
        bucket.moves = vec![moving.clone()];
        memory.update(&[bucket], Instant::now(), SystemTime::UNIX_EPOCH);
        memory.estimate_first(&moving)
    };
    let looks = [None, Some(40), Some(90), Some(10), None].map(&mut look);
    assert_eq!(looks, [None, Some(40), Some(90), Some(90), Some(90)]);
    memory.update(&[], Instant::now(), SystemTime::UNIX_EPOCH);
    assert!(memory.moves.is_empty());
}

#[test]
fn a_problem_without_a_time_has_that_at_which_it_was_first_seen() {
    let mut memory = Memory::default();
    let mut seen = |second: u64, count, since: Option<&str>| {
        let mut problems = [Problem {
            severity: Severity::Error,
            id: "x",
            bucket: None,
            node: None,
            link: None,
            vbuckets: None,
            count,
            what: "it burns".to_owned(),
            since: since.map(str::to_owned),
            remedy: "water".to_owned(),
        }];
        memory.date(&mut problems, SystemTime::UNIX_EPOCH + Duration::from_secs(second));
        problems[0].since.clone().unwrap()
    };
    assert_eq!(seen(1, 7, None), "1970-01-01T00:00:01.000Z");
    assert_eq!(seen(9, 8, None), "1970-01-01T00:00:01.000Z", "it is the same problem");
    assert_eq!(seen(10, 8, Some("then")), "then");
    memory.date(&mut [], SystemTime::UNIX_EPOCH);
    assert!(memory.problems.is_empty());
}
