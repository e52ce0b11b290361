//! A recording as its conversations: what each pair of connections of a link said, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::time::Duration;

use bytes::Bytes;
use mcbp::dcp::Open;
use mcbp::{Feature, Frame, Opaque, Opcode, Side};
use replica::link::DATA_OPCODES;
use wirelog::{About, ReadError, Reader, Record, Recorded, WITHHELD};

/// A file, read.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// What the file says about itself.
    pub(crate) about: Option<About>,
    /// Each pair of connections; the frames of one follow those of the one before.
    pub(crate) conversations: Vec<Conversation>,
    /// Frames of other connections, such as clients.
    pub(crate) others: u64,
    /// What an earlier pair of connections still said before the first opening of the file. Nobody
    /// knows what its streams were, or which commands ended them.
    pub(crate) tail: usize,
    /// Frames that the recorder dropped.
    pub(crate) dropped: u64,
    /// After which frame the data frames begin to be complete, where those before were not kept.
    pub(crate) unkept: Option<u64>,
    /// Why the recorder ended the file; `None` where the file does not say.
    pub(crate) end: Option<String>,
}

/// What one pair of connections said.
#[derive(Debug, Default, Clone)]
pub(crate) struct Conversation {
    /// What was said at the beginning, for each side that was recorded from there.
    pub(crate) openings: BTreeMap<Side, Opening>,
    /// Everything after that, in the order of the file.
    pub(crate) steps: Vec<Step>,
    /// Whether frames of it are missing, so that a stream may have been opened by those.
    pub(crate) has_gap: bool,
}

impl Conversation {
    /// Whether the connection of this node was recorded.
    pub(crate) fn has(&self, side: Side) -> bool {
        self.openings.contains_key(&side)
            || self.steps.iter().any(|step| match &step.event {
                Event::From(of, ..) | Event::Own(of, _) | Event::Closed(of) => *of == side,
            })
    }
}

/// How a connection was opened.
#[derive(Debug, Default, Clone)]
pub(crate) struct Opening {
    /// The bucket.
    pub(crate) bucket: String,
    /// The features that were asked for, and then those that were granted, if the answer is there.
    pub(crate) features: Vec<Feature>,
    /// The whole DCP_OPEN.
    pub(crate) open: Bytes,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The number of the frame; of what happened between frames, that of the frame before.
    pub(crate) n: u64,
    /// When.
    pub(crate) t: Duration,
    /// What.
    pub(crate) event: Event,
}

/// What may happen.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A node sent a frame; `passed` if the other node got it.
    From(Side, Bytes, Passed),
    /// The proxy sent a frame of its own to a node.
    Own(Side, Bytes),
    /// A node closed its connection.
    Closed(Side),
}

/// What became of a frame of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// The other node got it.
    On,
    /// The proxy kept it: the answer to a request of its own, or what a note says.
    Kept,
}

/// The requests before DCP_OPEN, which every program makes by itself.
const HANDSHAKE: [Opcode; 7] = [
    Opcode::SASL_LIST_MECHS,
    Opcode::SASL_AUTH,
    Opcode::SASL_STEP,
    Opcode::HELLO,
    Opcode::SELECT_BUCKET,
    Opcode::STAT,
    Opcode::DCP_OPEN,
];

/// Reads a recording.
///
/// # Errors
/// The first line that cannot be used.
pub(crate) fn read(input: impl BufRead) -> Result<Recording, ReadError> {
    let mut sorter = Sorter::default();
    for record in Reader::new(input) {
        match record? {
            Record::About(about) => {
                sorter.whole.dropped += about.dropped;
                sorter.whole.about = Some(about);
            }
            Record::Dropped { frames, .. } => {
                sorter.whole.dropped += frames;
                sorter.present.has_gap = true;
            }
            Record::Unkept { n, .. } => sorter.whole.unkept = Some(n),
            Record::End { why, .. } => sorter.whole.end = Some(why),
            Record::Eof { n, t, from, .. } => {
                if let Some(side) = side(&from) {
                    sorter.push(n, t, Event::Closed(side));
                }
            }
            Record::Frame(frame) => sorter.frame(frame),
        }
    }
    sorter.next();
    Ok(sorter.whole)
}

