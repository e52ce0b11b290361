//! STREAM_REQ against a vBucket: one line a case, in the order of the checks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use mcbp::dcp::{FailoverEntry, StreamReq, stream_flags as flag};
use mcbp::{Seqno, Status, VbState, VbUuid};
use vbucket::FailoverTable;
use vbucket::stream_req::{ConnectionFacts, Granted, StreamRefusal, VbFacts, check, stream_id};

/// High seqno 100, purged up to 20, branch 2 began after 50, branch 1 before it.
fn active() -> VbFacts {
    let entry = |uuid, seqno| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
    VbFacts {
        state: VbState::Active,
        failover: FailoverTable::from_log(&[entry(2, 50), entry(1, 0)]).unwrap(),
        high_seqno: Seqno(100),
        snapshot_start: Seqno(100),
        snapshot_end: Seqno(100),
        purge_seqno: Seqno(20),
        durable: Default::default(),
        history_start: Seqno::ZERO,
        collections: Default::default(),
    }
}

fn connection() -> ConnectionFacts {
    ConnectionFacts {
        collections: true,
        needs_noop: true,
        noop: true,
        streaming: false,
        stream_ids: false,
    }
}

/// A request of `uuid` at `start`, at the end of its snapshot.
fn at(uuid: u64, start: u64) -> StreamReq<'static> {
    StreamReq {
        flags: 0,
        start: Seqno(start),
        end: Seqno::MAX,
        uuid: VbUuid(uuid),
        snapshot_start: Seqno(start),
        snapshot_end: Seqno(start),
        value: &[],
    }
}

fn with_flags(flags: u32) -> StreamReq<'static> {
    StreamReq { flags, ..at(0, 0) }
}

