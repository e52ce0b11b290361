//! Taking over a vBucket.

use super::setup::with_open;
use super::*;
use Side::{Consumer, Producer};
use VbState::{Active, Dead, Pending, Replica};

const OK: Status = Status::SUCCESS;
const ADD: &str = "add(vb:1 #0 takeover)";
const GIVEN_UP: &str = "close(consumer vb:1 #1) close(producer vb:1 #1)";

#[test]
fn pending_then_active_then_done() {
    let machine = check(&[
        (takeover(1, 1), ADD),
        (request_takeover(1, 1), "forward"),
        (request_answer(1, OK), "forward"),
        (added(0, OK), "withhold"),
        (state(1, 1, Pending), "forward"),
        (state_answer(1, OK), "forward"),
        (state(1, 1, Active), "withhold noop(#1)"),
        (noop_answer(1), "withhold set(vb:1 active)"),
        (state_answer(1, OK), "forward answer(#1 vb:1 TakenOver)"),
        (end(1, 1, StreamEndStatus::OK), "forward"),
    ]);
    assert_eq!(open(&machine), [0_u16; 0]);
}

#[test]
fn its_own_stream_is_closed_first() {
    check_from(
        with_open(&[1]),
        &[
            (takeover(1, 1), GIVEN_UP),
            (closed(Producer, 1, OK), "withhold"),
            (end(1, 1, StreamEndStatus::CLOSED), "forward"),
            (closed(Consumer, 1, OK), "withhold add(vb:1 #2 takeover)"),
            (end(1, 1, StreamEndStatus::CLOSED), "forward note(stale)"),
            (request_takeover(1, 2), "forward"),
            (added(2, OK), "withhold"),
            (state(1, 2, Pending), "forward"),
            (state_answer(2, OK), "forward"),
            (state(1, 2, Active), "withhold noop(#3)"),
            (noop_answer(3), "withhold set(vb:1 active)"),
            (state_answer(2, OK), "forward answer(#1 vb:1 TakenOver)"),
        ],
    );
}

#[test]
fn its_own_stream_that_cannot_be_closed_is_an_error() {
    let machine = check_from(
        with_open(&[1]),
        &[
            (takeover(1, 1), GIVEN_UP),
            (overdue(LinkStep::CloseStream, 1), "answer(#1 vb:1 consumer deadline close-stream)"),
        ],
    );
    assert_eq!(open(&machine), [0_u16; 0]);
}

#[test]
fn a_refused_state_change_fails_it() {
    let begun = [
        (takeover(1, 1), ADD),
        (request_takeover(1, 1), "forward"),
        (added(0, OK), "withhold"),
        (state(1, 1, Pending), "forward"),
    ];
    let refused = |n: u32| {
        format!(
            "forward close(consumer vb:1 #{n}) close(producer vb:1 #{n}) \
             answer(#1 vb:1 consumer refused takeover NotMyVbucket)"
        )
    };
    let machine = check(&begun);
    let refusal = state_answer(1, Status::NOT_MY_VBUCKET);
    check_from(machine.clone(), &[(refusal.clone(), &refused(1))]);
    let activating = [
        (state_answer(1, OK), "forward"),
        (state(1, 1, Active), "withhold noop(#1)"),
        (noop_answer(1), "withhold set(vb:1 active)"),
        (refusal, &refused(2)),
    ];
    check_from(machine, &activating);
}

#[test]
fn the_deadline_names_who_did_not_move() {
    let overdue_by = |machine, side: &str| {
        let text = format!("{GIVEN_UP} answer(#1 vb:1 {side} deadline takeover)");
        check_from(machine, &[(overdue(LinkStep::Takeover, 0), &text)]);
    };
    let machine = check(&[(takeover(1, 1), ADD)]);
    overdue_by(machine.clone(), "consumer");
    let machine = check_from(machine, &[(request_takeover(1, 1), "forward")]);
    overdue_by(machine.clone(), "producer");
    let machine = check_from(machine, &[(added(0, OK), "withhold")]);
    overdue_by(machine.clone(), "producer");
    let machine = check_from(machine, &[(state(1, 1, Pending), "forward")]);
    overdue_by(machine, "consumer");
}

