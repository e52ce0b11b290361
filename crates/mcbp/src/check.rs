//! Properties that hold for every input, as functions that panic where they do not.
//!
//! Shared by the fuzz targets, the corpus test and the property tests. No part of the program calls
//! them.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::dcp::{
    Abort, AddStream, BufferAck, CacheRecord, Commit, Control, Deletion, Expiration, Mutation,
    Open, OsoSnapshot, Prepare, SeqnoAck, SeqnoAdvanced, SetVbucketState, SnapshotMarker,
    StreamEnd, StreamReq, SystemEvent, Target,
};
use crate::scan::{ControlSet, Next, scan};
use crate::{Frame, FrameBuilder, FrameError, Magic, Opcode, framing, key};

/// Any bytes are a frame that can be written back unchanged, or a typed error.
///
/// # Panics
/// Where that does not hold.
pub fn frame(bytes: &[u8]) {
    let Ok(frame) = Frame::parse(bytes) else { return };
    let again = FrameBuilder::from_frame(&frame).build();
    assert_eq!(bytes.get(..frame.header.frame_bytes()), Some(&again[..]), "{frame:?}");
    assert!(framing::iter(frame.framing).count() <= frame.framing.len(), "{frame:?}");
    _ = key::split(frame.key);
    // A decoder may drop reserved bytes, so the first rewrite may differ; the second may not.
    if let Ok(Some(once)) = rewrite(&frame) {
        let twice = Frame::parse(&once).and_then(|frame| rewrite(&frame));
        assert_eq!(twice, Ok(Some(once)), "{frame:?}");
    }
}

/// A scan gives the same frames wherever a read ends; of a long stream 256 split points are tried.
///
/// # Panics
/// Where that does not hold.
pub fn stream(bytes: &[u8]) {
    for cut in (0..=bytes.len()).step_by(1 + bytes.len() / 256) {
        split(bytes, cut);
    }
}

/// A stream that arrives in two pieces holds the same frames as one that arrives at once.
///
/// # Panics
/// Where that does not hold.
pub fn split(stream: &[u8], cut: usize) {
    let cut = cut.min(stream.len());
    let (whole, end) = frames(&[stream.len()], stream);
    assert_eq!((whole.clone(), end), frames(&[cut, stream.len()], stream), "cut at {cut}");
    let covered = whole.last().map_or(0, |range| range.end);
    assert!(end != Next::Empty || covered == stream.len(), "{covered} of {}", stream.len());
}

/// Returns the frames of `stream`, and what follows them, as a pump finds them. `arrivals` says how
/// much of the stream has arrived at each step. Odd opcodes count as control frames.
#[must_use]
pub fn frames(arrivals: &[usize], stream: &[u8]) -> (Vec<Range<usize>>, Next) {
    let odd: Vec<_> = (0..=u8::MAX).filter(|opcode| opcode % 2 == 1).map(Opcode).collect();
    let control = ControlSet::new(&odd, &odd);
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let mut next = Next::Empty;
    for &arrived in arrivals {
        loop {
            let scan = scan(stream.get(at..arrived).unwrap_or_default(), &control);
            let run_end = at + scan.run_bytes;
            let run_start = found.len();
            while at < run_end {
                at += whole(stream.get(at..run_end).unwrap_or_default(), &mut found, at);
            }
            assert_eq!(found.len() - run_start, scan.run_frames);
            next = scan.next;
            match next {
                Next::Control { whole: true, .. } => {
                    at += whole(stream.get(at..arrived).unwrap_or_default(), &mut found, at);
                }
                _ => break,
            }
        }
    }
    (found, next)
}

/// Records the frame at the front of `bytes`, which must be whole, and returns its length.
fn whole(bytes: &[u8], found: &mut Vec<Range<usize>>, at: usize) -> usize {
    let frame = Frame::parse(bytes).unwrap_or_else(|error| panic!("no frame at {at}: {error}"));
    let frame_bytes = frame.header.frame_bytes();
    found.push(at..at + frame_bytes);
    frame_bytes
}

/// Decodes the body of a DCP request by its opcode, and writes it again with the fields of the
/// header. `None` for responses, and for opcodes without a type.
///
/// # Errors
/// As the `decode` of the type.
pub fn rewrite(frame: &Frame<'_>) -> Result<Option<Bytes>, FrameError> {
    let header = &frame.header;
    if header.magic != Magic::ClientRequest {
        return Ok(None);
    }
    let (vb, opaque) = (header.vbucket(), header.opaque);
    let to = Target { vb, opaque, cas: header.cas, datatype: header.datatype };
    let (key, value) = (frame.key, frame.value);
    let mut out = BytesMut::new();
    match header.opcode {
        Opcode::DCP_OPEN => return Ok(Some(Open::decode(frame)?.build(opaque))),
        Opcode::DCP_ADD_STREAM => AddStream::decode(frame)?.write(vb, opaque, &mut out),
        Opcode::DCP_STREAM_REQ => StreamReq::decode(frame)?.write(vb, opaque, &mut out),
        Opcode::DCP_STREAM_END => StreamEnd::decode(frame)?.write(vb, opaque, &mut out),
        Opcode::DCP_SNAPSHOT_MARKER => SnapshotMarker::decode(frame)?.write(vb, opaque, &mut out),
        Opcode::DCP_MUTATION => Mutation::decode(frame)?.write(to, key, value, &mut out),
        Opcode::DCP_DELETION => Deletion::decode(frame)?.write(to, key, value, &mut out),
        Opcode::DCP_EXPIRATION => Expiration::decode(frame)?.write(to, key, value, &mut out),
        Opcode::DCP_SET_VBUCKET_STATE => {
            SetVbucketState::decode(frame)?.write(vb, opaque, &mut out);
        }
        Opcode::DCP_BUFFER_ACK => BufferAck::decode(frame)?.write(vb, opaque, &mut out),
        Opcode::DCP_CONTROL => Control::decode(frame)?.write(opaque, &mut out),
        Opcode::DCP_SYSTEM_EVENT => {
            SystemEvent::decode(frame)?.write(vb, opaque, key, value, &mut out);
        }
        Opcode::DCP_PREPARE => Prepare::decode(frame)?.write(to, key, value, &mut out),
        Opcode::DCP_SEQNO_ACK => SeqnoAck::decode(frame)?.write(vb, opaque, &mut out),
        Opcode::DCP_COMMIT => Commit::decode(frame)?.write(vb, opaque, key, &mut out),
        Opcode::DCP_ABORT => Abort::decode(frame)?.write(vb, opaque, key, &mut out),
        Opcode::DCP_SEQNO_ADVANCED => SeqnoAdvanced::decode(frame)?.write(vb, opaque, &mut out),
        Opcode::DCP_OSO_SNAPSHOT => OsoSnapshot::decode(frame)?.write(vb, opaque, &mut out),
        Opcode::DCP_CACHE_TRANSFER => {
            let mut records = Vec::new();
            for record in CacheRecord::iter(frame) {
                record?.push(&mut records);
            }
            FrameBuilder::from_frame(frame).value(&records).write(&mut out);
        }
        _ => return Ok(None),
    }
    Ok(Some(out.freeze()))
}
