//! Closing streams.

use super::setup::with_open;
use super::*;
use Side::{Consumer, Producer};

const OK: Status = Status::SUCCESS;
const CLOSING: &str = "close(consumer vb:1 #1) close(producer vb:1 #1)";

#[test]
fn a_stream_is_closed_when_both_sides_say_so() {
    let machine = check_from(
        with_open(&[1]),
        &[
            (close(&[1], 1), CLOSING),
            (closed(Producer, 1, OK), "withhold"),
            (end(1, 1, StreamEndStatus::CLOSED), "forward"),
            (closed(Consumer, 1, OK), "withhold answer(#1 vb:1 Closed)"),
        ],
    );
    assert_eq!(open(&machine), [0_u16; 0]);
}

#[test]
fn a_stream_that_is_not_known_is_closed_all_the_same() {
    check(&[
        (close(&[9], 1), "close(consumer vb:9 #0) close(producer vb:9 #0)"),
        (closed(Consumer, 0, Status::DCP_STREAM_NOT_FOUND), "withhold"),
        (closed(Producer, 0, Status::KEY_ENOENT), "withhold answer(#1 vb:9 Closed)"),
    ]);
}

#[test]
fn a_consumer_that_refuses_keeps_its_stream() {
    let machine = check_from(
        with_open(&[1]),
        &[
            (close(&[1], 1), CLOSING),
            (closed(Consumer, 1, Status::EINTERNAL), "withhold"),
            (
                closed(Producer, 1, OK),
                "withhold answer(#1 vb:1 consumer refused close-stream InternalError)",
            ),
        ],
    );
    assert_eq!(open(&machine), [1]);
}

#[test]
fn a_producer_that_refuses_is_an_error_but_the_stream_is_closed() {
    let machine = check_from(
        with_open(&[1]),
        &[
            (close(&[1], 1), CLOSING),
            (closed(Consumer, 1, OK), "withhold"),
            (
                closed(Producer, 1, Status::EBUSY),
                "withhold answer(#1 vb:1 producer refused close-stream Busy)",
            ),
        ],
    );
    assert_eq!(open(&machine), [0_u16; 0]);
}

#[test]
fn a_silent_consumer_is_an_error_and_what_it_may_still_have_is_found_by_the_next_add() {
    let machine = check_from(
        with_open(&[1]),
        &[
            (close(&[1], 1), CLOSING),
            (closed(Producer, 1, OK), "withhold"),
            (overdue(LinkStep::CloseStream, 1), "progress"),
            (overdue(LinkStep::CloseStream, 1), "answer(#1 vb:1 consumer deadline close-stream)"),
            (add(&[1], 2), "add(vb:1 #2)"),
            (
                added(2, Status::KEY_EEXISTS),
                "withhold note(left-over) close(consumer vb:1 #3) close(producer vb:1 #3)",
            ),
            (closed(Consumer, 1, OK), "withhold note(late)"),
        ],
    );
    assert_eq!(open(&machine), [0_u16; 0]);
}

#[test]
fn a_late_answer_does_not_close_a_newer_stream() {
    let machine = check_from(
        with_open(&[1]),
        &[
            (close(&[1], 1), CLOSING),
            (overdue(LinkStep::CloseStream, 1), "answer(#1 vb:1 consumer deadline close-stream)"),
            (add(&[1], 2), "add(vb:1 #2)"),
            (added(2, OK), "withhold answer(#2 vb:1 Opened)"),
            (closed(Consumer, 1, OK), "withhold note(late)"),
        ],
    );
    assert_eq!(open(&machine), [1]);
}

#[test]
fn a_silent_producer_is_an_error_but_the_stream_is_closed() {
    let machine = check_from(
        with_open(&[1]),
        &[
            (close(&[1], 1), CLOSING),
            (closed(Consumer, 1, OK), "withhold"),
            (overdue(LinkStep::CloseStream, 1), "progress"),
            (overdue(LinkStep::CloseStream, 1), "answer(#1 vb:1 producer deadline close-stream)"),
            (closed(Producer, 1, OK), "withhold note(late)"),
        ],
    );
    assert_eq!(open(&machine), [0_u16; 0]);
}

#[test]
fn a_stream_that_ended_while_it_was_closing_does_not_come_back() {
    let machine = check_from(
        with_open(&[1]),
        &[
            (close(&[1], 1), CLOSING),
            (end(1, 1, StreamEndStatus::STATE_CHANGED), "forward"),
            (closed(Producer, 1, Status::KEY_ENOENT), "withhold"),
            (overdue(LinkStep::CloseStream, 1), "progress"),
            (overdue(LinkStep::CloseStream, 1), "answer(#1 vb:1 consumer deadline close-stream)"),
        ],
    );
    assert_eq!(open(&machine), [0_u16; 0]);
}