#[test]
fn a_refused_stream_fails_it() {
    check(&[
        (takeover(1, 1), ADD),
        (request_takeover(1, 1), "forward"),
        (request_answer(1, Status::NOT_MY_VBUCKET), "forward"),
        (
            overdue(LinkStep::Refusal, 0),
            &format!("{GIVEN_UP} answer(#1 vb:1 producer refused add-stream NotMyVbucket)"),
        ),
    ]);
}

#[test]
fn a_left_over_stream_is_closed_and_taken_over_once_more() {
    check(&[
        (takeover(1, 1), ADD),
        (added(0, Status::KEY_EEXISTS), &format!("withhold note(left-over) {GIVEN_UP}")),
        (closed(Consumer, 1, OK), "withhold"),
        (closed(Producer, 1, OK), "withhold add(vb:1 #2 takeover)"),
        (overdue(LinkStep::Takeover, 0), ""),
    ]);
}

#[test]
fn states_that_have_no_place_in_it_end_the_link() {
    for wrong in [Replica, Dead] {
        check(&[
            (takeover(1, 1), ADD),
            (request_takeover(1, 1), "forward"),
            (
                state(1, 1, wrong),
                "withhold answer(#1 vb:1 producer protocol) stop(the producer broke the protocol: \
                 SET_VBUCKET_STATE in a takeover was neither pending nor active)",
            ),
        ]);
    }
    check(&[
        (takeover(1, 1), ADD),
        (request_takeover(1, 1), "forward"),
        (state(1, 1, Pending), "forward"),
        (
            state(1, 1, Active),
            "withhold answer(#1 vb:1 producer protocol) stop(the producer broke the protocol: \
             SET_VBUCKET_STATE came before the previous one was acknowledged)",
        ),
    ]);
}

#[test]
fn state_changes_of_others_pass_and_are_noted() {
    check(&[
        (state(1, 1, Active), "forward note(unexpected-state)"),
        (state_answer(1, OK), "forward"),
        (takeover(1, 1), ADD),
        (state(2, 2, Pending), "forward note(unexpected-state)"),
        (state_answer(2, OK), "forward"),
    ]);
}

#[test]
fn other_streams_may_end_meanwhile() {
    let machine = check_from(
        with_open(&[2]),
        &[
            (takeover(1, 1), "add(vb:1 #1 takeover)"),
            (
                end(2, 1, StreamEndStatus::STATE_CHANGED),
                "forward ended(vb:2 producer end StateChanged)",
            ),
        ],
    );
    assert_eq!(machine.phase(), "taking-over");
}

#[test]
fn a_request_without_the_takeover_flag_is_not_its_stream() {
    check(&[
        (takeover(1, 1), ADD),
        (request(1, 1), "forward note(unexpected-request)"),
        (request_takeover(1, 2), "forward"),
        (end(1, 1, StreamEndStatus::OK), "forward note(stale)"),
        (
            lost(Producer),
            "answer(#1 vb:1 producer lost) \
             stop(the connection to the producer was lost: end of file)",
        ),
    ]);
}

#[test]
fn its_deadline_starts_anew_as_long_as_data_passes() {
    let passed = || Input::Event(Event::DataPassed);
    check(&[
        (passed(), ""),
        (takeover(1, 1), ADD),
        (passed(), ""),
        (overdue(LinkStep::Takeover, 0), "progress"),
        (request_takeover(1, 1), "forward"),
        (added(0, OK), "withhold"),
        (passed(), ""),
        (overdue(LinkStep::Takeover, 0), "progress"),
        (
            overdue(LinkStep::Takeover, 0),
            &format!("{GIVEN_UP} answer(#1 vb:1 producer deadline takeover)"),
        ),
    ]);
}
