//! Tests of loops and what is logged of them.

use mcbp::VbId;

use super::*;
use crate::link::{LinkStep, Side};

const VB: VbId = VbId(7);
const WHY: &str = "producer refused add-stream";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn loops() -> Loops<VbId> {
    Loops::new(3, at(60), at(120))
}

fn error(reason: Reason) -> VbError {
    VbError { vb: VB, side: Side::Producer, reason }
}

#[test]
fn sync_gateway_1198_a_rollback_loop_is_detected_and_logged_once() {
    let mut loops = loops();
    let kind = Some(LoopKind::Rollback);
    assert_eq!(loops.failed(VB, kind, WHY, at(1)), Notice::Log(1));
    assert_eq!(loops.failed(VB, kind, WHY, at(2)), Notice::Suppress);
    assert_eq!(loops.failed(VB, kind, WHY, at(3)), Notice::Tripped(LoopKind::Rollback));
    for n in 4..10 {
        assert_eq!(loops.failed(VB, kind, WHY, at(n)), Notice::Suppress);
    }
    assert_eq!(loops.failed(VB, kind, WHY, at(10)), Notice::Log(10));
    let broken = Broken { kind: LoopKind::Rollback, since: at(3) };
    assert_eq!(loops.all_broken(at(10)).collect::<Vec<_>>(), [(VB, broken, 10)]);
}

#[test]
fn a_new_reason_is_logged_at_once_and_a_known_one_is_not() {
    let mut loops = loops();
    let mut fail = |why: &str, second| loops.failed(VB, None, why, at(second));
    assert_eq!(fail("no", 1), Notice::Log(1));
    assert_eq!(fail("no", 2), Notice::Suppress);
    assert_eq!(fail("never", 3), Notice::Log(3));
    assert_eq!(fail("no", 4), Notice::Suppress);
    assert_eq!(fail("never", 5), Notice::Suppress);
    let logged = (6..=1000).filter(|n| fail(&n.to_string(), 6) != Notice::Suppress).count();
    assert_eq!(logged, LoggedReasons::REASONS_MAX - 2 + 2, "the number of reasons is bounded");
}

#[test]
fn a_broken_vbucket_stays_broken_at_the_longest_backoff() {
    let mut loops = loops();
    for second in [1, 2, 3, 100, 200, 300] {
        loops.failed(VB, Some(LoopKind::Flapping), WHY, at(second));
    }
    assert!(loops.broken(VB, at(310)).is_some());
    assert!(loops.broken(VB, at(421)).is_none(), "nothing failed for two minutes");
    assert_eq!(loops.failed(VB, Some(LoopKind::Flapping), WHY, at(500)), Notice::Log(1));
}

#[test]
fn failures_outside_of_a_loop_are_counted_and_break_nothing() {
    let mut loops = loops();
    for second in 0..50 {
        loops.failed(VB, None, WHY, at(second));
    }
    assert!(loops.broken(VB, at(50)).is_none());
}

#[test]
fn the_operator_resets_it() {
    let mut loops = loops();
    for second in 1..4 {
        loops.failed(VB, Some(LoopKind::InvalidRequest), WHY, at(second));
    }
    loops.reset(VB);
    assert!(loops.broken(VB, at(4)).is_none());
    assert_eq!(loops.failed(VB, Some(LoopKind::InvalidRequest), WHY, at(4)), Notice::Log(1));
}

#[test]
fn each_failure_belongs_to_one_loop() {
    let refused = |status| error(Reason::Refused { step: LinkStep::AddStream, status });
    let ended = |status| error(Reason::StreamEnd(status));
    let (rollback, invalid) = (Some(LoopKind::Rollback), Some(LoopKind::InvalidRequest));
    assert_eq!(LoopKind::of_failure(&refused(Status::ROLLBACK)), rollback);
    assert_eq!(LoopKind::of_failure(&ended(StreamEndStatus::ROLLBACK)), rollback);
    assert_eq!(LoopKind::of_failure(&refused(Status::ERANGE)), invalid);
    assert_eq!(LoopKind::of_failure(&refused(Status::NOT_MY_VBUCKET)), None);
    assert_eq!(LoopKind::of_end(&ended(StreamEndStatus::SLOW)), LoopKind::Flapping);
    assert_eq!(LoopKind::of_end(&ended(StreamEndStatus::ROLLBACK)), LoopKind::Rollback);
}
