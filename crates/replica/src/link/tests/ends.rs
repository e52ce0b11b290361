//! STREAM_END in every phase: one test for each row of the table that this project starts from
//! (MB-53445, MB-51223). The stream's opaque is always the consumer's, never that of ADD_STREAM.

use super::setup::with_open;
use super::*;
use Side::{Consumer, Producer};

const OK: Status = Status::SUCCESS;
const CHANGED: StreamEndStatus = StreamEndStatus::STATE_CHANGED;

#[test]
fn mb_53445_shut_any_is_ignored() {
    check_from(
        with_open(&[1]),
        &[
            (shut(1), "close(consumer vb:1 #1)"),
            (end(1, 1, CHANGED), "withhold"),
            (end(2, 9, StreamEndStatus::OK), "withhold"),
            (
                closed(Consumer, 1, OK),
                "withhold answer(#1 vb:1 Closed) stop(the link was shut down)",
            ),
            (end(1, 1, CHANGED), "withhold"),
        ],
    );
}

#[test]
fn mb_17241_any_open_stream_leaves_the_open_set() {
    for status in StreamEndStatus::NAMED {
        let told = format!("forward ended(vb:1 producer end {status})");
        let machine = check_from(
            with_open(&[1, 2]),
            &[
                (end(1, 1, *status), &told),
                (end(1, 1, *status), "forward"),
                (close(&[1], 1), "close(consumer vb:1 #2) close(producer vb:1 #2)"),
                (closed(Producer, 2, Status::KEY_ENOENT), "withhold"),
                (
                    closed(Consumer, 2, Status::DCP_STREAM_NOT_FOUND),
                    "withhold answer(#1 vb:1 Closed)",
                ),
            ],
        );
        assert_eq!(open(&machine), [2]);
    }
}

#[test]
fn mb_53445_open_stream_that_ends_while_a_set_up_runs_is_reported_at_once() {
    let script = [
        (setup(&[1, 2], 1), "add(vb:2 #1)"),
        (end(1, 1, CHANGED), "forward ended(vb:1 producer end StateChanged)"),
    ];
    check_from(
        check_from(with_open(&[1]), &script),
        &[(added(1, OK), "withhold answer(#1 vb:2 Opened)")],
    );
    check_from(
        with_open(&[1]),
        &[
            (setup(&[1, 2], 1), "add(vb:2 #1)"),
            (end(1, 1, StreamEndStatus::OK), "forward ended(vb:1 producer end Ok)"),
            (added(1, OK), "withhold answer(#1 vb:2 Opened)"),
        ],
    );
    check_from(
        with_open(&[1]),
        &[
            (add(&[2], 1), "add(vb:2 #1)"),
            (end(1, 1, CHANGED), "forward ended(vb:1 producer end StateChanged)"),
            (added(1, OK), "withhold answer(#1 vb:2 Opened)"),
        ],
    );
}

#[test]
fn mb_53445_pending_with_its_own_opaque_and_a_failure_is_an_error_at_once() {
    for status in StreamEndStatus::NAMED.iter().filter(|&&status| status != StreamEndStatus::OK) {
        let answer = format!("forward answer(#1 vb:1 producer end {status})");
        check(&[
            (setup(&[1], 1), "add(vb:1 #0)"),
            (request(1, 1), "forward"),
            (request_answer(1, OK), "forward"),
            (end(1, 1, *status), &answer),
        ]);
    }
}

#[test]
fn mb_53445_pending_before_its_opaque_is_known_and_a_failure_is_an_error() {
    check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (end(1, 5, CHANGED), "forward answer(#1 vb:1 producer end StateChanged)"),
    ]);
}

#[test]
fn mb_53445_two_pending_one_ends() {
    let machine = check(&[
        (setup(&[1, 2], 1), "add(vb:1 #0) add(vb:2 #1)"),
        (request(1, 1), "forward"),
        (request(2, 2), "forward"),
        (end(1, 1, CHANGED), "forward"),
        (added(1, OK), "withhold answer(#1 vb:1 producer end StateChanged, vb:2 Opened)"),
    ]);
    assert_eq!(open(&machine), [2]);
}

#[test]
fn mb_53445_all_pending_end() {
    check(&[
        (setup(&[1, 2], 1), "add(vb:1 #0) add(vb:2 #1)"),
        (request(1, 1), "forward"),
        (request(2, 2), "forward"),
        (end(2, 2, StreamEndStatus::BACKFILL_FAIL), "forward"),
        (
            end(1, 1, CHANGED),
            "forward answer(#1 vb:1 producer end StateChanged, vb:2 producer end BackfillFail)",
        ),
    ]);
}