fn with_value(value: &'static str) -> StreamReq<'static> {
    StreamReq { value: value.as_bytes(), ..at(0, 0) }
}

fn run(request: &StreamReq<'_>) -> String {
    show(&check(request, Some(&active()), connection()))
}

fn show(outcome: &Result<Granted, StreamRefusal>) -> String {
    match outcome {
        Ok(Granted { start, end, .. }) if *end == Seqno::MAX => format!("{start}.."),
        Ok(Granted { start, end, .. }) => format!("{start}..{end}"),
        Err(StreamRefusal::Status(status)) => status.to_string(),
        Err(StreamRefusal::Rollback(to)) => format!("rollback {to}"),
    }
}

#[test]
fn requests_by_their_fields() {
    let inside = |start, snapshot_start, snapshot_end| StreamReq {
        start: Seqno(start),
        snapshot_start: Seqno(snapshot_start),
        snapshot_end: Seqno(snapshot_end),
        ..at(1, start)
    };
    for (request, expected) in [
        (at(0, 0), "0.."),
        (at(9, 0), "0.."),
        (at(2, 100), "100.."),
        (at(2, 60), "60.."),
        (at(1, 50), "50.."),
        (at(1, 51), "rollback 50"),
        (inside(48, 45, 55), "rollback 45"),
        (inside(48, 48, 55), "48.."),
        (at(9, 60), "rollback 0"),
        (at(2, 101), "rollback 100"),
        (at(1, 19), "rollback 0"),
        (at(1, 20), "20.."),
        (inside(60, 61, 70), "Range"),
        (inside(60, 50, 59), "Range"),
        (StreamReq { end: Seqno(59), ..at(2, 60) }, "Range"),
        (StreamReq { snapshot_end: Seqno(200), ..at(2, 100) }, "100.."),
    ] {
        assert_eq!(run(&request), expected, "{request:?}");
    }
}

#[test]
fn requests_by_their_flags() {
    for (request, expected) in [
        (with_flags(flag::REMOVED_NO_VALUE), "Invalid"),
        (with_flags(0x8000), "Invalid"),
        (with_flags(flag::TO_LATEST), "0..100"),
        (with_flags(flag::DISK_ONLY), "0..100"),
        (with_flags(flag::FROM_LATEST), "100.."),
        (StreamReq { flags: flag::STRICT_VBUUID, ..at(9, 0) }, "rollback 0"),
        (with_flags(flag::STRICT_VBUUID), "0.."),
        (StreamReq { flags: flag::IGNORE_PURGED_TOMBSTONES, ..at(1, 19) }, "19.."),
    ] {
        assert_eq!(run(&request), expected, "{request:?}");
    }
}

#[test]
fn requests_by_their_value() {
    for (request, expected) in [
        (with_value("{}"), "Invalid"),
        (with_value(r#"{"nonsense":1}"#), "Invalid"),
        (with_value(r#"{"uid":"0"}"#), "0.."),
        (with_value(r#"{"uid":"zz"}"#), "0.."),
        (with_value(r#"{"uid":1}"#), "0.."),
        (with_value(r#"{"collections":[]}"#), "0.."),
        (with_value(r#"{"collections":"0"}"#), "Invalid"),
        (with_value(r#"{"collections":["0"]}"#), "0.."),
        (with_value(r#"{"collections":["8"]}"#), "UnknownCollection"),
        (with_value(r#"{"scope":"0"}"#), "0.."),
        (with_value(r#"{"scope":"9"}"#), "UnknownScope"),
        (with_value(r#"{"scope":"0","collections":["0"]}"#), "Invalid"),
        (with_value(r#"{"sid":1}"#), "DcpStreamIdInvalid"),
        (with_value("[]"), "Invalid"),
        (StreamReq { value: br#"{"purge_seqno":"20"}"#, ..at(1, 19) }, "19.."),
        (StreamReq { value: br#"{"purge_seqno":"19"}"#, ..at(1, 19) }, "rollback 0"),
        (StreamReq { value: br#"{"purge_seqno":"x"}"#, ..at(1, 19) }, "Invalid"),
    ] {
        assert_eq!(run(&request), expected, "{request:?}");
    }
}

#[test]
fn requests_by_their_stream_id() {
    let with_ids = ConnectionFacts { stream_ids: true, ..connection() };
    for (value, expected, sid) in [
        ("", "DcpStreamIdInvalid", None),
        (r#"{"uid":"0"}"#, "DcpStreamIdInvalid", None),
        (r#"{"sid":1}"#, "0..", Some(1)),
        (r#"{"sid":70000}"#, "0..", Some(0x1170)),
        (r#"{"sid":65536}"#, "DcpStreamIdInvalid", None),
        (r#"{"sid":0}"#, "DcpStreamIdInvalid", None),
        (r#"{"sid":-1}"#, "Invalid", None),
        (r#"{"sid":"1"}"#, "Invalid", None),
        (r#"{"sid":1,"collections":["8"]}"#, "UnknownCollection", Some(1)),
    ] {
        let request = with_value(value);
        assert_eq!(show(&check(&request, Some(&active()), with_ids)), expected, "{value}");
        assert_eq!(stream_id(&request), sid, "{value}");
    }
}

#[test]
fn vbuckets_by_their_state() {
    let in_state = |state| VbFacts { state, ..active() };
    for (vb, flags, expected) in [
        (None, 0, "NotMyVbucket"),
        (Some(in_state(VbState::Dead)), 0, "NotMyVbucket"),
        (Some(in_state(VbState::Pending)), 0, "NotMyVbucket"),
        (Some(in_state(VbState::Replica)), 0, "0.."),
        (Some(in_state(VbState::Replica)), flag::ACTIVE_ONLY, "NotMyVbucket"),
        (Some(in_state(VbState::Replica)), flag::TAKEOVER, "NotMyVbucket"),
        (Some(in_state(VbState::Active)), flag::TAKEOVER, "0.."),
    ] {
        assert_eq!(show(&check(&with_flags(flags), vb.as_ref(), connection())), expected, "{vb:?}");
    }
}

#[test]
fn mb_31664_a_replica_inside_its_first_snapshot_has_nothing_to_pass_on() {
    let replica = VbFacts {
        state: VbState::Replica,
        snapshot_start: Seqno::ZERO,
        snapshot_end: Seqno(200),
        ..active()
    };
    let outcome = check(&at(0, 0), Some(&replica), connection());
    assert_eq!(outcome, Err(StreamRefusal::Status(Status::ETMPFAIL)));
}

#[test]
fn connections_by_what_they_agreed() {
    let asked = |connection| show(&check(&at(0, 0), Some(&active()), connection));
    assert_eq!(asked(ConnectionFacts { noop: false, ..connection() }), "NotSupported");
    let free = ConnectionFacts { noop: false, needs_noop: false, ..connection() };
    assert_eq!(asked(free), "0..");
    assert_eq!(asked(ConnectionFacts { streaming: true, ..connection() }), "KeyExists");
    let plain = ConnectionFacts { collections: false, ..connection() };
    assert_eq!(show(&check(&with_value("{}"), Some(&active()), plain)), "Invalid");
}

#[test]
fn mb_25434_hard_errors_come_before_temporary_ones() {
    let replica = VbFacts {
        state: VbState::Replica,
        snapshot_start: Seqno::ZERO,
        snapshot_end: Seqno(200),
        ..active()
    };
    let wrong = StreamReq { end: Seqno(1), ..at(2, 60) };
    let outcome = check(&wrong, Some(&replica), connection());
    assert_eq!(outcome, Err(StreamRefusal::Status(Status::ERANGE)));
}
