//! Plays a script: says what may be sent, takes what came, and notes how that differs. No socket
//! and no clock: the shell tells it that nothing came in time.
//!
//! Frames of one vBucket have an order, those of different ones have none, because a node
//! interleaves its streams as it likes. A frame is sent once everything that the script gets before
//! it has come. Where a vBucket parts from the recording, its further frames are neither sent nor
//! awaited: they would only repeat the same difference.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Status, VbId};

use replica::link::DATA_OPCODES;

use super::script::{Act, Line, Part};
use super::shape::{Compare, shape, vb_of_request};

/// Questions about options of a connection.
const OPTIONS: [Opcode; 2] = [Opcode::DCP_CONTROL, Opcode::GET_ERROR_MAP];

/// The state of a script that is played.
#[derive(Debug)]
pub(crate) struct Player {
    compare: Compare,
    /// Who is on the other side, for messages.
    other: String,
    rest: VecDeque<Line>,
    /// What is awaited before the next line, in the order of the script.
    awaited: Vec<Awaited>,
    /// The opaques of this run for those of the recording, of requests that came.
    requests: BTreeMap<(Opcode, Opaque), Opaque>,
    /// The same of streams, which every frame of a stream carries.
    streams: BTreeMap<Opaque, Opaque>,
    /// The vBuckets of requests that were sent, by the opaques of this run.
    sent: BTreeMap<(Opcode, Opaque), VbId>,
    /// Options that were sent and are not compared, by the opaques of this run.
    uncompared: BTreeSet<(Opcode, Opaque)>,
    /// Recorded answers to options that the other side has not asked for yet.
    unasked: BTreeMap<(Opcode, Opaque), Part>,
    /// vBuckets that have parted from the recording.
    parted: BTreeSet<VbId>,
    is_closed: bool,
    /// Options were agreed before the recording began: none of them is compared.
    pub(crate) ignores_options: bool,
    /// How this run differs, in words.
    pub(crate) differences: Vec<String>,
    /// How many frames came as recorded.
    pub(crate) matched: u64,
}

#[derive(Debug)]
struct Awaited {
    n: u64,
    shape: String,
    part: Part,
    /// Whether it is a question about an option. Which of them a node asks, and when, is its own
    /// choice: nothing else waits for one.
    is_option: bool,
}

impl Awaited {
    /// Its words, with the vBucket.
    fn words(&self) -> String {
        with_vb(&self.shape, self.part.vb)
    }
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send this.
    Send(Bytes),
    /// Send this STREAM_REQ with the uuid of the node's own history.
    Request(VbId, Bytes),
    /// Wait for frames.
    Wait,
    /// Wait until the other side closes.
    WaitForEnd,
    /// Close the connection.
    Close,
    /// The script is over.
    Done,
}

impl Player {
    pub(crate) fn new(lines: Vec<Line>, compare: Compare, other: impl Into<String>) -> Self {
        Self {
            compare,
            other: other.into(),
            rest: lines.into(),
            awaited: Vec::new(),
            requests: BTreeMap::new(),
            streams: BTreeMap::new(),
            sent: BTreeMap::new(),
            uncompared: BTreeSet::new(),
            unasked: BTreeMap::new(),
            parted: BTreeSet::new(),
            is_closed: false,
            ignores_options: false,
            differences: Vec::new(),
            matched: 0,
        }
    }

    /// The next thing to do. Lines that wait for nothing are passed over.
    pub(crate) fn next(&mut self) -> Next {
        if self.is_closed {
            return Next::Done;
        }
        while let Some(line) = self.rest.front() {
            match &line.act {
                Act::Get(part) => {
                    let (n, part) = (line.n, part.clone());
                    self.rest.pop_front();
                    self.expect(n, part);
                }
                Act::Send(_) | Act::Close | Act::Ends if self.is_blocked() => return Next::Wait,
                Act::Ends => return Next::WaitForEnd,
                Act::Close => return Next::Close,
                Act::Send(part) => {
                    let part = part.clone();
                    self.rest.pop_front();
                    if let Some(next) = self.send(&part) {
                        return next;
                    }
                }
            }
        }
        if self.awaited.is_empty() { Next::Done } else { Next::Wait }
    }

    fn is_blocked(&self) -> bool {
        self.awaited.iter().any(|awaited| !awaited.is_option)
    }

    fn expect(&mut self, n: u64, part: Part) {
        let Ok(frame) = Frame::parse(&part.bytes) else { return };
        let Some(shape) = shape(&frame, self.compare) else { return };
        if !part.vb.is_some_and(|vb| self.parted.contains(&vb)) {
            let is_option = frame.header.is_request() && OPTIONS.contains(&frame.opcode());
            self.awaited.push(Awaited { n, shape, part, is_option });
        }
    }

