//! Rows that the consumer refuses: one vBucket fails, and its copy is rolled back before it opens.

use super::setup::with_open;
use super::*;
use Side::{Consumer, Producer};

const OK: Status = Status::SUCCESS;
const MUTATION: Opcode = Opcode::DCP_MUTATION;
const CLOSE: &str = "close(consumer vb:1 #2) close(producer vb:1 #2)";

/// vBuckets 1 and 2 are open; the consumer had 40 of vBucket 1.
fn opened() -> ConsumerMachine {
    check(&[
        (setup(&[1, 2], 1), "add(vb:1 #0) add(vb:2 #1)"),
        (request_from(1, 1, 40), "forward"),
        (request_from(2, 2, 7), "forward"),
        (request_answer(1, OK), "forward"),
        (request_answer(2, OK), "forward"),
        (added(0, OK), "withhold"),
        (added(1, OK), "withhold answer(#1 vb:1 Opened, vb:2 Opened)"),
    ])
}

#[test]
fn a_refused_row_ends_its_stream_and_no_other_and_is_withheld_from_the_producer() {
    let machine = check_from(
        opened(),
        &[
            (
                refused(1, MUTATION, Status::EINVAL),
                &format!(
                    "withhold incomplete(vb:1 40) {CLOSE} \
                     ended(vb:1 consumer row-refused DCP_MUTATION Invalid)"
                ),
            ),
            (refused(1, MUTATION, Status::EINVAL), "withhold"),
            (closed(Consumer, 2, OK), "withhold note(late)"),
            (closed(Producer, 2, OK), "withhold note(late)"),
            (end(1, 1, StreamEndStatus::CLOSED), "forward"),
            (
                refused(1, Opcode::DCP_STREAM_END, Status::DCP_STREAM_NOT_FOUND),
                "withhold", // The consumer had closed the stream.
            ),
        ],
    );
    assert_eq!(open(&machine), [2]);
}

#[test]
fn an_incomplete_copy_is_rolled_back_to_where_it_is_complete_and_opens_with_the_next_set_up() {
    let refused = check_from(
        opened(),
        &[(
            refused(1, MUTATION, Status::EINVAL),
            &format!(
                "withhold incomplete(vb:1 40) {CLOSE} \
                 ended(vb:1 consumer row-refused DCP_MUTATION Invalid)"
            ),
        )],
    );
    let machine = check_from(
        refused,
        &[
            (closed(Consumer, 2, OK), "withhold note(late)"),
            (setup(&[1, 2], 2), "add(vb:1 #3)"),
            (request_from(1, 3, 44), "withhold rollback(0x03000000 to 40) note(rollback)"),
            (
                request_from(1, 3, 41),
                "withhold note(rolled-back) rollback(0x03000000 to 40) note(rollback)",
            ),
            (
                request_from(1, 3, 12),
                "withhold note(rolled-back) complete(vb:1) refuse(0x03000000)",
            ),
            (added(3, Status::ETMPFAIL), "withhold answer(#2 vb:1 RolledBack, vb:2 AlreadyOpen)"),
            (setup(&[1, 2], 3), "add(vb:1 #4)"),
            (request_from(1, 4, 12), "forward"),
            (request_answer(4, OK), "forward"),
            (added(4, OK), "withhold answer(#3 vb:1 Opened, vb:2 AlreadyOpen)"),
        ],
    );
    assert_eq!(open(&machine), [1, 2]);
}

#[test]
fn a_consumer_that_dropped_the_stream_at_the_refused_row_has_no_gap() {
    check_from(
        opened(),
        &[
            (
                refused(1, MUTATION, Status::UNKNOWN_COLLECTION),
                &format!(
                    "withhold incomplete(vb:1 40) {CLOSE} \
                     ended(vb:1 consumer row-refused DCP_MUTATION UnknownCollection)"
                ),
            ),
            (
                closed(Consumer, 2, Status::DCP_STREAM_NOT_FOUND),
                "withhold complete(vb:1) note(late)",
            ),
            (setup(&[1, 2], 2), "add(vb:1 #3)"),
            (request_from(1, 3, 44), "forward"),
        ],
    );
}

