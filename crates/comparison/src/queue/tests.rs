//! Moments of two nodes, and which vBuckets are compared then.

use super::*;

fn seqnos(all: &[(u16, u64)]) -> Seqnos {
    all.iter().map(|&(vb, seqno)| (VbId(vb), Seqno(seqno))).collect()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn job(vb: u16, seqno: u64, late: bool) -> Option<Job> {
    Some(Job { vb: VbId(vb), pin: Pin { seqno: Seqno(seqno), late } })
}

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_vbucket_that_waits_stops_no_other_one_and_ends_late_without_progress() {
    let mut queue = Queue::new([VbId(0), VbId(1)], PATIENCE);
    assert!(queue.wants_seqnos());
    queue.on_seqnos(at(0), &seqnos(&[(0, 9), (1, 5)]), &seqnos(&[(0, 4), (1, 5)]));
    assert_eq!(queue.take(), job(1, 5, false));
    assert_eq!(queue.take(), None);
    // It goes on: the time begins anew.
    queue.on_seqnos(at(9), &seqnos(&[(0, 30)]), &seqnos(&[(0, 5)]));
    queue.on_seqnos(at(18), &seqnos(&[(0, 30)]), &seqnos(&[(0, 5)]));
    assert_eq!(queue.take(), None);
    queue.on_seqnos(at(19), &seqnos(&[(0, 30)]), &seqnos(&[(0, 5)]));
    assert_eq!(queue.take(), job(0, 9, true));
    assert!(!queue.wants_seqnos() && !queue.is_over());
    queue.done();
    queue.done();
    assert!(queue.is_over());
}

#[test]
fn a_pin_is_what_one_node_had_and_is_kept_until_the_other_one_has_it() {
    let mut queue = Queue::new([VbId(0)], PATIENCE);
    queue.on_seqnos(at(0), &seqnos(&[(0, 9)]), &seqnos(&[(0, 4)]));
    queue.on_seqnos(at(1), &seqnos(&[(0, 99)]), &seqnos(&[(0, 9)]));
    assert_eq!(queue.take(), job(0, 9, false));
}

#[test]
fn a_vbucket_that_one_node_does_not_have_is_not_waited_for() {
    let mut queue = Queue::new([VbId(0)], PATIENCE);
    queue.on_seqnos(at(0), &seqnos(&[(0, 9)]), &seqnos(&[]));
    assert_eq!(queue.take(), job(0, 9, true));
}

#[test]
fn a_failure_has_a_rest_that_grows() {
    let mut queue = Queue::new([VbId(0)], PATIENCE);
    let (highs, mut now) = (seqnos(&[(0, 9)]), Duration::ZERO);
    queue.on_seqnos(now, &highs, &highs);
    for (rest, ms) in [(1, 100), (2, 200), (3, 400), (40, 3200)] {
        assert_eq!(queue.take(), job(0, 9, false));
        queue.later(VbId(0), now, rest);
        queue.on_seqnos(now + Duration::from_millis(ms - 1), &highs, &highs);
        assert_eq!(queue.take(), None, "{rest}");
        now += Duration::from_millis(ms);
        queue.on_seqnos(now, &highs, &highs);
    }
}

#[test]
fn few_are_ready_at_a_time_so_that_their_pins_are_new() {
    let mut queue = Queue::new((0..100).map(VbId), PATIENCE);
    let highs: Seqnos = (0..100).map(|vb| (VbId(vb), Seqno(1))).collect();
    queue.on_seqnos(at(0), &highs, &highs);
    let taken = std::iter::from_fn(|| queue.take()).count();
    assert_eq!(taken, READY_MAX);
    assert!(queue.wants_seqnos());
}
