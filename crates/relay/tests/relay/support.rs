//! What the pump's tests share: a judge that follows a rule, and frames to send.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mcbp::scan::ControlSet;
use mcbp::{Frame, FrameBuilder, Header, Opaque, Opcode, VbId};
use relay::{
    Injections, Injector, Judge, Peer, Progress, Pump, PumpLimits, Recorder, Side, Sink, Source,
    Verdict, injections,
};

/// Small enough that every boundary of the buffer is met often.
pub(crate) const TIGHT: PumpLimits = PumpLimits {
    buffer_bytes: 256,
    buffer_bytes_max: 1024,
    control_bytes_max: 256,
    write_stall: std::time::Duration::from_secs(360),
    verdict: std::time::Duration::from_secs(30),
};

const RULE: ControlSet =
    ControlSet::new(&[Opcode::DCP_STREAM_END], &[Opcode::DCP_ADD_STREAM, Opcode::DCP_CLOSE_STREAM]);

/// STREAM_END and the responses to ADD_STREAM and CLOSE_STREAM are control; the responses are
/// withheld.
#[derive(Clone, Default)]
pub(crate) struct Rule {
    pub(crate) judged: Rc<RefCell<Vec<Bytes>>>,
}

impl Judge for Rule {
    fn control(&self) -> &ControlSet {
        &RULE
    }

    async fn judge(&mut self, frame: Bytes) -> Verdict {
        let verdict = if withheld(&frame) { Verdict::Withhold } else { Verdict::Forward };
        self.judged.borrow_mut().push(frame);
        verdict
    }
}

pub(crate) fn withheld(frame: &[u8]) -> bool {
    let header = Header::peek(frame).unwrap().unwrap();
    !header.is_request()
        && matches!(header.opcode, Opcode::DCP_ADD_STREAM | Opcode::DCP_CLOSE_STREAM)
}

pub(crate) fn peer(side: Side) -> Peer {
    Peer { side: Some(side), name: side.to_string().into(), address: "test:1".into() }
}

/// A pump from the producer to the consumer.
pub(crate) fn pump<R, W, J>(reader: R, writer: W, judge: J) -> (Pump<R, W, J>, Injector) {
    let (injector, injections): (Injector, Injections) = injections();
    let pump = Pump {
        source: Source { peer: peer(Side::Producer), reader, leftover: Bytes::new() },
        sink: Sink { peer: peer(Side::Consumer), writer },
        judge,
        injections,
        progress: Arc::new(Progress::new()),
        limits: TIGHT,
        recorder: Arc::new(Recorder::default()).of(Side::Producer),
    };
    (pump, injector)
}

pub(crate) fn control(opcode: Opcode, opaque: u32) -> Bytes {
    FrameBuilder::request(opcode).vbucket(VbId(1)).opaque(Opaque(opaque)).extras(&[0; 4]).build()
}

pub(crate) fn split(mut bytes: &[u8]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let frame = Frame::parse(bytes).expect("only whole frames are written");
        let (one, rest) = bytes.split_at(frame.header.frame_bytes());
        frames.push(Bytes::copy_from_slice(one));
        bytes = rest;
    }
    frames
}

pub(crate) fn concat(frames: &[Bytes]) -> Bytes {
    let mut all = BytesMut::new();
    frames.iter().for_each(|frame| all.extend_from_slice(frame));
    all.freeze()
}