    fn send(&mut self, part: &Part) -> Option<Next> {
        let frame = Frame::parse(&part.bytes).ok()?;
        let (opcode, recorded) = (frame.opcode(), frame.header.opaque);
        if part.vb.is_some_and(|vb| self.parted.contains(&vb)) || opcode == Opcode::DCP_NOOP {
            return None;
        }
        let opaque = if frame.header.is_request() {
            // Of a stream that the other side has opened, or a request of our own.
            self.streams.get(&recorded).copied().unwrap_or(recorded)
        } else {
            // The answer to a request that never came would be one to nothing.
            let asked = self.requests.get(&(opcode, recorded)).copied();
            // A refusal of a document carries the opaque of its stream.
            let of_stream = || DATA_OPCODES.contains(&opcode).then_some(recorded);
            let Some(opaque) = asked.or_else(of_stream) else {
                if OPTIONS.contains(&opcode) {
                    self.unasked.insert((opcode, recorded), part.clone());
                }
                return None;
            };
            opaque
        };
        if frame.header.is_request() && OPTIONS.contains(&opcode) {
            if shape(&frame, self.compare).is_none() {
                self.uncompared.insert((opcode, opaque));
            } else {
                self.uncompared.remove(&(opcode, opaque));
            }
        }
        let mut out = BytesMut::new();
        FrameBuilder::from_frame(&frame).opaque(opaque).write(&mut out);
        if let Some(vb) = vb_of_request(&frame) {
            self.sent.insert((opcode, opaque), vb);
        }
        let bytes = out.freeze();
        Some(match part.vb {
            Some(vb) if part.is_accepted => Next::Request(vb, bytes),
            _ => Next::Send(bytes),
        })
    }

    /// A frame came. Returns an answer that is due by itself, and whether it was awaited.
    pub(crate) fn received(&mut self, bytes: &[u8]) -> (Option<Bytes>, bool) {
        let Ok(frame) = Frame::parse(bytes) else { return (None, false) };
        let header = frame.header;
        let Some(found) = shape(&frame, self.compare) else {
            let wants_answer = [Opcode::DCP_NOOP, Opcode::DCP_CONTROL].contains(&header.opcode);
            let answer = (wants_answer && header.is_request()).then(|| success(&frame));
            return (answer, false);
        };
        let vb = match vb_of_request(&frame) {
            Some(vb) => Some(vb),
            None => self.sent.get(&(header.opcode, header.opaque)).copied(),
        };
        if vb.is_some_and(|vb| self.parted.contains(&vb)) {
            return (None, false);
        }
        // What the script gets later may come before what it sends in between.
        self.look_ahead();
        let of_lane = |awaited: &Awaited| awaited.part.vb == vb;
        let alike = self.awaited.iter().position(|it| of_lane(it) && it.shape == found);
        let first = self.awaited.iter().position(of_lane);
        match (alike, first) {
            (Some(at), Some(first)) if vb.is_none() || at == first => {
                let awaited = self.awaited.remove(at);
                self.matched += 1;
                (self.learn(&awaited.part, &frame), true)
            }
            (_, Some(at)) if vb.is_some() => {
                let awaited = self.awaited.remove(at);
                let (n, other, wanted) = (awaited.n, &self.other, awaited.words());
                let found = with_vb(&found, vb);
                let text = format!("frame {n}: {wanted} was recorded; the {other} sent {found}");
                self.part(vb, text);
                (None, true)
            }
            _ => match self.take_later(vb, &found, &frame) {
                Some(answer) => (answer, true),
                None => (self.unrecorded(vb, &found, &frame), false),
            },
        }
    }

    /// Notes a frame that the recording does not have, unless it grants an option that is not
    /// compared. Returns an answer, if it needs one.
    fn unrecorded(&mut self, vb: Option<VbId>, found: &str, came: &Frame<'_>) -> Option<Bytes> {
        let asked = (came.opcode(), came.header.opaque);
        let is_granted = !came.header.is_request() && came.header.status() == Status::SUCCESS;
        let is_compared = !(is_granted && self.uncompared.remove(&asked));
        if is_compared && !(self.ignores_options && OPTIONS.contains(&came.opcode())) {
            let (other, found) = (&self.other, with_vb(found, vb));
            self.differences.push(format!("the {other} sent {found}; no such frame was recorded"));
        }
        // A request about the connection without an answer could stop everything else.
        (came.header.is_request() && vb.is_none()).then(|| success(came))
    }