#[test]
fn wire_21_a_consumer_that_has_no_stream_any_more_is_asked_anew_on_both_sides() {
    for status in [Status::DCP_STREAM_NOT_FOUND, Status::KEY_ENOENT, Status::NOT_MY_VBUCKET] {
        let gone =
            format!("withhold {CLOSE} ended(vb:1 consumer stream-gone DCP_MUTATION {status})");
        check_from(
            opened(),
            &[
                (refused(1, MUTATION, status), &gone),
                (setup(&[1, 2], 2), "add(vb:1 #3)"),
                (request_from(1, 3, 44), "forward"),
            ],
        );
    }
}

#[test]
fn what_an_earlier_link_knew_of_is_rolled_back_by_the_next_one() {
    check(&[
        (setup_incomplete(1, 40, 1), "add(vb:1 #0)"),
        (request_from(1, 1, 99), "withhold rollback(0x01000000 to 40) note(rollback)"),
        (request_from(1, 1, 0), "withhold note(rolled-back) complete(vb:1) refuse(0x01000000)"),
        (added(0, Status::ETMPFAIL), "withhold answer(#1 vb:1 RolledBack)"),
    ]);
}

#[test]
fn a_consumer_that_does_not_answer_after_its_rollback_has_a_complete_copy_all_the_same() {
    check(&[
        (setup_incomplete(1, 40, 1), "add(vb:1 #0)"),
        (request_from(1, 1, 40), "withhold complete(vb:1) refuse(0x01000000)"),
        (
            overdue(LinkStep::Refusal, 0),
            "close(consumer vb:1 #1) close(producer vb:1 #1) \
             answer(#1 vb:1 consumer refused add-stream TemporaryFailure)",
        ),
        (closed(Consumer, 1, OK), "withhold note(late)"),
        (setup(&[1], 2), "add(vb:1 #2)"),
        (request_from(1, 2, 40), "forward"),
    ]);
}

#[test]
fn an_open_stream_whose_copy_turns_out_to_be_incomplete_is_closed_first() {
    let machine = with_open(&[1]);
    check_from(
        machine,
        &[
            (setup_incomplete(1, 3, 1), "close(consumer vb:1 #1) close(producer vb:1 #1)"),
            (closed(Consumer, 1, OK), "withhold"),
            (closed(Producer, 1, OK), "withhold add(vb:1 #2)"),
            (request_from(1, 2, 9), "withhold rollback(0x02000000 to 3) note(rollback)"),
        ],
    );
}

#[test]
fn a_row_refused_during_set_up_fails_the_vbucket() {
    check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request(1, 1), "forward"),
        (request_answer(1, OK), "forward"),
        (
            refused(1, MUTATION, Status::ENOMEM),
            "withhold incomplete(vb:1 0) close(consumer vb:1 #1) close(producer vb:1 #1) \
             answer(#1 vb:1 consumer row-refused DCP_MUTATION NoMemory)",
        ),
        (closed(Consumer, 1, OK), "withhold note(late)"),
        (added(0, OK), "withhold note(late) close(consumer vb:1 #2) close(producer vb:1 #2)"),
    ]);
}

#[test]
fn a_row_refused_in_a_takeover_fails_it_before_the_producer_gives_the_vbucket_up() {
    check(&[
        (takeover(1, 1), "add(vb:1 #0 takeover)"),
        (request_takeover(1, 1), "forward"),
        (request_answer(1, OK), "forward"),
        (added(0, OK), "withhold"),
        (state(1, 1, VbState::Pending), "forward"),
        (
            refused(1, MUTATION, Status::EINVAL),
            "withhold incomplete(vb:1 0) close(consumer vb:1 #1) close(producer vb:1 #1) \
             answer(#1 vb:1 consumer row-refused DCP_MUTATION Invalid)",
        ),
        (state_answer(1, OK), "withhold"),
    ]);
}

