//! A stop while a vBucket is taken over: that ends first, everything else is closed at once, and
//! the time of the stop bounds it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, missing_docs, unreachable_pub, reason = "the harness of several tests")]

#[path = "bucket/harness.rs"]
mod harness;

use std::time::Duration;

use mcbp::VbId;
use replica::bucket::{
    BucketCommand, BucketEffect, BucketEvent, Cause, CommandError, Done, Finding, LinkDown, LinkId,
    LinkReport, LogLevel, MoveKind,
};
use replica::link::{Command, StopReason, Ticket, VbOutcome};

use harness::{Bucket, STOP, lost, refused};

/// A takeover of vBucket 1 that runs, one of vBucket 2 that waits, and a stop.
struct Stopping {
    bucket: Bucket,
    link: LinkId,
    takeover: Ticket,
    taking: Ticket,
    stop: Ticket,
}

impl Stopping {
    fn begin() -> Self {
        let (mut bucket, link) = Bucket::open();
        let taking = bucket.move_here(1, MoveKind::Takeover);
        let (_, takeover, command) = bucket.run().unwrap();
        assert_eq!(command, Command::Takeover { vb: VbId(1) });
        let waiting = bucket.move_here(2, MoveKind::Takeover);
        let stop = bucket.ask(STOP);
        assert_eq!(bucket.answer(waiting), Some(Err(CommandError::Stopping)), "it only waits");
        assert_eq!((bucket.answer(taking), bucket.answer(stop)), (None, None));
        assert_eq!(bucket.run(), None, "its link stays open");
        let late = bucket.move_here(3, MoveKind::Takeover);
        assert_eq!(bucket.answer(late), Some(Err(CommandError::Stopping)));
        Self { bucket, link, takeover, taking, stop }
    }

    /// The link closes, and the stop is answered. Returns the errors that were logged.
    fn closes(mut self) -> Vec<String> {
        assert_eq!(self.bucket.answer(self.stop), None, "it waits for the link");
        let (of, _, command) = self.bucket.run().unwrap();
        assert_eq!((of, command), (self.link, Command::Shut));
        self.link_is_down();
        self.stopped()
    }

    fn link_is_down(&mut self) {
        let down = LinkDown::stopped(&StopReason::Shut);
        self.bucket.report(self.link, LinkReport::Down(down));
    }

    fn stopped(mut self) -> Vec<String> {
        assert_eq!(self.bucket.answer(self.stop), Some(Ok(Done::Stopped)));
        assert_eq!(self.bucket.machine.wake_at(), None);
        let errors = self.bucket.effects.into_iter().filter_map(|effect| match effect {
            BucketEffect::Log(line) if line.level == LogLevel::Error => Some(line.text),
            _ => None,
        });
        errors.collect()
    }
}

#[test]
fn a_takeover_that_runs_ends_is_told_and_then_the_link_closes() {
    let mut it = Stopping::begin();
    it.bucket.settle(it.link, it.takeover, &[(1, VbOutcome::TakenOver)]);
    assert_eq!(it.bucket.answer(it.taking), Some(Ok(Done::Moved { elapsed_ms: 0 })));
    let told = it.bucket.take(|effect| match effect {
        BucketEffect::Moved { vb, .. } => Some(*vb),
        _ => None,
    });
    assert_eq!(told, Some(VbId(1)), "so that it is written down");
    assert_eq!(it.closes(), Vec::<String>::new());
}

#[test]
fn a_takeover_that_fails_is_examined_and_not_begun_again() {
    let moved = |stopping: &mut Stopping, finding| {
        let it = stopping;
        it.bucket.settle(it.link, it.takeover, &[(1, VbOutcome::Failed(refused()))]);
        let (task, examine) = it.bucket.examine().unwrap();
        assert!(examine.answer_max <= Duration::from_secs(4), "half of what is left");
        assert_eq!((it.bucket.answer(it.taking), it.bucket.run()), (None, None));
        it.bucket.on(BucketEvent::Examined(task, finding));
        it.bucket.answer(it.taking).unwrap()
    };
    let mut it = Stopping::begin();
    assert!(moved(&mut it, Finding::Moved).is_ok());
    assert_eq!(it.closes(), Vec::<String>::new());

    let mut it = Stopping::begin();
    assert_eq!(moved(&mut it, Finding::GivenBack), Err(CommandError::Stopping));
    assert_eq!(it.closes(), Vec::<String>::new());

    let mut it = Stopping::begin();
    assert!(moved(&mut it, Finding::NotMoved(Cause::Deadline)).is_err());
    assert_left_half_done(&it.closes());
}

#[test]
fn a_link_that_is_lost_meanwhile_does_not_keep_the_stop() {
    let mut it = Stopping::begin();
    it.bucket.report(it.link, LinkReport::Down(lost()));
    let (task, _) = it.bucket.examine().unwrap();
    assert_eq!(it.bucket.answer(it.stop), None);
    it.bucket.on(BucketEvent::Examined(task, Finding::Moved));
    assert!(it.bucket.answer(it.taking).unwrap().is_ok());
    assert_eq!(it.stopped(), Vec::<String>::new());
}

/// Half of the time for the takeover, a quarter to ask both nodes, a quarter to close.
#[test]
fn nodes_that_do_not_answer_get_a_part_of_the_time_and_the_log_says_what_is_left() {
    let mut it = Stopping::begin();
    assert_eq!(it.bucket.machine.wake_at(), Some(Duration::from_secs(5)));
    it.bucket.wake_after(Duration::from_millis(4999));
    assert_eq!(it.bucket.examine(), None);
    // What makes a takeover's own deadline longer does not make the stop longer.
    it.bucket.report(it.link, LinkReport::Progress);
    it.bucket.wake_after(Duration::from_millis(1));
    let (_, examine) = it.bucket.examine().expect("both nodes are asked");
    assert_eq!((examine.may_repair, examine.answer_max), (false, Duration::from_millis(1250)));
    assert_eq!(it.bucket.machine.wake_at(), Some(Duration::from_millis(7500)));
    it.bucket.wake_after(Duration::from_millis(2499));
    assert_eq!(it.bucket.answer(it.taking), None);
    it.bucket.wake_after(Duration::from_millis(1));
    assert_eq!(it.bucket.failure(it.taking), Cause::Deadline);
    assert_left_half_done(&it.closes());
}

#[test]
fn a_stop_without_time_closes_at_once_and_the_log_says_what_is_left() {
    let (mut bucket, link) = Bucket::open();
    let taking = bucket.move_here(1, MoveKind::Takeover);
    let (_, takeover, _) = bucket.run().unwrap();
    let stop = bucket.ask(BucketCommand::Stop { within: Duration::ZERO });
    let mut it = Stopping { bucket, link, takeover, taking, stop };
    assert_eq!(it.bucket.failure(it.taking), Cause::Deadline);
    assert_left_half_done(&it.closes());
}

#[track_caller]
fn assert_left_half_done(errors: &[String]) {
    let [line] = errors else { panic!("{errors:?}") };
    let parts = ["may be active nowhere", "bucket=default vb=1 from=alpha", "remedy="];
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
}
