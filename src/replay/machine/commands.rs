//! The command that makes a frame of the recording's proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcbp::dcp::{self, stream_flags};
use mcbp::{Frame, Opcode, Side, VbId};
use replica::link::Command;

use super::super::recording::Event;
use super::Fed;

/// ADD_STREAMs of one command follow each other within this time: a proxy sends them at once.
const TOGETHER: Duration = Duration::from_secs(1);

/// A frame of a proxy to its consumer that adds or closes a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Add(VbId, u32),
    Close(VbId),
}

impl Asked {
    fn of(frame: &Frame<'_>) -> Option<Self> {
        let vb = frame.header.vbucket();
        match frame.opcode() {
            Opcode::DCP_ADD_STREAM if frame.header.is_request() => {
                Some(Self::Add(vb, dcp::AddStream::decode(frame).ok()?.flags))
            }
            Opcode::DCP_CLOSE_STREAM if frame.header.is_request() => Some(Self::Close(vb)),
            _ => None,
        }
    }
}

impl Fed<'_> {
    /// The command of which the frame at step `at` is the first one; `None` for a frame that no
    /// command makes, and where the machine would refuse one.
    pub(super) fn command(&self, at: usize, side: Side, frame: &Frame<'_>) -> Option<Command> {
        let asked = Asked::of(frame).filter(|_| side == Side::Consumer)?;
        if self.machine.phase() != "idle" {
            return None;
        }
        match asked {
            Asked::Add(vb, flags) if flags & stream_flags::TAKEOVER != 0 => {
                Some(Command::Takeover { vb })
            }
            Asked::Add(..) => Some(self.set_up(
                self.group(at, |asked| match asked {
                    Asked::Add(vb, flags) => (flags & stream_flags::TAKEOVER == 0).then_some(vb),
                    Asked::Close(_) => None,
                }),
                BTreeSet::new(),
            )),
            Asked::Close(vb) => match self.next_of(at, vb) {
                Some(flags) if flags & stream_flags::TAKEOVER != 0 => {
                    Some(Command::Takeover { vb })
                }
                Some(_) => Some(self.set_up(BTreeSet::from([vb]), BTreeSet::from([vb]))),
                None => Some(Command::CloseStreams {
                    vbs: self.group(at, |asked| match asked {
                        Asked::Close(vb) => Some(vb),
                        Asked::Add(..) => None,
                    }),
                }),
            },
        }
    }

    fn set_up(&self, added: BTreeSet<VbId>, reopen: BTreeSet<VbId>) -> Command {
        let wanted: BTreeSet<VbId> = self.machine.open().chain(added).collect();
        let is_wanted = |(vb, _): &(&VbId, _)| wanted.contains(vb);
        let incomplete: BTreeMap<_, _> =
            self.incomplete.iter().filter(is_wanted).map(|(vb, to)| (*vb, *to)).collect();
        Command::SetupStreams { wanted, reopen, incomplete }
    }

    /// The vBuckets of the frame at `at` and of the frames of the same kind that follow soon.
    fn group(&self, at: usize, of_kind: impl Fn(Asked) -> Option<VbId>) -> BTreeSet<VbId> {
        let mut vbs = BTreeSet::new();
        let mut last = None;
        for (t, asked) in self.asked_from(at) {
            let is_late = last.is_some_and(|last| t > last + TOGETHER);
            let Some(vb) = of_kind(asked).filter(|vb| !is_late && vbs.insert(*vb)) else { break };
            last = Some(t);
            let _ = vb;
        }
        vbs
    }

    /// The flags of the ADD_STREAM that follows the CLOSE_STREAM of `vb` at `at` soon.
    fn next_of(&self, at: usize, vb: VbId) -> Option<u32> {
        let began = self.asked_from(at).next()?.0;
        let soon = self.asked_from(at).take_while(|(t, _)| *t <= began + TOGETHER);
        soon.filter_map(|(_, asked)| match asked {
            Asked::Add(added, flags) if added == vb => Some(flags),
            _ => None,
        })
        .next()
    }

    fn asked_from(&self, at: usize) -> impl Iterator<Item = (Duration, Asked)> {
        self.conversation.steps.iter().skip(at).filter_map(|step| match &step.event {
            Event::Own(Side::Consumer, bytes) => {
                Some((step.t, Asked::of(&Frame::parse(bytes).ok()?)?))
            }
            _ => None,
        })
    }
}
