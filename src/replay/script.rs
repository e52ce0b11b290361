//! What one peer of a recorded conversation sends and gets, as a script to be played.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mcbp::{Frame, Opaque, Opcode, Side, Status, VbId};

use super::recording::{Conversation, Event, Passed};
use super::shape::vb_of_request;

/// Who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The recorded node: sends what it sent.
    Node,
    /// Whoever the node talked to: sends what it got.
    Peer,
}

/// One line of a script.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The number of the frame in the recording.
    pub(crate) n: u64,
    /// What to do.
    pub(crate) act: Act,
}

/// What to do.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Send this frame.
    Send(Part),
    /// Get this frame.
    Get(Part),
    /// Close the connection.
    Close,
    /// Find the connection closed.
    Ends,
}

/// A frame, and what it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The recorded frame.
    pub(crate) bytes: Bytes,
    /// Its vBucket, if it is about one; answers belong to that of their request.
    pub(crate) vb: Option<VbId>,
    /// Of a STREAM_REQ: whether the recorded producer accepted it.
    pub(crate) is_accepted: bool,
}

/// Returns the script of `role` at the connection of the node `side`.
pub(crate) fn script(conversation: &Conversation, side: Side, role: Role) -> Vec<Line> {
    let mut vbs: BTreeMap<(Opcode, Opaque), VbId> = BTreeMap::new();
    let (mut lines, accepted) = (Vec::new(), accepted(conversation));
    for step in &conversation.steps {
        let (bytes, from_node) = match &step.event {
            Event::From(from, bytes, _) if *from == side => (bytes, true),
            Event::From(_, bytes, Passed::On) => (bytes, false),
            Event::Own(to, bytes) if *to == side => (bytes, false),
            Event::Closed(closed) if *closed == side => {
                let act = if role == Role::Node { Act::Close } else { Act::Ends };
                lines.push(Line { n: step.n, act });
                continue;
            }
            Event::From(..) | Event::Own(..) | Event::Closed(_) => continue,
        };
        let Ok(frame) = Frame::parse(bytes) else { continue };
        let key = (frame.opcode(), frame.header.opaque);
        let vb = match vb_of_request(&frame) {
            Some(vb) => {
                vbs.insert(key, vb);
                Some(vb)
            }
            None => vbs.get(&key).copied().filter(|_| !frame.header.is_request()),
        };
        let is_request = frame.header.is_request() && frame.opcode() == Opcode::DCP_STREAM_REQ;
        let is_accepted = is_request && accepted.contains(&step.n);
        let part = Part { bytes: bytes.clone(), vb, is_accepted };
        let sends = from_node == (role == Role::Node);
        lines.push(Line { n: step.n, act: if sends { Act::Send(part) } else { Act::Get(part) } });
    }
    lines
}

/// The numbers of the STREAM_REQs that the recorded producer answered with success.
fn accepted(conversation: &Conversation) -> BTreeSet<u64> {
    let (mut asked, mut accepted) = (BTreeMap::new(), BTreeSet::new());
    for step in &conversation.steps {
        let Event::From(_, bytes, _) = &step.event else { continue };
        let Ok(frame) = Frame::parse(bytes) else { continue };
        if frame.opcode() != Opcode::DCP_STREAM_REQ {
            continue;
        }
        if frame.header.is_request() {
            asked.insert(frame.header.opaque, step.n);
        } else if let Some(n) = asked.remove(&frame.header.opaque)
            && frame.header.status() == Status::SUCCESS
        {
            accepted.insert(n);
        }
    }
    accepted
}

/// The vBuckets that the recorded proxy asked its consumer for.
pub(crate) fn asked_for(conversation: &Conversation) -> Vec<(VbId, u32)> {
    let asked = conversation.steps.iter().filter_map(|step| match &step.event {
        Event::Own(Side::Consumer, bytes) => {
            let frame = Frame::parse(bytes).ok()?;
            let is_add = frame.opcode() == Opcode::DCP_ADD_STREAM && frame.header.is_request();
            let flags = mcbp::dcp::AddStream::decode(&frame).ok().filter(|_| is_add)?.flags;
            Some((frame.header.vbucket(), flags))
        }
        _ => None,
    });
    asked.collect()
}