#[test]
fn mb_51223_pending_with_status_ok_waits_and_is_finished() {
    let finished = [
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request(1, 1), "forward"),
        (request_answer(1, OK), "forward"),
        (end(1, 1, StreamEndStatus::OK), "forward note(finished)"),
    ];
    let machine = check(&finished);
    let answered =
        check_from(machine.clone(), &[(added(0, OK), "withhold answer(#1 vb:1 Finished)")]);
    assert_eq!(open(&answered), [0_u16; 0]);
    check_from(
        machine,
        &[
            (overdue(LinkStep::AddStream, 0), "progress"),
            (
                overdue(LinkStep::AddStream, 0),
                "close(consumer vb:1 #1) close(producer vb:1 #1) \
                 answer(#1 vb:1 consumer deadline add-stream)",
            ),
        ],
    );
}

#[test]
fn mb_34951_pending_with_the_opaque_of_an_older_stream_is_stale() {
    let closing = "close(consumer vb:1 #1) close(producer vb:1 #1)";
    let again = [
        (close(&[1], 1), closing),
        (closed(Consumer, 1, OK), "withhold"),
        (closed(Producer, 1, OK), "withhold answer(#1 vb:1 Closed)"),
        (add(&[1], 2), "add(vb:1 #2)"),
        (end(1, 1, StreamEndStatus::CLOSED), "forward note(stale)"), // Before its STREAM_REQ,
        (request(1, 2), "forward"),
        (end(1, 1, StreamEndStatus::CLOSED), "forward note(stale)"), // during the request,
        (added(2, OK), "withhold answer(#2 vb:1 Opened)"),
        (end(1, 1, StreamEndStatus::CLOSED), "forward note(stale)"), // and after it.
    ];
    let machine = check_from(with_open(&[1]), &again);
    assert_eq!(open(&machine), [1]);
}

#[test]
fn mb_34951_pending_with_the_opaque_of_another_stream_is_stale() {
    check(&[
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request(1, 2), "forward"),
        (end(1, 1, CHANGED), "forward note(stale)"),
        (added(0, OK), "withhold answer(#1 vb:1 Opened)"),
    ]);
}

#[test]
fn mb_53445_a_late_answer_for_an_ended_vbucket_is_blocked_and_its_stream_closed() {
    let ended = [
        (setup(&[1], 1), "add(vb:1 #0)"),
        (request(1, 1), "forward"),
        (end(1, 1, CHANGED), "forward answer(#1 vb:1 producer end StateChanged)"),
    ];
    let machine = check_from(
        check(&ended),
        &[
            (added(0, OK), "withhold note(late) close(consumer vb:1 #1)"),
            (closed(Consumer, 1, OK), "withhold note(late)"),
        ],
    );
    assert_eq!(open(&machine), [0_u16; 0]);
    check_from(check(&ended), &[(added(0, Status::NOT_MY_VBUCKET), "withhold note(late)")]);
}

#[test]
fn mb_53445_a_late_answer_during_the_same_set_up_is_blocked() {
    check(&[
        (setup(&[1, 2], 1), "add(vb:1 #0) add(vb:2 #1)"),
        (end(1, 1, CHANGED), "forward"),
        (added(0, OK), "withhold note(late) close(consumer vb:1 #2)"),
        (added(1, OK), "withhold answer(#1 vb:1 producer end StateChanged, vb:2 Opened)"),
    ]);
}

#[test]
fn mb_53445_takeover_that_is_not_active_fails_with_the_status_at_once() {
    for status in [StreamEndStatus::OK, CHANGED, StreamEndStatus::BACKFILL_FAIL] {
        let answer = format!("forward answer(#1 vb:1 producer end {status})");
        let started =
            [(takeover(1, 1), "add(vb:1 #0 takeover)"), (request_takeover(1, 1), "forward")];
        let pending = check(&started);
        check_from(pending.clone(), &[(end(1, 1, status), &answer)]);
        let opened = check_from(pending, &[(added(0, OK), "withhold")]);
        check_from(opened, &[(end(1, 1, status), &answer)]);
    }
}

#[test]
fn mb_53445_takeover_that_is_active_ends_with_ok() {
    check(&[
        (takeover(1, 1), "add(vb:1 #0 takeover)"),
        (request_takeover(1, 1), "forward"),
        (state(1, 1, VbState::Active), "withhold noop(#1)"),
        (noop_answer(1), "withhold set(vb:1 active)"),
        (state_answer(1, OK), "forward"),
        (end(1, 1, StreamEndStatus::OK), "forward"),
        (added(0, OK), "withhold answer(#1 vb:1 TakenOver)"),
    ]);
}

#[test]
fn mb_53445_idle_and_unknown_is_ignored() {
    check(&[(end(1, 1, CHANGED), "forward")]);
    let machine = check_from(with_open(&[1]), &[(end(2, 2, CHANGED), "forward")]);
    assert_eq!(open(&machine), [1]);
}

#[test]
fn end_of_file_clears_pending_entries_with_its_own_error() {
    for (side, name) in [(Consumer, "consumer"), (Producer, "producer")] {
        let answer = format!(
            "answer(#1 vb:1 {name} lost, vb:2 {name} lost) \
             stop(the connection to the {name} was lost: end of file)"
        );
        check_from(with_open(&[1]), &[(setup(&[1, 2], 1), "add(vb:2 #1)"), (lost(side), &answer)]);
    }
}
