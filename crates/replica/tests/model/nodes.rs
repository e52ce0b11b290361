//! The two data nodes with every behaviour of real ones, correct or not. A node handles a frame at
//! once; its frames wait in a queue, in order, and may be delivered at any time.

use std::collections::VecDeque;

use mcbp::dcp::stream_flags;
use mcbp::{Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbState};
use replica::link::{ControlFrame, OwnFrame, Side};

/// The vBuckets of the model.
pub const VBS: usize = 2;

/// The frames of a node, in order.
pub type Wire = VecDeque<NodeFrame>;

/// One frame of a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NodeFrame {
    Control(ControlFrame),
    /// A row of a stream, which the machine does not see.
    Row {
        vb: VbId,
        opaque: Opaque,
        seqno: u8,
    },
}

/// A stream at one node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NodeStream {
    pub opaque: Opaque,
    pub takeover: bool,
    /// At the consumer: the ADD_STREAM without a decided answer.
    pub add: Option<Opaque>,
    /// At the producer: the last seqno that the consumer has or was sent.
    pub sent: u8,
}

/// One vBucket at the consumer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConsumerVb {
    pub stream: Option<NodeStream>,
    pub state: VbState,
    /// A SET_VBUCKET_STATE without an answer.
    pub asked: Option<(Opaque, VbState)>,
    /// The last seqno of the copy.
    pub high: u8,
    /// The first missing seqno below the last one.
    pub gap: Option<u8>,
}

/// A rollback that runs even if its stream is closed (wire/20).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RollingBack {
    pub vb: VbId,
    pub stream: NodeStream,
    pub to: u8,
}

/// The node that receives.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Consumer {
    pub vbs: [ConsumerVb; VBS],
    /// Decided answers to ADD_STREAM. Each may be sent at any time.
    pub owed: Vec<(Opaque, Status)>,
    pub rolling: Vec<RollingBack>,
    pub wire: Wire,
    /// Whether an answer to an unknown stream came; a real node then closes the connection.
    pub upset: bool,
    counter: u32,
}

impl Consumer {
    pub fn new() -> Self {
        let state = VbState::Replica;
        let vb = ConsumerVb { stream: None, state, asked: None, high: 0, gap: None };
        Self {
            vbs: [vb; VBS],
            owed: Vec::new(),
            rolling: Vec::new(),
            wire: Wire::new(),
            upset: false,
            counter: 0,
        }
    }

    fn say(&mut self, frame: ControlFrame) {
        self.wire.push_back(NodeFrame::Control(frame));
    }

    /// A frame of the proxy's own.
    pub fn own(&mut self, frame: OwnFrame) {
        match frame {
            OwnFrame::AddStream { vb, opaque, flags } => self.add(vb, opaque, flags),
            OwnFrame::CloseStream { vb, opaque } => {
                let status = match self.drop_stream(vb) {
                    Some(_) => Status::SUCCESS,
                    None => Status::DCP_STREAM_NOT_FOUND,
                };
                let side = Side::Consumer;
                self.say(ControlFrame::CloseStreamResponse { side, opaque, status });
            }
            OwnFrame::Rollback { opaque, to } => {
                self.roll_back(opaque, u8::try_from(to.0).unwrap());
            }
            OwnFrame::RefuseRequest { opaque } => self.answered(opaque, Status::ETMPFAIL),
            OwnFrame::Noop { opaque } => self.say(ControlFrame::NoopResponse { opaque }),
            OwnFrame::SetVbucketState { vb, opaque, state } => {
                self.forwarded(ControlFrame::SetVbucketState { vb, opaque, state });
            }
        }
    }

    fn roll_back(&mut self, opaque: Opaque, to: u8) {
        let Some(at) = self.find(opaque) else { return };
        let Some(stream) = self.vbs[at].stream else { return };
        self.rolling.push(RollingBack { vb: VbId(u16::try_from(at).unwrap()), stream, to });
    }

    /// A rollback runs: for its stream, or for one that was closed meanwhile. The latter removes
    /// rows from under the present stream.
    pub fn rolls_back(&mut self, at: usize) {
        let RollingBack { vb, stream, to } = self.rolling.remove(at);
        let here = &mut self.vbs[usize::from(vb.0)];
        let is_own = here.stream.is_none_or(|present| present.opaque == stream.opaque);
        if is_own {
            here.high = here.high.min(to);
            here.gap = here.gap.filter(|&missing| missing <= here.high);
        } else if here.high > to {
            here.gap = Some(to + 1);
        }
        let flags = if stream.takeover { stream_flags::TAKEOVER } else { 0 };
        let start = Seqno(u64::from(here.high));
        self.say(ControlFrame::StreamReq { vb, opaque: stream.opaque, flags, start });
    }

