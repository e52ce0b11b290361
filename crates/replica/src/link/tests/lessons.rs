//! One script for each known bug that this machine could have.

use super::setup::with_open;
use super::*;
use Side::{Consumer, Producer};
use VbState::{Active, Pending};

const OK: Status = Status::SUCCESS;

#[test]
fn mb_9343_a_stream_that_cannot_be_added_is_not_retried_for_ever() {
    check(&[
        (add(&[1], 1), "add(vb:1 #0)"),
        (
            added(0, Status::ETMPFAIL),
            "withhold answer(#1 vb:1 consumer refused add-stream TemporaryFailure)",
        ),
    ]);
}

#[test]
fn mb_9343_takeover_of_an_open_stream_closes_it_first() {
    check_from(
        with_open(&[1]),
        &[(takeover(1, 1), "close(consumer vb:1 #1) close(producer vb:1 #1)")],
    );
}

#[test]
fn mb_10465_the_state_change_is_known_before_the_consumer_can_answer_it() {
    check(&[
        (takeover(1, 1), "add(vb:1 #0 takeover)"),
        (request_takeover(1, 1), "forward"),
        (state_answer(1, OK), "forward"), // No state was ordered: not an answer.
        (state(1, 1, Active), "withhold noop(#1)"),
        (noop_answer(1), "withhold set(vb:1 active)"),
        (added(0, OK), "withhold"),
        (state_answer(1, OK), "forward answer(#1 vb:1 TakenOver)"),
    ]);
}

#[test]
fn mb_10779_the_add_stream_answer_may_come_after_both_state_changes() {
    check(&[
        (takeover(1, 1), "add(vb:1 #0 takeover)"),
        (request_takeover(1, 1), "forward"),
        (state(1, 1, Pending), "forward"),
        (state_answer(1, OK), "forward"),
        (state(1, 1, Active), "withhold noop(#1)"),
        (noop_answer(1), "withhold set(vb:1 active)"),
        (state_answer(1, OK), "forward"),
        (added(0, OK), "withhold answer(#1 vb:1 TakenOver)"),
    ]);
}

#[test]
fn mb_10720_a_loss_is_answered_whatever_is_being_waited_for() {
    let stop = "stop(the connection to the consumer was lost: end of file)";
    let lost_now = |machine, text: &str| {
        check_from(machine, &[(lost(Consumer), &format!("{text}{stop}"))]);
    };
    lost_now(check(&[(add(&[1], 1), "add(vb:1 #0)")]), "answer(#1 vb:1 consumer lost) ");
    lost_now(
        check(&[(close(&[1], 1), "close(consumer vb:1 #0) close(producer vb:1 #0)")]),
        "answer(#1 vb:1 consumer lost) ",
    );
    lost_now(check(&[(takeover(1, 1), "add(vb:1 #0 takeover)")]), "answer(#1 vb:1 consumer lost) ");
    lost_now(with_open(&[1]), "");
}

#[test]
fn mb_15926_key_enoent_on_close_means_closed() {
    for status in [OK, Status::KEY_ENOENT, Status::DCP_STREAM_NOT_FOUND] {
        check_from(
            with_open(&[1]),
            &[
                (setup(&[], 1), "close(consumer vb:1 #1) close(producer vb:1 #1)"),
                (closed(Consumer, 1, status), "withhold"),
                (closed(Producer, 1, status), "withhold answer(#1 vb:1 Closed)"),
            ],
        );
    }
}

#[test]
fn mb_15926_the_last_close_is_not_lost() {
    check_from(
        with_open(&[1]),
        &[
            (close(&[1], 1), "close(consumer vb:1 #1) close(producer vb:1 #1)"),
            (closed(Consumer, 1, Status::EINVAL), "withhold"),
            (
                closed(Producer, 1, OK),
                "withhold answer(#1 vb:1 consumer refused close-stream Invalid)",
            ),
        ],
    );
}

#[test]
fn mb_16064_a_dead_producer_does_not_slow_the_shutdown() {
    check_from(with_open(&[1]), &[(shut(1), "close(consumer vb:1 #1)")]);
}

#[test]
fn mb_29354_an_ended_stream_that_the_consumer_still_has_is_closed_and_added_again() {
    let machine = check_from(
        with_open(&[1]),
        &[
            (end(1, 1, StreamEndStatus::OK), "forward ended(vb:1 producer end Ok)"),
            (add(&[1], 1), "add(vb:1 #1)"),
            (
                added(1, Status::KEY_EEXISTS),
                "withhold note(left-over) close(consumer vb:1 #2) close(producer vb:1 #2)",
            ),
            (closed(Consumer, 2, OK), "withhold"),
            (closed(Producer, 2, Status::KEY_ENOENT), "withhold add(vb:1 #3)"),
            (added(3, OK), "withhold answer(#1 vb:1 Opened)"),
        ],
    );
    assert_eq!(open(&machine), [1]);
}

#[test]
fn mb_28525_only_what_changed_is_touched() {
    check_from(
        with_open(&[1, 2, 3]),
        &[(setup(&[1, 3, 4], 1), "close(consumer vb:2 #3) close(producer vb:2 #3) add(vb:4 #4)")],
    );
}

#[test]
fn mb_59522_an_unknown_status_is_not_progress() {
    let unknown = Status(0x7777);
    check(&[
        (add(&[1], 1), "add(vb:1 #0)"),
        (added(0, unknown), "withhold answer(#1 vb:1 consumer refused add-stream 0x7777)"),
        (takeover(2, 2), "add(vb:2 #1 takeover)"),
        (request_takeover(2, 1), "forward"),
        (state(2, 1, Active), "withhold noop(#2)"),
        (noop_answer(2), "withhold set(vb:2 active)"),
        (
            state_answer(1, unknown),
            "forward close(consumer vb:2 #3) close(producer vb:2 #3) \
             answer(#2 vb:2 consumer refused takeover 0x7777)",
        ),
    ]);
}

#[test]
fn mb_59839_every_error_says_which_vbucket_and_which_status() {
    let mut machine = check(&[(add(&[7], 1), "add(vb:7 #0)")]);
    let status = Status::NOT_MY_VBUCKET;
    let (_, effects) = machine.on_frame(ControlFrame::AddStreamResponse { opaque: own(0), status });
    let Some(Effect::Answer(_, outcome)) = effects.first() else { panic!("no answer") };
    let texts: Vec<String> = outcome.errors().map(ToString::to_string).collect();
    assert_eq!(texts, ["vb:7: consumer refused add-stream with NotMyVbucket (0x07)"]);
}

#[test]
fn mb_67329_reads_do_not_wait_for_a_takeover() {
    let machine = check_from(with_open(&[1, 2]), &[(takeover(3, 1), "add(vb:3 #2 takeover)")]);
    assert_eq!(open(&machine), [1, 2]);
    assert_eq!(machine.pending(), vbs(&[3]));
}

#[test]
fn mb_32724_answers_to_requests_never_made_are_withheld_and_harmless() {
    check(&[
        (added(9, OK), "withhold note(stray)"),
        (closed(Consumer, 9, OK), "withhold note(stray)"),
        (closed(Producer, 9, OK), "withhold note(stray)"),
        (request_answer(9, Status::EINVAL), "forward"),
        (request(1, 1), "forward note(unexpected-request)"),
    ]);
}
