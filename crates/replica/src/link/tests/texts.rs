//! Texts for operators and codes for programs.

use super::super::{Retry, StepLimits, StopReason};
use super::*;

fn error(side: Side, reason: Reason) -> VbError {
    VbError { vb: VbId(12), side, reason }
}

#[test]
fn errors_name_vbucket_side_and_status_by_name_and_number() {
    let refused = |step, status| Reason::Refused { step, status };
    let cases = [
        (
            error(Side::Producer, refused(LinkStep::AddStream, Status::NOT_MY_VBUCKET)),
            "vb:12: producer refused add-stream with NotMyVbucket (0x07)",
            ("refused", Some("NotMyVbucket (0x07)"), Retry::AfterNewTopology),
        ),
        (
            error(Side::Consumer, refused(LinkStep::CloseStream, Status(0x99))),
            "vb:12: consumer refused close-stream with 0x99 (0x99)",
            ("refused", Some("0x99 (0x99)"), Retry::AfterBackoff),
        ),
        (
            error(Side::Producer, refused(LinkStep::AddStream, Status::EINVAL)),
            "vb:12: producer refused add-stream with Invalid (0x04)",
            ("refused", Some("Invalid (0x04)"), Retry::Never),
        ),
        (
            error(Side::Producer, Reason::StreamEnd(StreamEndStatus::BACKFILL_FAIL)),
            "vb:12: producer ended the stream with BackfillFail (5)",
            ("stream-end", Some("BackfillFail (5)"), Retry::AfterBackoff),
        ),
        (
            error(Side::Producer, Reason::StreamEnd(StreamEndStatus::ROLLBACK)),
            "vb:12: producer ended the stream with Rollback (6)",
            ("stream-end", Some("Rollback (6)"), Retry::AtOnce),
        ),
        (
            error(Side::Producer, Reason::StreamEnd(StreamEndStatus::LOST_PRIVILEGES)),
            "vb:12: producer ended the stream with LostPrivileges (8)",
            ("stream-end", Some("LostPrivileges (8)"), Retry::Never),
        ),
        (
            error(Side::Consumer, Reason::Deadline(LinkStep::AddStream)),
            "vb:12: consumer did not finish add-stream in time",
            ("deadline", None, Retry::AfterBackoff),
        ),
        (
            error(Side::Producer, Reason::LinkLost("connection reset by peer".to_owned())),
            "vb:12: producer was lost: connection reset by peer",
            ("link-lost", None, Retry::AfterBackoff),
        ),
        (
            error(Side::Producer, Reason::Protocol("sent nonsense")),
            "vb:12: producer broke the protocol: sent nonsense",
            ("protocol", None, Retry::AfterBackoff),
        ),
        (
            error(Side::Consumer, Reason::Shut),
            "vb:12: consumer was not done when the link was shut down",
            ("shut", None, Retry::Never),
        ),
    ];
    for (error, text, (code, status, retry)) in cases {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.reason_code().name(), code);
        assert_eq!(error.answer().map(|answer| answer.to_string()).as_deref(), status);
        assert_eq!(error.retry(), retry);
    }
}

#[test]
fn an_unknown_stream_end_is_worth_another_try() {
    let unknown = error(Side::Producer, Reason::StreamEnd(StreamEndStatus(77)));
    assert_eq!(unknown.retry(), Retry::AfterBackoff);
}

#[test]
fn outcomes_tell_success_from_failure() {
    let done = |outcome| Outcome::Done([(VbId(1), outcome)].into());
    assert!(done(VbOutcome::Opened).is_success());
    assert!(done(VbOutcome::Finished).is_success());
    assert!(!done(VbOutcome::Failed(error(Side::Consumer, Reason::Shut))).is_success());
    assert!(!Outcome::Busy.is_success());
    assert!(!Outcome::Down(StopReason::Shut).is_success());
}

#[test]
fn every_step_has_a_limit_and_a_name() {
    let limits = StepLimits::default();
    let steps = [
        LinkStep::AddStream,
        LinkStep::Refusal,
        LinkStep::CloseStream,
        LinkStep::Takeover,
        LinkStep::Shut,
    ];
    for step in steps {
        assert!(!limits.of(step).is_zero(), "{step}");
        assert_eq!(serde_json::to_value(step).unwrap(), step.to_string());
    }
    assert_eq!(serde_json::to_value(Retry::AtOnce).unwrap(), Retry::AtOnce.to_string());
}