    /// A row arrives. A refused row may be followed by accepted ones (wire/19).
    pub fn row(&mut self, vb: VbId, opaque: Opaque, seqno: u8, is_refused: bool) {
        let here = &mut self.vbs[usize::from(vb.0)];
        let status = match here.stream {
            Some(stream) if stream.opaque == opaque && is_refused => Status::EINVAL,
            Some(stream) if stream.opaque == opaque => {
                if seqno > here.high + 1 {
                    here.gap = here.gap.or(Some(here.high + 1));
                }
                here.high = seqno;
                return;
            }
            _ => Status::DCP_STREAM_NOT_FOUND,
        };
        self.say(ControlFrame::DataRefused { opaque, opcode: Opcode::DCP_MUTATION, status });
    }

    fn add(&mut self, vb: VbId, add: Opaque, flags: u32) {
        let here = &mut self.vbs[usize::from(vb.0)];
        if here.state == VbState::Active {
            self.owed.push((add, Status::NOT_MY_VBUCKET));
        } else if here.stream.is_some() {
            self.owed.push((add, Status::KEY_EEXISTS));
        } else {
            self.counter += 1;
            let opaque = Opaque(self.counter.swap_bytes());
            let takeover = flags & stream_flags::TAKEOVER != 0;
            here.stream = Some(NodeStream { opaque, takeover, add: Some(add), sent: 0 });
            let start = Seqno(u64::from(here.high));
            self.say(ControlFrame::StreamReq { vb, opaque, flags, start });
        }
    }

    /// A frame of the producer's that was forwarded.
    pub fn forwarded(&mut self, frame: ControlFrame) {
        match frame {
            ControlFrame::StreamReqResponse { opaque, status } => self.answered(opaque, status),
            ControlFrame::StreamEnd { vb, opaque, .. } => {
                if self.stream(vb).is_some_and(|stream| stream.opaque == opaque) {
                    self.drop_stream(vb);
                }
            }
            ControlFrame::SetVbucketState { vb, opaque, state } => {
                let alive = self.stream(vb).is_some_and(|stream| stream.opaque == opaque);
                if alive {
                    self.vbs[usize::from(vb.0)].asked = Some((opaque, state));
                } else {
                    let status = Status::DCP_STREAM_NOT_FOUND;
                    self.say(ControlFrame::SetVbucketStateResponse { opaque, status });
                }
            }
            other => panic!("forwarded to the consumer: {other:?}"),
        }
    }

    fn answered(&mut self, opaque: Opaque, status: Status) {
        let Some(at) = self.find(opaque) else {
            self.upset = true;
            return;
        };
        if status == Status::ROLLBACK {
            return self.roll_back(opaque, 0);
        }
        let Some(stream) = self.vbs[at].stream.as_mut() else { return };
        if let Some(add) = stream.add.take() {
            self.owed.push((add, status));
        }
        if !status.is_success() {
            self.vbs[at].stream = None;
        }
    }

    fn find(&self, opaque: Opaque) -> Option<usize> {
        let is_it = |vb: &ConsumerVb| vb.stream.is_some_and(|stream| stream.opaque == opaque);
        self.vbs.iter().position(is_it)
    }

    pub fn stream(&self, vb: VbId) -> Option<NodeStream> {
        self.vbs[usize::from(vb.0)].stream
    }

    /// A stream is removed; its ADD_STREAM, if still without an answer, gets an error.
    fn drop_stream(&mut self, vb: VbId) -> Option<NodeStream> {
        let stream = self.vbs[usize::from(vb.0)].stream.take()?;
        self.owed.extend(stream.add.map(|add| (add, Status::ETMPFAIL)));
        Some(stream)
    }

    /// Answers a SET_VBUCKET_STATE.
    pub fn answer_state(&mut self, vb: usize, status: Status) {
        let Some((opaque, state)) = self.vbs[vb].asked.take() else { return };
        if status.is_success() {
            self.vbs[vb].state = state;
        }
        self.say(ControlFrame::SetVbucketStateResponse { opaque, status });
    }

    pub fn is_quiet(&self) -> bool {
        let busy =
            |vb: &ConsumerVb| vb.asked.is_some() || vb.stream.is_some_and(|s| s.add.is_some());
        self.wire.is_empty()
            && self.owed.is_empty()
            && self.rolling.is_empty()
            && !self.vbs.iter().any(busy)
    }

    pub fn disconnect(&mut self) {
        for vb in &mut self.vbs {
            vb.stream = None;
            vb.asked = None;
        }
        self.owed.clear();
        self.rolling.clear();
        self.wire.clear();
    }
}

/// One vBucket at the producer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProducerVb {
    pub stream: Option<NodeStream>,
    /// A STREAM_REQ without an answer.
    pub asked: Option<NodeStream>,
    /// The opaque of the last ended stream, for a stale end.
    pub older: Option<Opaque>,
    pub state: VbState,
    /// Whether the data of a takeover was sent, and the consumer was asked to be pending.
    pub handing_over: bool,
}

/// The node that sends.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Producer {
    pub vbs: [ProducerVb; VBS],
    pub wire: Wire,
}

impl Producer {
    pub fn new() -> Self {
        let vb = ProducerVb {
            stream: None,
            asked: None,
            older: None,
            state: VbState::Active,
            handing_over: false,
        };
        Self { vbs: [vb; VBS], wire: Wire::new() }
    }

