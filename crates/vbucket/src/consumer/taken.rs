//! What a live stream does with one of its frames: it is queued, set aside, or done at once.

use mcbp::dcp::{
    CacheRecord, OsoSnapshot, SeqnoAdvanced, SetVbucketState, SnapshotMarker, stream_flags,
};
use mcbp::{Frame, Opcode, Status, VbState};

use super::decode::{self, DecodeOptions, FrameRefusal};
use super::part::Item;
use super::refusal::not_stored;
use super::stream::PassiveStream;

/// What was done with a frame of a stream.
pub(super) enum Taken {
    /// It was queued with its charge.
    Queued,
    /// It was set aside with its charge, until its OSO snapshot ends.
    Aside,
    /// The end of an OSO snapshot: so many bytes that were set aside are queued.
    OsoEnd(usize),
    /// It was processed at once: its bytes are free.
    Done,
}

/// Queues a frame of a live stream.
#[inline]
pub(super) fn take(
    stream: &mut PassiveStream,
    frame: &Frame<'_>,
    charge: usize,
    options: DecodeOptions<'_>,
) -> Result<Taken, FrameRefusal> {
    match frame.opcode() {
        Opcode::DCP_MUTATION | Opcode::DCP_DELETION | Opcode::DCP_EXPIRATION => {
            let row = decode::row(frame, options)?;
            stream.check_collection(&row.key)?;
            stream.push_row(row, charge)?;
        }
        Opcode::DCP_PREPARE if options.sync_writes => {
            let row = decode::prepare(frame, options)?;
            stream.check_collection(row.document_key())?;
            stream.push_row(row, charge)?;
        }
        Opcode::DCP_COMMIT if options.sync_writes => {
            let row = decode::commit(frame, options, |document| stream.prepared(document))?;
            stream.push_row(row, charge)?;
        }
        Opcode::DCP_ABORT if options.sync_writes => {
            let row = decode::abort(frame, options)?;
            stream.check_collection(row.document_key())?;
            stream.push_row(row, charge)?;
        }
        Opcode::DCP_SYSTEM_EVENT => {
            let (row, event) = decode::event(frame)?;
            let seqno = row.seqno;
            stream.push_row(row, charge)?;
            stream.follow_event(seqno, &event);
        }
        Opcode::DCP_SNAPSHOT_MARKER => {
            stream.on_marker(&SnapshotMarker::decode(frame)?)?;
            return Ok(Taken::Done);
        }
        Opcode::DCP_SEQNO_ADVANCED => {
            stream.push_advance(SeqnoAdvanced::decode(frame)?.seqno, charge)?;
        }
        Opcode::DCP_SET_VBUCKET_STATE => {
            let state = SetVbucketState::decode(frame)?.state;
            // Only a stream that was added as a takeover may make the vBucket active.
            let takeover = stream.flags & stream_flags::TAKEOVER != 0;
            if !takeover || !matches!(state, VbState::Pending | VbState::Active) {
                let reason = format!("state {state} outside of a takeover");
                return Err(FrameRefusal::new(Status::EINVAL, reason));
            }
            stream.push(Item::State(state), charge);
        }
        Opcode::DCP_OSO_SNAPSHOT if OsoSnapshot::decode(frame)?.start => {
            stream.begin_oso()?;
            return Ok(Taken::Done);
        }
        Opcode::DCP_OSO_SNAPSHOT => return stream.end_oso().map(Taken::OsoEnd),
        // What is in the producer's cache is no change, and there is no cache to fill here.
        Opcode::DCP_CACHE_TRANSFER => {
            for record in CacheRecord::iter(frame) {
                record?;
            }
            return Ok(Taken::Done);
        }
        Opcode::DCP_CACHE_TRANSFER_END => return Ok(Taken::Done),
        opcode => return Err(not_stored(opcode)),
    }
    Ok(Taken::Queued)
}

/// Takes a frame of a live stream within an OSO snapshot; `room` is what may still be set aside.
pub(super) fn take_in_oso(
    stream: &mut PassiveStream,
    frame: &Frame<'_>,
    charge: usize,
    room: usize,
    options: DecodeOptions<'_>,
) -> Result<Taken, FrameRefusal> {
    match frame.opcode() {
        Opcode::DCP_MUTATION | Opcode::DCP_DELETION | Opcode::DCP_EXPIRATION => {
            // They wait for long: the memory of the whole read is not kept for them.
            let options = DecodeOptions { memory: None, ..options };
            stream.set_aside(decode::row(frame, options)?, charge, room)?;
            Ok(Taken::Aside)
        }
        Opcode::DCP_SYSTEM_EVENT => {
            stream.set_aside(decode::event(frame)?.0, charge, room)?;
            Ok(Taken::Aside)
        }
        Opcode::DCP_SEQNO_ADVANCED => {
            stream.advance_oso(SeqnoAdvanced::decode(frame)?.seqno)?;
            Ok(Taken::Done)
        }
        Opcode::DCP_SNAPSHOT_MARKER | Opcode::DCP_SET_VBUCKET_STATE => {
            let reason = "the OSO snapshot before it has not ended";
            Err(FrameRefusal::new(Status::EINVAL, reason))
        }
        Opcode::DCP_PREPARE | Opcode::DCP_COMMIT | Opcode::DCP_ABORT => {
            let reason = "a step of a durable write within an OSO snapshot";
            Err(FrameRefusal::new(Status::EINVAL, reason))
        }
        _ => take(stream, frame, charge, options),
    }
}
