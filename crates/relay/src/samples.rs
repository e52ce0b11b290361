//! What passed of each vBucket, by samples: the first change of a run of frames stands for all of
//! it.
//!
//! A run is what one read brought. While little happens it is one change, and the sample is the
//! truth; in a backfill it is long and of one vBucket; where vBuckets mix, each is first as often
//! as it has frames.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mcbp::{HEADER_BYTES, Header, Opcode, Seqno, VbId};

/// So many frames of a run are looked at for a change: what comes before one is a snapshot marker,
/// an answer to a NOOP.
const LOOK_FRAMES_MAX: usize = 4;

/// What passed of one vBucket, as far as samples tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VbSample {
    /// The seqno of the change that was sampled last.
    pub seqno: Seqno,
    /// Bytes of the runs whose first change was of this vBucket.
    pub bytes: u64,
    /// Frames of these runs.
    pub frames: u64,
}

/// The samples of all vBuckets of one direction; the pump alone writes.
#[derive(Debug, Default)]
pub(crate) struct Samples(Box<[Cells]>);

#[derive(Debug, Default)]
struct Cells {
    seqno: AtomicU64,
    bytes: AtomicU64,
    frames: AtomicU64,
}

impl Samples {
    /// For the vBuckets below `vbuckets`: 24 bytes each.
    pub(crate) fn new(vbuckets: u16) -> Self {
        Self((0..vbuckets).map(|_| Cells::default()).collect())
    }

    /// Takes note of a `run` of `frames`, the last of which may end behind it, `bytes` in all.
    pub(crate) fn take(&self, run: &[u8], bytes: usize, frames: usize) {
        if self.0.is_empty() {
            return;
        }
        let Some((vb, seqno)) = first_change(run) else { return };
        let Some(cells) = self.0.get(usize::from(vb.0)) else { return };
        cells.seqno.store(seqno, Relaxed);
        cells.bytes.fetch_add(bytes as u64, Relaxed);
        cells.frames.fetch_add(frames as u64, Relaxed);
    }

    /// `None` where no sample was of `vb`.
    pub(crate) fn of(&self, vb: VbId) -> Option<VbSample> {
        let cells = self.0.get(usize::from(vb.0))?;
        let frames = cells.frames.load(Relaxed);
        (frames > 0).then(|| VbSample {
            seqno: Seqno(cells.seqno.load(Relaxed)),
            bytes: cells.bytes.load(Relaxed),
            frames,
        })
    }
}

/// The vBucket and seqno of the first change of a document in `run`. All three kinds have the seqno
/// first in their extras.
fn first_change(mut run: &[u8]) -> Option<(VbId, u64)> {
    for _ in 0..LOOK_FRAMES_MAX {
        let header = Header::peek(run).ok()??;
        let is_change = matches!(
            header.opcode,
            Opcode::DCP_MUTATION | Opcode::DCP_DELETION | Opcode::DCP_EXPIRATION
        );
        if is_change && header.is_request() {
            let extras = run.get(HEADER_BYTES + usize::from(header.framing_bytes)..)?;
            return Some((header.vbucket(), u64::from_be_bytes(*extras.first_chunk()?)));
        }
        run = run.get(header.frame_bytes()..)?;
    }
    None
}