    fn say(&mut self, frame: ControlFrame) {
        self.wire.push_back(NodeFrame::Control(frame));
    }

    /// Sends the next row of a stream.
    pub fn send_row(&mut self, at: usize) {
        let Some(stream) = self.vbs[at].stream.as_mut() else { return };
        stream.sent += 1;
        let (vb, opaque) = (VbId(u16::try_from(at).unwrap()), stream.opaque);
        self.wire.push_back(NodeFrame::Row { vb, opaque, seqno: stream.sent });
    }

    /// A frame of the proxy's own.
    pub fn own(&mut self, frame: OwnFrame) {
        let OwnFrame::CloseStream { vb, opaque } = frame else { panic!("{frame:?}") };
        let side = Side::Producer;
        let had = self.vbs[usize::from(vb.0)].stream.is_some();
        let status = if had { Status::SUCCESS } else { Status::KEY_ENOENT };
        self.say(ControlFrame::CloseStreamResponse { side, opaque, status });
        self.end(usize::from(vb.0), StreamEndStatus::CLOSED);
    }

    /// A frame of the consumer's that was forwarded.
    pub fn forwarded(&mut self, frame: ControlFrame) {
        match frame {
            ControlFrame::StreamReq { vb, opaque, flags, start } => {
                let takeover = flags & stream_flags::TAKEOVER != 0;
                let sent = u8::try_from(start.0).unwrap();
                let asked = NodeStream { opaque, takeover, add: None, sent };
                self.vbs[usize::from(vb.0)].asked = Some(asked);
            }
            ControlFrame::SetVbucketStateResponse { opaque, status } => {
                let is_it = |vb: &ProducerVb| vb.stream.is_some_and(|s| s.opaque == opaque);
                if let Some(at) = self.vbs.iter().position(is_it) {
                    self.state_answered(at, opaque, status);
                }
            }
            // A real node would close the connection; to continue is the worse case for the checks.
            ControlFrame::DataRefused { .. } => {}
            other => panic!("forwarded to the producer: {other:?}"),
        }
    }

    fn state_answered(&mut self, at: usize, opaque: Opaque, status: Status) {
        let vb = VbId(u16::try_from(at).unwrap());
        if !status.is_success() {
            self.end(at, StreamEndStatus::STATE_CHANGED);
        } else if self.vbs[at].state == VbState::Active {
            // Dead here before active at the consumer, so that at no time two copies are active.
            self.vbs[at].state = VbState::Dead;
            let state = VbState::Active;
            self.say(ControlFrame::SetVbucketState { vb, opaque, state });
        } else {
            self.end(at, StreamEndStatus::OK);
        }
    }

    /// Answers a STREAM_REQ. Reasons to refuse it are checked first.
    pub fn answer(&mut self, at: usize, status: Status) {
        let here = &mut self.vbs[at];
        let Some(asked) = here.asked.take() else { return };
        let status = match (here.state, here.stream) {
            (VbState::Active, None) => status,
            (VbState::Active, Some(_)) => Status::KEY_EEXISTS,
            _ => Status::NOT_MY_VBUCKET,
        };
        if status.is_success() {
            here.stream = Some(asked);
            here.handing_over = false;
        }
        self.say(ControlFrame::StreamReqResponse { opaque: asked.opaque, status });
    }

    /// Begins the handover, after all data of a takeover stream was sent.
    pub fn hand_over(&mut self, at: usize) {
        let Some(stream) = self.vbs[at].stream else { return };
        self.vbs[at].handing_over = true;
        let (vb, state) = (VbId(u16::try_from(at).unwrap()), VbState::Pending);
        self.say(ControlFrame::SetVbucketState { vb, opaque: stream.opaque, state });
    }

    /// Ends the stream of a vBucket, if there is one.
    pub fn end(&mut self, at: usize, status: StreamEndStatus) {
        let Some(stream) = self.vbs[at].stream.take() else { return };
        self.vbs[at].older = Some(stream.opaque);
        let (vb, opaque) = (VbId(u16::try_from(at).unwrap()), stream.opaque);
        self.say(ControlFrame::StreamEnd { vb, opaque, status });
    }

    /// Ends a stream that ended long ago once more (MB-34951).
    pub fn end_again(&mut self, at: usize) {
        let Some(opaque) = self.vbs[at].older.take() else { return };
        let (vb, status) = (VbId(u16::try_from(at).unwrap()), StreamEndStatus::STATE_CHANGED);
        self.say(ControlFrame::StreamEnd { vb, opaque, status });
    }

    pub fn is_quiet(&self) -> bool {
        self.wire.is_empty() && self.vbs.iter().all(|vb| vb.asked.is_none())
    }

    pub fn disconnect(&mut self) {
        for vb in &mut self.vbs {
            vb.stream = None;
            vb.asked = None;
            vb.older = None;
        }
        self.wire.clear();
    }
}
