//! Samples what was passed on of each vBucket: a run of frames counts for the vBucket of its first
//! change.
//!
//! A run is what one read brought. At a low rate it is one change and the sample is exact; in a
//! backfill it is long and of one vBucket; in a mix each vBucket is first in proportion to its
//! frames.
//!
//! Where the first change is a prepare of a durable write, the time is kept until the consumer has
//! acknowledged it: one prepare of each vBucket is timed at a time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mcbp::{HEADER_BYTES, Header, Opcode, Seqno, VbId};

/// How many frames of a run are searched for a change. Frames before a change are snapshot markers
/// or NOOPs.
const LOOK_FRAMES_MAX: usize = 4;

/// What was passed on of one vBucket, by samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VbSample {
    /// The seqno of the last sampled change.
    pub seqno: Seqno,
    /// The bytes of the runs whose first change was of this vBucket.
    pub bytes: u64,
    /// The frames of these runs.
    pub frames: u64,
}

/// The samples of all vBuckets of one direction; only the pump writes.
#[derive(Debug, Default)]
pub(crate) struct Samples(Box<[Cells]>);

#[derive(Debug, Default)]
struct Cells {
    seqno: AtomicU64,
    bytes: AtomicU64,
    frames: AtomicU64,
    /// The prepare that is timed; 0 for none.
    prepare: AtomicU64,
    prepared_at_us: AtomicU64,
}

impl Cells {
    /// Times the prepare `seqno`, unless an older one waits. A prepare that is not newer than the
    /// one that waits begins a new stream, which the acknowledgement of the old one does not reach.
    fn prepared(&self, seqno: u64, now_us: u64) {
        let waits = self.prepare.load(Relaxed);
        if waits == 0 || seqno <= waits {
            self.prepared_at_us.store(now_us, Relaxed);
            self.prepare.store(seqno, Relaxed);
        }
    }
}

impl Samples {
    /// Creates samples for the vBuckets below `vbuckets`: 40 bytes each.
    pub(crate) fn new(vbuckets: u16) -> Self {
        Self((0..vbuckets).map(|_| Cells::default()).collect())
    }

    /// Records a `run` of `frames` with `bytes` in all; the last frame may extend beyond the run.
    pub(crate) fn take(
        &self,
        run: &[u8],
        bytes: usize,
        frames: usize,
        now_us: impl FnOnce() -> u64,
    ) {
        if self.0.is_empty() {
            return;
        }
        let Some((header, seqno)) = first_change(run) else { return };
        let Some(cells) = self.0.get(usize::from(header.vbucket().0)) else { return };
        cells.seqno.store(seqno, Relaxed);
        cells.bytes.fetch_add(bytes as u64, Relaxed);
        cells.frames.fetch_add(frames as u64, Relaxed);
        if header.opcode == Opcode::DCP_PREPARE {
            cells.prepared(seqno, now_us());
        }
    }

    /// The prepare of `vb` that is timed is acknowledged if it is at most `seqno`; returns when it
    /// passed.
    pub(crate) fn acknowledged(&self, vb: VbId, seqno: Seqno) -> Option<u64> {
        let at_us = self.prepared_at_us(vb)?;
        let cells = self.0.get(usize::from(vb.0))?;
        if cells.prepare.load(Relaxed) > seqno.0 {
            return None;
        }
        cells.prepare.store(0, Relaxed);
        Some(at_us)
    }

    /// Returns when the prepare of `vb` passed that is timed; `None` if none waits.
    pub(crate) fn prepared_at_us(&self, vb: VbId) -> Option<u64> {
        let cells = self.0.get(usize::from(vb.0))?;
        (cells.prepare.load(Relaxed) > 0).then(|| cells.prepared_at_us.load(Relaxed))
    }

    /// Returns the samples of `vb`; `None` if there are none.
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

/// Returns header and seqno of the first change of a document in `run`. All four opcodes have the
/// seqno first in their extras.
fn first_change(mut run: &[u8]) -> Option<(Header, u64)> {
    for _ in 0..LOOK_FRAMES_MAX {
        let header = Header::peek(run).ok()??;
        let is_change = matches!(
            header.opcode,
            Opcode::DCP_MUTATION
                | Opcode::DCP_DELETION
                | Opcode::DCP_EXPIRATION
                | Opcode::DCP_PREPARE
        );
        if is_change && header.is_request() {
            let extras = run.get(HEADER_BYTES + usize::from(header.framing_bytes)..)?;
            let seqno = u64::from_be_bytes(*extras.first_chunk()?);
            return Some((header, seqno));
        }
        run = run.get(header.frame_bytes()..)?;
    }
    None
}
