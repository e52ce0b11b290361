//! Which frames are forwarded and which withheld, by phase.

use super::setup::with_open;
use super::*;

fn frames() -> Vec<(ControlFrame, Verdict)> {
    let (vb, opaque, status) = (VbId(9), stream(99), Status::SUCCESS);
    let end = StreamEndStatus::STATE_CHANGED;
    let side = |side| ControlFrame::CloseStreamResponse { side, opaque, status };
    vec![
        (ControlFrame::AddStreamResponse { opaque, status }, Verdict::Withhold),
        (side(Side::Consumer), Verdict::Withhold),
        (side(Side::Producer), Verdict::Withhold),
        (ControlFrame::StreamReq { vb, opaque, flags: 0, start: Seqno(0) }, Verdict::Forward),
        (ControlFrame::StreamReqResponse { opaque, status }, Verdict::Forward),
        (ControlFrame::StreamEnd { vb, opaque, status: end }, Verdict::Forward),
        (ControlFrame::SetVbucketState { vb, opaque, state: VbState::Active }, Verdict::Forward),
        (ControlFrame::SetVbucketStateResponse { opaque, status }, Verdict::Forward),
    ]
}

#[test]
fn answers_to_our_own_frames_are_withheld_and_everything_else_passes() {
    let setting_up = check(&[(setup(&[1], 1), "add(vb:1 #0)")]);
    let taking_over = check(&[(takeover(1, 1), "add(vb:1 #0 takeover)")]);
    for machine in [ConsumerMachine::default(), with_open(&[1]), setting_up, taking_over] {
        for (frame, want) in frames() {
            let mut machine = machine.clone();
            assert_eq!(machine.on_frame(frame).0, want, "{frame:?} in {}", machine.phase());
        }
    }
}

#[test]
fn everything_is_withheld_once_the_link_shuts() {
    let mut shutting = with_open(&[1]);
    shutting.on(Event::Command { ticket: Ticket(1), command: Command::Shut });
    let mut stopped = ConsumerMachine::default();
    stopped.on(Event::Command { ticket: Ticket(1), command: Command::Shut });
    for machine in [shutting, stopped] {
        for (frame, _) in frames() {
            assert_eq!(machine.clone().on_frame(frame).0, Verdict::Withhold, "{frame:?}");
        }
    }
}
