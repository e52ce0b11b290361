//! Setting up streams.

use super::*;
use Side::{Consumer, Producer};

const OK: Status = Status::SUCCESS;

/// A machine with these streams open, opened one by one: frame `#i` and stream opaque `i + 1` for
/// the vBucket at place `i`.
pub(in super::super) fn with_open(list: &[u16]) -> ConsumerMachine {
    let mut machine = ConsumerMachine::default();
    for (n, &vb) in (0..).zip(list) {
        let added_text = format!("add(vb:{vb} #{n})");
        let answer = format!("withhold answer(#{} vb:{vb} Opened)", 100 + n);
        machine = check_from(
            machine,
            &[
                (add(&[vb], 100 + u64::from(n)), &added_text),
                (request(vb, n + 1), "forward"),
                (request_answer(n + 1, OK), "forward"),
                (added(n, OK), &answer),
            ],
        );
    }
    machine
}

#[test]
fn answers_when_every_stream_is_acknowledged() {
    let machine = check(&[
        (setup(&[1, 2], 1), "add(vb:1 #0) add(vb:2 #1)"),
        (request(1, 1), "forward"),
        (request(2, 2), "forward"),
        (request_answer(1, OK), "forward"),
        (request_answer(2, OK), "forward"),
        (added(1, OK), "withhold"),
        (added(0, OK), "withhold answer(#1 vb:1 Opened, vb:2 Opened)"),
    ]);
    assert_eq!(open(&machine), [1, 2]);
}

#[test]
fn closes_and_adds_at_once() {
    let machine = check_from(
        with_open(&[1, 2]),
        &[
            (setup(&[2, 3], 1), "close(consumer vb:1 #2) close(producer vb:1 #2) add(vb:3 #3)"),
            (closed(Consumer, 2, OK), "withhold"),
            (added(3, OK), "withhold"),
            (
                closed(Producer, 2, OK),
                "withhold answer(#1 vb:1 Closed, vb:2 AlreadyOpen, vb:3 Opened)",
            ),
        ],
    );
    assert_eq!(open(&machine), [2, 3]);
}

#[test]
fn nothing_to_do_is_answered_at_once() {
    check(&[(setup(&[], 1), "answer(#1 done)")]);
    check_from(with_open(&[1]), &[(setup(&[1], 1), "answer(#1 vb:1 AlreadyOpen)")]);
}

#[test]
fn one_vbucket_is_added_without_touching_the_others() {
    let machine = check_from(
        with_open(&[1, 2]),
        &[
            (add(&[2, 3], 1), "add(vb:3 #2)"),
            (added(2, OK), "withhold answer(#1 vb:2 AlreadyOpen, vb:3 Opened)"),
        ],
    );
    assert_eq!(open(&machine), [1, 2, 3]);
}

#[test]
fn busy_is_an_answer() {
    check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (setup(&[2], 2), "answer(#2 busy)"),
        (add(&[2], 3), "answer(#3 busy)"),
        (close(&[1], 4), "answer(#4 busy)"),
        (takeover(1, 5), "answer(#5 busy)"),
        (added(0, OK), "withhold answer(#1 vb:1 Opened)"),
    ]);
}

#[test]
fn all_errors_are_collected_and_the_others_are_open() {
    let machine = check(&[
        (setup(&[1, 2, 3], 1), "add(vb:1 #0) add(vb:2 #1) add(vb:3 #2)"),
        (added(0, Status::NOT_MY_VBUCKET), "withhold"),
        (request(2, 1), "forward"),
        (end(2, 1, StreamEndStatus::BACKFILL_FAIL), "forward"),
        (
            added(2, OK),
            "withhold answer(#1 vb:1 consumer refused add-stream NotMyVbucket, \
             vb:2 producer end BackfillFail, vb:3 Opened)",
        ),
    ]);
    assert_eq!(open(&machine), [3]);
}

#[test]
fn a_producer_that_refuses_is_named_when_the_consumer_passes_it_on() {
    check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request(1, 1), "forward"),
        (request_answer(1, Status::NOT_MY_VBUCKET), "forward"),
        (
            added(0, Status::NOT_MY_VBUCKET),
            "withhold answer(#1 vb:1 producer refused add-stream NotMyVbucket)",
        ),
    ]);
}

#[test]
fn a_refusal_that_the_consumer_never_passes_on_is_answered_after_a_short_grace() {
    check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request(1, 1), "forward"),
        (request_answer(1, Status::EINVAL), "forward"),
        (
            overdue(LinkStep::Refusal, 0),
            "close(consumer vb:1 #1) close(producer vb:1 #1) \
             answer(#1 vb:1 producer refused add-stream Invalid)",
        ),
        (added(0, Status::EINVAL), "withhold note(late)"),
        (closed(Consumer, 1, Status::DCP_STREAM_NOT_FOUND), "withhold note(late)"),
        (closed(Producer, 1, Status::KEY_ENOENT), "withhold note(late)"),
    ]);
}

#[test]
fn a_refused_stream_that_the_consumer_calls_open_is_closed_there() {
    let machine = check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request(1, 1), "forward"),
        (request_answer(1, Status::ERANGE), "forward"),
        (
            added(0, OK),
            "withhold close(consumer vb:1 #1) answer(#1 vb:1 producer refused add-stream Range)",
        ),
    ]);
    assert_eq!(open(&machine), [0_u16; 0]);
}