#[test]
fn a_row_refused_after_the_producer_gave_up_keeps_the_consumer_from_becoming_active() {
    check(&[
        (takeover(1, 1), "add(vb:1 #0 takeover)"),
        (request_takeover(1, 1), "forward"),
        (request_answer(1, OK), "forward"),
        (added(0, OK), "withhold"),
        (state(1, 1, VbState::Pending), "forward"),
        (state_answer(1, OK), "forward"),
        (state(1, 1, VbState::Active), "withhold noop(#1)"),
        (
            refused(1, MUTATION, Status::EINVAL),
            "withhold incomplete(vb:1 0) close(consumer vb:1 #2) close(producer vb:1 #2) \
             answer(#1 vb:1 consumer row-refused DCP_MUTATION Invalid)",
        ),
        (noop_answer(1), "withhold"),
    ]);
}

#[test]
fn a_row_refused_while_its_stream_is_closed_for_a_takeover_fails_that() {
    check_from(
        opened(),
        &[
            (takeover(1, 2), CLOSE),
            (refused(1, MUTATION, Status::EINVAL), "withhold incomplete(vb:1 40)"),
            (closed(Consumer, 2, OK), "withhold"),
            (
                closed(Producer, 2, OK),
                "withhold answer(#2 vb:1 consumer row-refused DCP_MUTATION Invalid)",
            ),
        ],
    );
}

#[test]
fn a_row_refused_while_the_link_shuts_is_remembered_for_the_next_one() {
    check_from(
        opened(),
        &[
            (shut(2), "close(consumer vb:1 #2) close(consumer vb:2 #3)"),
            (refused(1, MUTATION, Status::EINVAL), "withhold incomplete(vb:1 40)"),
        ],
    );
}

#[test]
fn a_commit_that_is_refused_for_its_key_is_a_refused_row() {
    let refused = refused(1, Opcode::DCP_COMMIT, Status::KEY_ENOENT);
    let text = format!(
        "withhold incomplete(vb:1 40) {CLOSE} \
         ended(vb:1 consumer row-refused DCP_COMMIT KeyNotFound)"
    );
    check_from(opened(), &[(refused, &text)]);
}

#[test]
fn the_refusal_of_an_unknown_stream_and_the_producers_noop_pass() {
    check_from(
        opened(),
        &[
            (refused(77, MUTATION, Status::EINVAL), "forward note(error-answer)"),
            (Input::Frame(ControlFrame::NoopResponse { opaque: Opaque(5) }), "forward"),
        ],
    );
}

#[test]
fn a_stream_that_stands_still_is_closed_on_both_sides_and_added_again() {
    let machine = check_from(
        opened(),
        &[
            (reopen(&[1, 2], &[1], 2), CLOSE),
            (closed(Consumer, 2, Status::DCP_STREAM_NOT_FOUND), "withhold"),
            (closed(Producer, 2, OK), "withhold add(vb:1 #3)"),
            (request_from(1, 3, 44), "forward"),
            (request_answer(3, OK), "forward"),
            (added(3, OK), "withhold answer(#2 vb:1 Opened, vb:2 AlreadyOpen)"),
        ],
    );
    assert_eq!(open(&machine), [1, 2]);
}

#[test]
fn an_incomplete_copy_is_not_taken_over() {
    let machine = check_from(
        opened(),
        &[
            (
                refused(1, MUTATION, Status::EINVAL),
                &format!(
                    "withhold incomplete(vb:1 40) {CLOSE} \
                     ended(vb:1 consumer row-refused DCP_MUTATION Invalid)"
                ),
            ),
            (takeover(1, 2), "answer(#2 vb:1 consumer incomplete)"),
        ],
    );
    assert_eq!(open(&machine), [2]);
}

/// The node that gets the error may close its connection, which then has a reason.
#[test]
fn an_error_answer_that_no_rule_needs_passes_and_each_kind_is_reported_once() {
    let ack = Opcode::DCP_BUFFER_ACK;
    let machine = check_from(
        opened(),
        &[
            (error(Producer, ack, Status::EINVAL), "forward note(error-answer)"),
            (error(Producer, ack, Status::EINVAL), "forward"),
            (error(Producer, ack, Status::EACCESS), "forward note(error-answer)"),
            (error(Consumer, ack, Status::EINVAL), "forward note(error-answer)"),
            (refused(77, MUTATION, Status::EINVAL), "forward note(error-answer)"),
            (refused(78, MUTATION, Status::EINVAL), "forward"),
        ],
    );
    assert_eq!(open(&machine), [1, 2]);
}
