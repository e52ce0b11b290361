//! Shutting down.

use super::setup::with_open;
use super::*;
use Side::{Consumer, Producer};

const OK: Status = Status::SUCCESS;
const STOP: &str = "stop(the link was shut down)";

#[test]
fn with_no_streams_it_ends_at_once() {
    let machine = check(&[(shut(1), &format!("answer(#1 done) {STOP}"))]);
    assert_eq!(machine.phase(), "stopped");
}

#[test]
fn the_consumers_streams_are_closed_first_and_the_producer_is_not_asked() {
    check_from(
        with_open(&[1, 2]),
        &[
            (shut(1), "close(consumer vb:1 #2) close(consumer vb:2 #3)"),
            (closed(Consumer, 3, Status::DCP_STREAM_NOT_FOUND), "withhold"),
            (lost(Producer), "note(lost-in-shut)"),
            (
                closed(Consumer, 2, OK),
                &format!("withhold answer(#1 vb:1 Closed, vb:2 Closed) {STOP}"),
            ),
        ],
    );
}

#[test]
fn mb_46253_a_stuck_set_up_is_answered_and_then_shut() {
    check_from(
        with_open(&[1, 4]),
        &[
            (setup(&[1, 2], 1), "close(consumer vb:4 #2) close(producer vb:4 #2) add(vb:2 #3)"),
            (request(2, 3), "forward"),
            (
                shut(2),
                "answer(#1 vb:1 consumer shut, vb:2 producer shut, vb:4 consumer shut) \
                 close(consumer vb:1 #4) close(consumer vb:2 #5) close(consumer vb:4 #6)",
            ),
            (closed(Consumer, 2, OK), "withhold note(late)"),
            (added(3, OK), "withhold note(late)"),
            (closed(Consumer, 4, OK), "withhold"),
            (closed(Consumer, 5, OK), "withhold"),
            (
                closed(Consumer, 6, Status::DCP_STREAM_NOT_FOUND),
                &format!("withhold answer(#2 vb:1 Closed, vb:2 Closed, vb:4 Closed) {STOP}"),
            ),
        ],
    );
}

#[test]
fn a_stuck_takeover_is_answered_and_then_shut() {
    let started = [(takeover(1, 1), "add(vb:1 #0 takeover)"), (request_takeover(1, 1), "forward")];
    let shutting = (shut(2), "answer(#1 vb:1 producer shut) close(consumer vb:1 #1)");
    let pending = check(&started);
    check_from(pending.clone(), std::slice::from_ref(&shutting));
    check_from(pending, &[(added(0, OK), "withhold"), shutting]);
}

#[test]
fn the_deadline_ends_it() {
    check_from(
        with_open(&[1, 2]),
        &[
            (shut(1), "close(consumer vb:1 #2) close(consumer vb:2 #3)"),
            (closed(Consumer, 2, Status::EINTERNAL), "withhold"),
            (overdue(LinkStep::Shut, 4), "progress"),
            (
                overdue(LinkStep::Shut, 4),
                &format!(
                    "answer(#1 vb:1 consumer refused close-stream InternalError, \
                     vb:2 consumer deadline shut) {STOP}"
                ),
            ),
        ],
    );
}

#[test]
fn the_loss_of_the_consumer_ends_it() {
    check_from(
        with_open(&[1]),
        &[
            (shut(1), "close(consumer vb:1 #1)"),
            (lost(Consumer), &format!("note(lost-in-shut) answer(#1 vb:1 consumer lost) {STOP}")),
        ],
    );
}

#[test]
fn whoever_asks_later_is_answered_as_well() {
    check_from(
        with_open(&[1]),
        &[
            (shut(1), "close(consumer vb:1 #1)"),
            (shut(2), ""),
            (setup(&[1], 3), "answer(#3 down: the link was shut down)"),
            (
                closed(Consumer, 1, OK),
                &format!("withhold answer(#1 vb:1 Closed) answer(#2 vb:1 Closed) {STOP}"),
            ),
            (shut(4), "answer(#4 done)"),
            (takeover(1, 5), "answer(#5 down: the link was shut down)"),
        ],
    );
}

#[test]
fn after_a_loss_every_command_says_what_was_lost() {
    let down = "down: the connection to the producer was lost: end of file";
    check_from(
        with_open(&[1]),
        &[
            (lost(Producer), "stop(the connection to the producer was lost: end of file)"),
            (lost(Consumer), ""),
            (setup(&[1], 1), &format!("answer(#1 {down})")),
            (add(&[1], 2), &format!("answer(#2 {down})")),
            (close(&[1], 3), &format!("answer(#3 {down})")),
            (takeover(1, 4), &format!("answer(#4 {down})")),
            (shut(5), "answer(#5 done)"),
        ],
    );
}
