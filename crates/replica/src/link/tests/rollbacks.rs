//! Attempts that roll back: not closed before the rollback ends, timed by the link's progress.

use super::setup::with_open;
use super::*;
use crate::link::VbPhase;
use Side::Consumer;

const OK: Status = Status::SUCCESS;
const BACK: Status = Status::ROLLBACK;

/// vBuckets 1 and 2 have to roll back, in this order.
fn rolling() -> ConsumerMachine {
    check(&[
        (setup(&[1, 2], 1), "add(vb:1 #0) add(vb:2 #1)"),
        (request_from(1, 1, 200), "forward"),
        (request_from(2, 2, 200), "forward"),
        (request_answer(1, BACK), "forward note(rollback)"),
        (request_answer(2, BACK), "forward note(rollback)"),
        (overdue(LinkStep::AddStream, 0), "progress"),
    ])
}

#[test]
fn wire_20_attempts_that_roll_back_wait_as_long_as_the_link_makes_progress() {
    let machine = check_from(
        rolling(),
        &[
            (request_from(1, 1, 0), "forward note(rolled-back)"),
            (overdue(LinkStep::AddStream, 0), "progress"),
            (request_answer(1, OK), "forward"),
            (overdue(LinkStep::AddStream, 0), "progress"),
            (added(0, OK), "withhold opened(vb:1)"),
            (overdue(LinkStep::AddStream, 0), "progress"),
            (request_from(2, 2, 0), "forward note(rolled-back)"),
            (request_answer(2, OK), "forward"),
            (added(1, OK), "withhold answer(#1 vb:1 Opened, vb:2 Opened)"),
            (overdue(LinkStep::AddStream, 0), ""),
        ],
    );
    assert_eq!(open(&machine), [1, 2]);
}

#[test]
fn a_rollback_without_progress_ends_the_link_and_is_not_closed() {
    let why = "the connection to the consumer was lost: vb:1 is rolling back, without progress \
               before the deadline";
    check_from(
        rolling(),
        &[(
            overdue(LinkStep::AddStream, 0),
            &format!("answer(#1 vb:1 consumer lost, vb:2 consumer lost) stop({why})"),
        )],
    );
}

#[test]
fn a_shutdown_does_not_close_what_rolls_back_but_ends_the_link_at_once() {
    check_from(
        rolling(),
        &[(
            shut(2),
            "answer(#1 vb:1 consumer shut, vb:2 consumer shut) \
             stop(the link was shut down) answer(#2 done)",
        )],
    );
}

#[test]
fn wire_20b_a_closed_attempt_that_asks_again_ends_the_link() {
    let given_up = "close(consumer vb:1 #1) close(producer vb:1 #1)";
    let closed_attempt = check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request_from(1, 1, 200), "forward"),
        (overdue(LinkStep::AddStream, 0), "progress"),
        (
            overdue(LinkStep::AddStream, 0),
            &format!("{given_up} answer(#1 vb:1 producer deadline add-stream)"),
        ),
        (request_answer(1, BACK), "withhold"), // The consumer no longer knows the stream.
    ]);
    check_from(
        closed_attempt.clone(),
        &[(request_from(1, 1, 0), "forward note(unexpected-request)")],
    );
    let what = "the consumer broke the protocol: a closed stream was rolled back and \
                asked for again, which empties its vBucket";
    check_from(
        closed_attempt,
        &[
            (add(&[1], 2), "add(vb:1 #2)"),
            (
                request_from(1, 1, 0),
                &format!("withhold answer(#2 vb:1 consumer protocol) stop({what})"),
            ),
        ],
    );
}

#[test]
fn a_slow_set_up_is_not_overdue_while_its_streams_come_one_by_one() {
    let machine = check(&[
        (setup(&[1, 2], 1), "add(vb:1 #0) add(vb:2 #1)"),
        (request(1, 1), "forward"),
        (overdue(LinkStep::AddStream, 0), "progress"),
        (added(0, OK), "withhold"),
        (overdue(LinkStep::AddStream, 0), "progress"),
        (
            overdue(LinkStep::AddStream, 0),
            "close(consumer vb:2 #2) close(producer vb:2 #2) \
             answer(#1 vb:1 Opened, vb:2 consumer deadline add-stream)",
        ),
    ]);
    assert_eq!(open(&machine), [1]);
}

#[test]
fn many_closes_and_refusals_are_timed_by_progress_too() {
    check_from(
        with_open(&[1, 2]),
        &[
            (
                close(&[1, 2], 1),
                "close(consumer vb:1 #2) close(producer vb:1 #2) \
                 close(consumer vb:2 #3) close(producer vb:2 #3)",
            ),
            (closed(Consumer, 2, OK), "withhold"),
            (overdue(LinkStep::CloseStream, 2), "progress"),
            (
                overdue(LinkStep::CloseStream, 2),
                "answer(#1 vb:1 producer deadline close-stream, \
                 vb:2 consumer deadline close-stream)",
            ),
        ],
    );
    check(&[
        (setup(&[1, 2], 1), "add(vb:1 #0) add(vb:2 #1)"),
        (request(1, 1), "forward"),
        (request(2, 2), "forward"),
        (request_answer(1, Status::ERANGE), "forward"),
        (request_answer(2, Status::ERANGE), "forward"),
        (overdue(LinkStep::Refusal, 0), "progress"),
        (added(0, Status::ERANGE), "withhold"),
        (overdue(LinkStep::Refusal, 0), "progress"),
        (
            overdue(LinkStep::Refusal, 0),
            "close(consumer vb:2 #2) close(producer vb:2 #2) \
             answer(#1 vb:1 producer refused add-stream Range, \
             vb:2 producer refused add-stream Range)",
        ),
    ]);
}