#[test]
fn a_rollback_is_not_a_refusal_and_keeps_its_opaque() {
    let machine = check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request(1, 1), "forward"),
        (request_answer(1, Status::ROLLBACK), "forward note(rollback)"),
        (overdue(LinkStep::Refusal, 0), ""),
        (request(1, 1), "forward note(rolled-back)"),
        (request_answer(1, OK), "forward"),
        (added(0, OK), "withhold answer(#1 vb:1 Opened)"),
    ]);
    assert_eq!(machine.stream_opaque(VbId(1)), Some(stream(1)));
}

#[test]
fn asking_again_takes_a_refusal_back() {
    check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request(1, 1), "forward"),
        (request_answer(1, Status::ETMPFAIL), "forward"),
        (request(1, 2), "forward"),
        (overdue(LinkStep::Refusal, 0), ""),
        (request_answer(2, OK), "forward"),
        (added(0, OK), "withhold answer(#1 vb:1 Opened)"),
    ]);
}

#[test]
fn a_left_over_stream_is_closed_and_added_once_more_but_only_once() {
    let left_over = [
        (setup(&[1], 1), "add(vb:1 #0)"),
        (
            added(0, Status::KEY_EEXISTS),
            "withhold note(left-over) close(consumer vb:1 #1) close(producer vb:1 #1)",
        ),
        (closed(Consumer, 1, OK), "withhold"),
        (closed(Producer, 1, Status::KEY_ENOENT), "withhold add(vb:1 #2)"),
    ];
    let machine = check(&left_over);
    check_from(machine.clone(), &[(added(2, OK), "withhold answer(#1 vb:1 Opened)")]);
    check_from(
        machine,
        &[(
            added(2, Status::KEY_EEXISTS),
            "withhold answer(#1 vb:1 consumer refused add-stream KeyExists)",
        )],
    );
}

#[test]
fn a_left_over_stream_that_cannot_be_closed_is_an_error() {
    let machine = check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (
            added(0, Status::KEY_EEXISTS),
            "withhold note(left-over) close(consumer vb:1 #1) close(producer vb:1 #1)",
        ),
        (closed(Producer, 1, OK), "withhold"),
        (
            closed(Consumer, 1, Status::EINTERNAL),
            "withhold answer(#1 vb:1 consumer refused close-stream InternalError)",
        ),
    ]);
    assert_eq!(open(&machine), [0_u16; 0]);
}

#[test]
fn the_deadline_names_who_did_not_move() {
    let late = |side: &str| {
        format!(
            "close(consumer vb:1 #1) close(producer vb:1 #1) \
             answer(#1 vb:1 {side} deadline add-stream)"
        )
    };
    let silent = [(setup(&[1], 1), "add(vb:1 #0)")];
    let due = |machine, side: &str| {
        check_from(machine, &[(overdue(LinkStep::AddStream, 0), &late(side))]);
    };
    let machine = check(&silent);
    due(machine.clone(), "consumer");
    let moved = (overdue(LinkStep::AddStream, 0), "progress");
    let machine = check_from(machine, &[(request(1, 1), "forward"), moved.clone()]);
    due(machine.clone(), "producer");
    due(check_from(machine, &[(request_answer(1, OK), "forward"), moved]), "consumer");
}

#[test]
fn a_late_success_after_the_deadline_is_closed_on_both_sides() {
    check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (
            overdue(LinkStep::AddStream, 0),
            "close(consumer vb:1 #1) close(producer vb:1 #1) \
             answer(#1 vb:1 consumer deadline add-stream)",
        ),
        (added(0, OK), "withhold note(late) close(consumer vb:1 #2) close(producer vb:1 #2)"),
        (added(0, OK), "withhold note(late)"),
    ]);
}

#[test]
fn a_late_answer_is_never_taken_for_the_answer_to_a_newer_attempt() {
    let machine = check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (
            overdue(LinkStep::AddStream, 0),
            "close(consumer vb:1 #1) close(producer vb:1 #1) \
             answer(#1 vb:1 consumer deadline add-stream)",
        ),
        (add(&[1], 2), "add(vb:1 #2)"),
        (added(0, OK), "withhold note(late)"),
        (closed(Consumer, 1, OK), "withhold note(late)"),
        (request(1, 7), "forward"),
        (added(2, OK), "withhold answer(#2 vb:1 Opened)"),
    ]);
    assert_eq!(open(&machine), [1]);
}

#[test]
fn a_passed_deadline_that_nothing_waits_for_does_nothing() {
    check_from(
        with_open(&[1]),
        &[
            (overdue(LinkStep::AddStream, 0), ""),
            (overdue(LinkStep::Refusal, 0), ""),
            (overdue(LinkStep::CloseStream, 0), ""),
            (overdue(LinkStep::Takeover, 0), ""),
            (overdue(LinkStep::Shut, 0), ""),
        ],
    );
}

#[test]
fn a_close_that_overtook_the_stream_request_is_sent_once_more() {
    check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (
            overdue(LinkStep::AddStream, 0),
            "close(consumer vb:1 #1) close(producer vb:1 #1) \
             answer(#1 vb:1 consumer deadline add-stream)",
        ),
        (closed(Producer, 1, Status::KEY_ENOENT), "withhold note(late)"),
        (request(1, 1), "forward note(unexpected-request)"),
        (request_answer(1, OK), "withhold close(producer vb:1 #2)"),
        (end(1, 1, StreamEndStatus::CLOSED), "forward"),
    ]);
}