    /// Moves what the script gets before its next frame to send to what is awaited; frames that
    /// were recorded without a frame to send between them may come in any order.
    fn look_ahead(&mut self) {
        while let Some(Line { n, act: Act::Get(part) }) = self.rest.front() {
            let (n, part) = (*n, part.clone());
            self.rest.pop_front();
            self.expect(n, part);
        }
    }

    /// Takes a frame that the script gets only after it has sent others, which are about other
    /// vBuckets.
    fn take_later(
        &mut self,
        vb: Option<VbId>,
        found: &str,
        came: &Frame<'_>,
    ) -> Option<Option<Bytes>> {
        for (at, line) in self.rest.iter().enumerate() {
            match &line.act {
                Act::Get(part) if part.vb == vb => {
                    let Ok(frame) = Frame::parse(&part.bytes) else { continue };
                    let Some(wanted) = shape(&frame, self.compare) else { continue };
                    if wanted == found {
                        let part = part.clone();
                        self.rest.remove(at);
                        self.matched += 1;
                        return Some(self.learn(&part, came));
                    }
                    if vb.is_some() {
                        return None;
                    }
                }
                Act::Send(part) if part.vb == vb && vb.is_some() && self.is_compared(part) => {
                    return None;
                }
                Act::Send(_) | Act::Get(_) | Act::Close | Act::Ends => {}
            }
        }
        None
    }

    /// Frames that are not compared have no place in the order.
    fn is_compared(&self, part: &Part) -> bool {
        Frame::parse(&part.bytes).is_ok_and(|frame| shape(&frame, self.compare).is_some())
    }

    /// A frame came as recorded. Returns its recorded answer, if the script is past that.
    fn learn(&mut self, recorded: &Part, came: &Frame<'_>) -> Option<Bytes> {
        let frame = Frame::parse(&recorded.bytes).ok()?;
        if !frame.header.is_request() {
            return None;
        }
        let (old, new) = (frame.header.opaque, came.header.opaque);
        self.requests.insert((frame.opcode(), old), new);
        if frame.opcode() == Opcode::DCP_STREAM_REQ {
            self.streams.insert(old, new);
        }
        let answer = self.unasked.remove(&(frame.opcode(), old))?;
        match self.send(&answer) {
            Some(Next::Send(bytes) | Next::Request(_, bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// A vBucket, or the connection, goes another way from here.
    fn part(&mut self, vb: Option<VbId>, text: String) {
        self.differences.push(text);
        if let Some(vb) = vb {
            self.parted.insert(vb);
            self.awaited.retain(|awaited| awaited.part.vb != Some(vb));
        }
    }

    /// Nothing that is awaited came for so long: it is given up.
    pub(crate) fn give_up(&mut self, after: std::time::Duration) {
        if self.awaited.is_empty() {
            // It waited for the end.
            if let Some(Line { n, .. }) = self.rest.pop_front() {
                let other = &self.other;
                let text =
                    format!("frame {n}: the connection was closed; the {other} keeps it open");
                self.differences.push(text);
            }
            return;
        }
        let mut told = BTreeSet::new();
        for awaited in std::mem::take(&mut self.awaited) {
            let (n, words, vb) = (awaited.n, awaited.words(), awaited.part.vb);
            // The rest of a vBucket follows from its first frame.
            if vb.is_some() && !told.insert(vb) {
                continue;
            }
            let text = format!("frame {n}: {words} was recorded; it did not come within {after:?}");
            self.part(vb, text);
        }
    }

    /// The other side closed the connection.
    pub(crate) fn closed(&mut self) {
        self.look_ahead();
        self.is_closed = true;
        let is_recorded = self.awaited.is_empty()
            && self.rest.iter().all(|line| matches!(line.act, Act::Ends | Act::Close));
        if is_recorded {
            self.matched += 1;
            return;
        }
        let next = self.awaited.first().map(|it| (it.n, it.words())).or_else(|| {
            self.rest.iter().find_map(|line| match &line.act {
                Act::Send(part) | Act::Get(part) => {
                    let frame = Frame::parse(&part.bytes).ok()?;
                    Some((line.n, wirelog::what(&frame)))
                }
                Act::Close | Act::Ends => None,
            })
        });
        let other = &self.other;
        if let Some((n, what)) = next {
            let text = format!("the {other} closed the connection before frame {n}: {what}");
            self.differences.push(text);
        }
    }
}

/// Words for a frame, with the vBucket where they do not have it.
fn with_vb(shape: &str, vb: Option<VbId>) -> String {
    match vb {
        Some(vb) if !shape.contains(" vb:") => format!("{shape} of {vb}"),
        _ => shape.to_owned(),
    }
}

fn success(request: &Frame<'_>) -> Bytes {
    let answer = FrameBuilder::response(request.opcode(), Status::SUCCESS);
    answer.opaque(request.header.opaque).build()
}
