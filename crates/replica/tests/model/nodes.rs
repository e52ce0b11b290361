//! The two data nodes as the machine may meet them: everything a real one does, and what it should
//! not do. A node takes in a frame at once; what it says waits in a queue, in order, for any time.

use std::collections::VecDeque;

use mcbp::dcp::stream_flags;
use mcbp::{Opaque, Status, StreamEndStatus, VbId, VbState};
use replica::machine::{ControlFrame, OwnFrame, Side};

/// The vBuckets of the model.
pub const VBS: usize = 2;

/// What a node says, in order.
pub type Wire = VecDeque<ControlFrame>;

/// A stream at one node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NodeStream {
    pub opaque: Opaque,
    pub takeover: bool,
    /// At the consumer: the ADD_STREAM that is not answered yet, and not decided either.
    pub add: Option<Opaque>,
}

/// One vBucket at the consumer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConsumerVb {
    pub stream: Option<NodeStream>,
    pub state: VbState,
    /// A SET_VBUCKET_STATE that is not answered yet.
    pub asked: Option<(Opaque, VbState)>,
}

/// The node that receives.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Consumer {
    pub vbs: [ConsumerVb; VBS],
    /// Answers to ADD_STREAM that are decided and not given yet. Each may come at any time.
    pub owed: Vec<(Opaque, Status)>,
    pub wire: Wire,
    counter: u32,
}

impl Consumer {
    pub fn new() -> Self {
        let vb = ConsumerVb { stream: None, state: VbState::Replica, asked: None };
        Self { vbs: [vb; VBS], owed: Vec::new(), wire: Wire::new(), counter: 0 }
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
                self.wire.push_back(ControlFrame::CloseStreamResponse { side, opaque, status });
            }
        }
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
            here.stream = Some(NodeStream { opaque, takeover, add: Some(add) });
            self.wire.push_back(ControlFrame::StreamReq { vb, opaque, flags });
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
                    self.wire.push_back(ControlFrame::SetVbucketStateResponse { opaque, status });
                }
            }
            other => panic!("forwarded to the consumer: {other:?}"),
        }
    }

    fn answered(&mut self, opaque: Opaque, status: Status) {
        let Some(at) = self.find(opaque) else { return };
        let vb = VbId(u16::try_from(at).unwrap());
        let Some(stream) = self.vbs[at].stream.as_mut() else { return };
        if status == Status::ROLLBACK {
            let flags = if stream.takeover { stream_flags::TAKEOVER } else { 0 };
            self.wire.push_back(ControlFrame::StreamReq { vb, opaque, flags });
            return;
        }
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

    /// A stream goes away; an ADD_STREAM that it never got to answer is answered with an error.
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
        self.wire.push_back(ControlFrame::SetVbucketStateResponse { opaque, status });
    }

    pub fn is_quiet(&self) -> bool {
        let busy =
            |vb: &ConsumerVb| vb.asked.is_some() || vb.stream.is_some_and(|s| s.add.is_some());
        self.wire.is_empty() && self.owed.is_empty() && !self.vbs.iter().any(busy)
    }

    pub fn disconnect(&mut self) {
        for vb in &mut self.vbs {
            vb.stream = None;
            vb.asked = None;
        }
        self.owed.clear();
        self.wire.clear();
    }
}

/// One vBucket at the producer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProducerVb {
    pub stream: Option<NodeStream>,
    /// A STREAM_REQ that is not answered yet.
    pub asked: Option<NodeStream>,
    /// The opaque of the last stream that is gone, for a stale end.
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

    /// A frame of the proxy's own.
    pub fn own(&mut self, frame: OwnFrame) {
        let OwnFrame::CloseStream { vb, opaque } = frame else { panic!("{frame:?}") };
        let side = Side::Producer;
        let had = self.vbs[usize::from(vb.0)].stream.is_some();
        let status = if had { Status::SUCCESS } else { Status::KEY_ENOENT };
        self.wire.push_back(ControlFrame::CloseStreamResponse { side, opaque, status });
        self.end(usize::from(vb.0), StreamEndStatus::CLOSED);
    }

    /// A frame of the consumer's that was forwarded.
    pub fn forwarded(&mut self, frame: ControlFrame) {
        match frame {
            ControlFrame::StreamReq { vb, opaque, flags } => {
                let takeover = flags & stream_flags::TAKEOVER != 0;
                let asked = NodeStream { opaque, takeover, add: None };
                self.vbs[usize::from(vb.0)].asked = Some(asked);
            }
            ControlFrame::SetVbucketStateResponse { opaque, status } => {
                let is_it = |vb: &ProducerVb| vb.stream.is_some_and(|s| s.opaque == opaque);
                if let Some(at) = self.vbs.iter().position(is_it) {
                    self.state_answered(at, opaque, status);
                }
            }
            other => panic!("forwarded to the producer: {other:?}"),
        }
    }

    fn state_answered(&mut self, at: usize, opaque: Opaque, status: Status) {
        let vb = VbId(u16::try_from(at).unwrap());
        if !status.is_success() {
            self.end(at, StreamEndStatus::STATE_CHANGED);
        } else if self.vbs[at].state == VbState::Active {
            // Dead here before active there: at no time two of them.
            self.vbs[at].state = VbState::Dead;
            let state = VbState::Active;
            self.wire.push_back(ControlFrame::SetVbucketState { vb, opaque, state });
        } else {
            self.end(at, StreamEndStatus::OK);
        }
    }

    /// Answers a STREAM_REQ. What forbids a stream is checked first.
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
        self.wire.push_back(ControlFrame::StreamReqResponse { opaque: asked.opaque, status });
    }

    /// Begins to hand over: all data of a takeover stream was sent.
    pub fn hand_over(&mut self, at: usize) {
        let Some(stream) = self.vbs[at].stream else { return };
        self.vbs[at].handing_over = true;
        let (vb, state) = (VbId(u16::try_from(at).unwrap()), VbState::Pending);
        self.wire.push_back(ControlFrame::SetVbucketState { vb, opaque: stream.opaque, state });
    }

    /// Ends the stream of a vBucket, if there is one.
    pub fn end(&mut self, at: usize, status: StreamEndStatus) {
        let Some(stream) = self.vbs[at].stream.take() else { return };
        self.vbs[at].older = Some(stream.opaque);
        let (vb, opaque) = (VbId(u16::try_from(at).unwrap()), stream.opaque);
        self.wire.push_back(ControlFrame::StreamEnd { vb, opaque, status });
    }

    /// Ends a stream that ended long ago once more (MB-34951).
    pub fn end_again(&mut self, at: usize) {
        let Some(opaque) = self.vbs[at].older.take() else { return };
        let (vb, status) = (VbId(u16::try_from(at).unwrap()), StreamEndStatus::STATE_CHANGED);
        self.wire.push_back(ControlFrame::StreamEnd { vb, opaque, status });
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