#[test]
fn a_rollback_shows_its_position_in_the_queue() {
    let machine = check_from(rolling(), &[]);
    let rows = |machine: &ConsumerMachine| -> Vec<_> {
        machine
            .snapshot()
            .vbuckets
            .iter()
            .map(|row| (row.vbucket, row.phase, row.rollbacks_before))
            .collect()
    };
    let phase = VbPhase::RollingBack;
    assert_eq!(rows(&machine), [(1, phase, Some(0)), (2, phase, Some(1))]);
    let machine = check_from(machine, &[(request_from(1, 1, 0), "forward note(rolled-back)")]);
    assert_eq!(rows(&machine), [(1, VbPhase::Requested, None), (2, phase, Some(0))]);
}

#[test]
fn a_rollback_without_progress_ends_no_open_stream_and_its_vbucket_waits_for_it() {
    let machine = check_from(
        with_open(&[3]),
        &[
            (setup(&[1, 3], 1), "add(vb:1 #1)"),
            (request_from(1, 2, 200), "forward"),
            (request_answer(2, BACK), "forward note(rollback)"),
            (overdue(LinkStep::AddStream, 1), "progress"),
            (
                overdue(LinkStep::AddStream, 1),
                "answer(#1 vb:1 consumer rolling-back, vb:3 AlreadyOpen)",
            ),
            // Nothing is sent for vBucket 1 meanwhile.
            (setup(&[1, 3], 2), "answer(#2 vb:1 consumer rolling-back, vb:3 AlreadyOpen)"),
            (takeover(1, 3), "answer(#3 vb:1 consumer rolling-back)"),
        ],
    );
    assert_eq!(open(&machine), [3]);
    check_from(machine.clone(), &[(shut(4), "stop(the link was shut down) answer(#4 done)")]);
    let machine = check_from(
        machine,
        &[
            // The STREAM_REQ comes after all: the attempt was given up, and can be closed now.
            (
                request_from(1, 2, 0),
                "forward note(rolled-back) close(consumer vb:1 #2) close(producer vb:1 #2)",
            ),
            (request_answer(2, OK), "withhold close(producer vb:1 #3)"),
            (closed(Consumer, 2, OK), "withhold note(late)"),
            (setup(&[1, 3], 5), "add(vb:1 #4)"),
            (request_from(1, 3, 0), "forward"),
            (request_answer(3, OK), "forward"),
            (added(4, OK), "withhold answer(#5 vb:1 Opened, vb:3 AlreadyOpen)"),
        ],
    );
    assert_eq!(open(&machine), [1, 3]);
}

#[test]
fn a_refusal_that_the_consumer_does_not_answer_ends_no_link_because_another_rolls_back() {
    let machine = check(&[
        (setup(&[1, 2], 1), "add(vb:1 #0) add(vb:2 #1)"),
        (request_from(1, 1, 200), "forward"),
        (request_from(2, 2, 200), "forward"),
        (request_answer(1, BACK), "forward note(rollback)"),
        (request_answer(2, Status::NOT_MY_VBUCKET), "forward"),
        (overdue(LinkStep::Refusal, 1), "close(consumer vb:2 #2) close(producer vb:2 #2)"),
        (request_from(1, 1, 0), "forward note(rolled-back)"),
        (request_answer(1, OK), "forward"),
        (
            added(0, OK),
            "withhold answer(#1 vb:1 Opened, vb:2 producer refused add-stream NotMyVbucket)",
        ),
    ]);
    assert_eq!(open(&machine), [1]);
}

/// An attempt after the largest allowed number of rollbacks.
fn rolled_back_64_times() -> ConsumerMachine {
    let begin = [(setup(&[1], 1), "add(vb:1 #0)"), (request_from(1, 1, 9), "forward")];
    let again = [(request_from(1, 1, 9), "forward note(rolled-back)")];
    let told = [(request_answer(1, BACK), "forward note(rollback)")];
    let machine =
        (1..64).fold(check(&begin), |machine, _| check_from(check_from(machine, &told), &again));
    check_from(machine, &told)
}

#[test]
fn too_many_rollbacks_fail_their_vbucket_and_delay_no_set_up() {
    let refused = "withhold answer(#1 vb:1 producer refused add-stream Rollback)";
    check_from(
        rolled_back_64_times(),
        &[
            (request_from(1, 1, 9), "withhold note(rolled-back) refuse(0x01000000)"),
            (added(0, Status::ETMPFAIL), refused),
        ],
    );
    check_from(
        rolled_back_64_times(),
        &[
            (request_from(1, 1, 9), "withhold note(rolled-back) refuse(0x01000000)"),
            (
                overdue(LinkStep::Refusal, 0),
                "close(consumer vb:1 #1) close(producer vb:1 #1) \
                 answer(#1 vb:1 producer refused add-stream Rollback)",
            ),
        ],
    );
}

#[test]
fn a_consumer_that_never_rolls_back_far_enough_is_refused_in_the_end() {
    let again = "withhold note(rolled-back) rollback(0x01000000 to 40) note(rollback)";
    let begin = [
        (setup_incomplete(1, 40, 1), "add(vb:1 #0)"),
        (request_from(1, 1, 99), "withhold rollback(0x01000000 to 40) note(rollback)"),
    ];
    let machine = (1..64)
        .fold(check(&begin), |machine, _| check_from(machine, &[(request_from(1, 1, 99), again)]));
    let machine = check_from(
        machine,
        &[
            (request_from(1, 1, 99), "withhold note(rolled-back) refuse(0x01000000)"),
            (
                added(0, Status::ETMPFAIL),
                "withhold answer(#1 vb:1 producer refused add-stream Rollback)",
            ),
        ],
    );
    check_from(machine, &[(takeover(1, 2), "answer(#2 vb:1 consumer incomplete)")]);
}
