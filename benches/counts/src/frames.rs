//! Mutations of one size, or of many, with and without control frames between them.

use std::iter;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{Mutation, StreamEnd, Target};
use mcbp::scan::ControlSet;
use mcbp::{Datatype, HEADER_BYTES, Opaque, Opcode, Seqno, StreamEndStatus, VbId};

/// Frames of each measurement: a figure of 250,000 is 25 instructions per frame.
pub(crate) const FRAMES: usize = 10_000;
/// One frame of this many is a control frame, if there are any: far more than on a real link.
const FRAMES_TO_CONTROL: usize = 20;
/// The size of a mutation without its value, with a key of eight bytes.
const MUTATION_BYTES: usize = HEADER_BYTES + 31 + 8;
/// Sizes of successive documents in a bucket with documents of many kinds.
const MIX_BYTES: [usize; 7] = [80, 1024, 256, 120, 4096, 300, 16_384];

/// The control frames of a producer, which end a run.
pub(crate) const CONTROL: ControlSet = ControlSet::new(
    &[Opcode::DCP_STREAM_END, Opcode::DCP_SET_VBUCKET_STATE],
    &[Opcode::DCP_STREAM_REQ, Opcode::DCP_CLOSE_STREAM],
)
.and_errors();

/// Mutations of `frame_bytes` each.
pub(crate) fn same(frame_bytes: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(FRAMES * frame_bytes);
    iter::repeat_n(frame_bytes, FRAMES).for_each(|bytes| mutation(bytes, &mut out));
    out.freeze()
}

/// Mutations of many sizes.
pub(crate) fn mixed() -> Bytes {
    let mut out = BytesMut::new();
    MIX_BYTES.into_iter().cycle().take(FRAMES).for_each(|bytes| mutation(bytes, &mut out));
    out.freeze()
}

/// Mutations of `frame_bytes` each, but every twentieth frame is a STREAM_END.
pub(crate) fn with_control(frame_bytes: usize) -> Bytes {
    let mut out = BytesMut::new();
    for number in 1..=FRAMES {
        if number % FRAMES_TO_CONTROL == 0 {
            let end = StreamEnd { status: StreamEndStatus::OK };
            end.write(VbId(1), Opaque(1), &mut out);
        } else {
            mutation(frame_bytes, &mut out);
        }
    }
    out.freeze()
}

fn mutation(frame_bytes: usize, out: &mut BytesMut) {
    let target = Target { vb: VbId(1), opaque: Opaque(1), cas: 1, datatype: Datatype::RAW };
    let body = Mutation { seqno: Seqno(1), rev: 1, flags: 0, expiry: 0, lock_time: 0, nru: 0 };
    body.write(target, b"document", &vec![b'v'; frame_bytes - MUTATION_BYTES], out);
}