fn side(name: &str) -> Option<Side> {
    match name {
        "consumer" => Some(Side::Consumer),
        "producer" => Some(Side::Producer),
        _ => None,
    }
}

#[derive(Default)]
struct Sorter {
    whole: Recording,
    present: Conversation,
    /// The sides that have begun a handshake in the present conversation.
    begun: BTreeSet<Side>,
    /// Requests of the proxy's own whose answers are its own too.
    own: BTreeSet<(Side, Opcode, Opaque)>,
}

impl Sorter {
    /// Ends the present conversation.
    fn next(&mut self) {
        let ended = std::mem::take(&mut self.present);
        // A pair that was never complete has said nothing that could be replayed.
        if ended.steps.iter().any(|step| !matches!(step.event, Event::Closed(_))) {
            self.whole.conversations.push(ended);
        }
        self.own.clear();
    }

    fn push(&mut self, n: u64, t: Duration, event: Event) {
        self.present.steps.push(Step { n, t, event });
    }

    fn frame(&mut self, line: Recorded) {
        let bytes = Bytes::from(line.frame);
        let Ok(frame) = Frame::parse(&bytes) else { return };
        let key = |side| (side, frame.opcode(), frame.header.opaque);
        let (from, to) = (side(&line.from), side(&line.to));
        let is_request = frame.header.is_request();
        let event = match (from, to) {
            (None, Some(to)) if line.from == "proxy" => {
                if HANDSHAKE.contains(&frame.opcode()) && is_request {
                    self.handshake(to, &frame, &bytes);
                    return;
                }
                let awaits = [Opcode::DCP_ADD_STREAM, Opcode::DCP_CLOSE_STREAM, Opcode::DCP_NOOP];
                if is_request && awaits.contains(&frame.opcode()) {
                    self.own.insert(key(to));
                }
                // A recorder that stands in the producer's place: no proxy sends these itself.
                if to == Side::Consumer && is_request && DATA_OPCODES.contains(&frame.opcode()) {
                    Event::From(Side::Producer, bytes.clone(), Passed::On)
                } else {
                    Event::Own(to, bytes.clone())
                }
            }
            (Some(from), None) if line.to == "proxy" => {
                if HANDSHAKE.contains(&frame.opcode()) {
                    self.granted(from, &frame);
                    return;
                }
                let note = line.note.as_deref().unwrap_or_default();
                let is_answer = !is_request && self.own.remove(&key(from));
                let is_kept = is_answer || note.starts_with(WITHHELD);
                let passed = if is_kept { Passed::Kept } else { Passed::On };
                Event::From(from, bytes.clone(), passed)
            }
            _ => {
                self.whole.others += 1;
                return;
            }
        };
        self.push(line.n, line.t, event);
    }

    /// A request of a handshake. The first one on a side that has had one begins a conversation.
    fn handshake(&mut self, to: Side, frame: &Frame<'_>, bytes: &Bytes) {
        // Nobody needs to know how the login went on, and what it began with is optional.
        if matches!(frame.opcode(), Opcode::SASL_LIST_MECHS | Opcode::SASL_STEP) {
            return;
        }
        let begins = frame.opcode() == Opcode::SASL_AUTH;
        if begins && !self.begun.insert(to) {
            self.next();
            self.begun = BTreeSet::from([to]);
        }
        // Before the first handshake stands what is left of the conversation before it.
        if begins && self.present.openings.is_empty() {
            self.whole.tail += std::mem::take(&mut self.present.steps).len();
            self.own.clear();
        }
        let opening = self.present.openings.entry(to).or_default();
        match frame.opcode() {
            Opcode::SELECT_BUCKET => {
                opening.bucket = String::from_utf8_lossy(frame.key).into_owned();
            }
            Opcode::HELLO => opening.features = Feature::decode_list(frame).unwrap_or_default(),
            Opcode::DCP_OPEN if Open::decode(frame).is_ok() => opening.open = bytes.clone(),
            _ => {}
        }
    }

    fn granted(&mut self, from: Side, frame: &Frame<'_>) {
        if frame.opcode() == Opcode::HELLO
            && let Ok(features) = Feature::decode_list(frame)
            && let Some(opening) = self.present.openings.get_mut(&from)
        {
            opening.features = features;
        }
    }
}
