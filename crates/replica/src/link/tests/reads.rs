//! Snapshots of a machine, and the bounds of its memory.

use super::super::{Snapshot, VbPhase, VbSnapshot};
use super::setup::with_open;
use super::*;

const OK: Status = Status::SUCCESS;

/// As programs read it.
fn snapshot(machine: &ConsumerMachine) -> String {
    serde_json::to_string(&machine.snapshot()).unwrap()
}

#[test]
fn a_snapshot_shows_every_vbucket_with_its_phase_and_opaque() {
    let machine = check_from(
        with_open(&[1, 2]),
        &[
            (
                setup(&[2, 3, 4, 5, 6], 1),
                "close(consumer vb:1 #2) close(producer vb:1 #2) \
                 add(vb:3 #3) add(vb:4 #4) add(vb:5 #5) add(vb:6 #6)",
            ),
            (request(4, 3), "forward"),
            (request(5, 4), "forward"),
            (request_answer(4, OK), "forward"),
            (request(6, 5), "forward"),
            (request_answer(5, Status::ERANGE), "forward"),
        ],
    );
    let row = |vb, phase, n: Option<u32>| VbSnapshot {
        rollbacks_before: None,
        vbucket: vb,
        phase,
        opaque: n.map(|n| stream(n).0),
    };
    let vbuckets = vec![
        row(1, VbPhase::Closing, Some(1)),
        row(2, VbPhase::Open, Some(2)),
        row(3, VbPhase::Adding, None),
        row(4, VbPhase::Requested, Some(3)),
        row(5, VbPhase::Accepted, Some(4)),
        row(6, VbPhase::Refused, Some(5)),
    ];
    assert_eq!(machine.snapshot(), Snapshot { phase: "setting-up", vbuckets });
    assert_eq!(machine.pending(), vbs(&[1, 3, 4, 5, 6]));
    assert_eq!(machine.deadlines().count(), 3, "one for each kind of step");
}

#[test]
fn a_snapshot_shows_a_takeover_and_a_shutdown() {
    let moving = check(&[
        (takeover(1, 1), "add(vb:1 #0 takeover)"),
        (request_takeover(1, 1), "forward"),
        (added(0, OK), "withhold"),
    ]);
    assert_eq!(
        snapshot(&moving),
        r#"{"phase":"taking-over","vbuckets":[{"vbucket":1,"phase":"moving","opaque":16777216}]}"#
    );
    let shutting = check_from(with_open(&[1]), &[(shut(1), "close(consumer vb:1 #1)")]);
    assert_eq!(
        snapshot(&shutting),
        r#"{"phase":"shutting","vbuckets":[{"vbucket":1,"phase":"closing","opaque":null}]}"#
    );
    assert!(shutting.stopped().is_none());
}

#[test]
fn the_memory_of_unanswered_attempts_is_bounded() {
    let mut machine = ConsumerMachine::default();
    for _ in 0..3 * super::super::ledger::LATE_MAX {
        let vbs = vbs(&[1]);
        machine.on(Event::Command { ticket: Ticket(1), command: Command::AddStreams { vbs } });
        let deadline = machine.deadlines().next().unwrap();
        machine.on(Event::DeadlinePassed(deadline));
        assert_eq!(machine.check_invariants(), Ok(()));
    }
}

#[test]
fn the_memory_of_older_streams_is_bounded() {
    let mut machine = with_open(&[1]);
    for n in 2..20 {
        machine = check_from(machine, &[(request(1, n), "forward")]);
        assert_eq!(machine.check_invariants(), Ok(()));
    }
    assert_eq!(machine.stream_opaque(VbId(1)), Some(stream(19)));
}

#[test]
fn own_opaques_are_never_a_vbucket_id() {
    let machine = check(&[(setup(&[1], 1), "add(vb:1 #0)")]);
    assert!(machine.deadlines().all(|deadline| deadline.opaque.0 > u32::from(u16::MAX)));
}
