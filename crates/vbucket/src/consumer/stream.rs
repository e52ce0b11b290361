//! One stream on the consumer's side: its phase, what it asks for, and what may follow what was
//! received. What was received and is not written yet is in `queue`, or in `oso` if it came out of
//! order.
//!
//! The stream knows the prepares that wait for their COMMIT, which carries no value. It
//! acknowledges them when their snapshot is complete on disk.

mod oso;
mod prepares;
mod queue;

use std::collections::VecDeque;
use std::sync::Arc;

use mcbp::dcp::{SnapshotMarker, StreamReq, marker_flags};
use mcbp::key::collection_id;
use mcbp::{Opaque, Seqno, Status, VbId, VbUuid};

use super::decode::FrameRefusal;
use super::part::{Item, Versions};
use crate::collections::{SYSTEM_EVENTS, SystemEvent, VbCollections};
use crate::stream_req::VbFacts;
use crate::{Kind, Row};

/// The phase of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum StreamPhase {
    /// Waits for the negotiation to end.
    Queued,
    /// STREAM_REQ is unanswered.
    Requested,
    /// The vBucket is being rolled back.
    RollingBack,
    /// The producer's history is being taken over.
    TakingHistory,
    /// Data flows.
    Open,
    /// Ended or closed; what was received is still being written.
    Draining,
}

/// An item of the queue with its charge, in bytes of the window.
type Queued = (Item, usize);

/// One stream.
#[derive(Debug)]
pub(super) struct PassiveStream {
    pub(super) vb: VbId,
    pub(super) opaque: Opaque,
    pub(super) flags: u32,
    /// The opaque of the unanswered ADD_STREAM. Whoever takes it has to answer.
    pub(super) add: Option<Opaque>,
    pub(super) phase: StreamPhase,
    /// The entry of the failover table that STREAM_REQ names.
    branch: usize,
    pub(super) rollbacks: u32,
    pub(super) start: Seqno,
    pub(super) uuid: VbUuid,
    /// Start of the snapshot in which the stream began, if it was incomplete.
    resumed_snapshot_start: Option<Seqno>,
    pub(super) last_seqno: Seqno,
    /// The last seqno that was passed to the shell for writing.
    handed_seqno: Seqno,
    /// The newest branch of the producer, from its answer to STREAM_REQ.
    pub(super) history: Option<VbUuid>,
    /// The collections at `last_seqno`.
    collections: Arc<VbCollections>,
    pub(super) snapshot: (Seqno, Seqno),
    pub(super) snapshot_from_disk: bool,
    /// Of the next row. One snapshot from a disk may have the newest rows of a time before the
    /// change history, and then that: two markers announce it.
    versions: Versions,
    /// A marker becomes current with its first change. Until then a new request would have to name
    /// the previous snapshot (JDCP-241).
    pending: Option<SnapshotMarker>,
    answer_at: Option<Seqno>,
    oso: Option<Box<oso::Oso>>,
    prepares: prepares::Prepares,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// The charge of what is being written; `None` while nothing is.
    in_flight: Option<usize>,
}

impl PassiveStream {
    pub(super) fn new(vb: VbId, opaque: Opaque, add: Opaque, flags: u32) -> Self {
        Self {
            vb,
            opaque,
            flags,
            add: Some(add),
            phase: StreamPhase::Queued,
            branch: 0,
            rollbacks: 0,
            start: Seqno::ZERO,
            uuid: VbUuid(0),
            resumed_snapshot_start: None,
            last_seqno: Seqno::ZERO,
            handed_seqno: Seqno::ZERO,
            history: None,
            collections: Arc::default(),
            snapshot: (Seqno::ZERO, Seqno::ZERO),
            snapshot_from_disk: false,
            versions: Versions::Newest,
            pending: None,
            answer_at: None,
            oso: None,
            prepares: prepares::Prepares::default(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_flight: None,
        }
    }

    /// Whether the next change belongs to a snapshot of the producer's disk.
    pub(super) fn next_is_from_disk(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.map_or(self.snapshot_from_disk, |marker| marker.flags & marker_flags::DISK != 0)
    }

    /// Returns the STREAM_REQ that continues from the state of the vBucket.
    pub(super) fn request(
        &mut self,
        facts: &VbFacts,
        prepared: Vec<Arc<Row>>,
    ) -> StreamReq<'static> {
        let start = facts.high_seqno;
        let whole = start == facts.snapshot_end || start == Seqno::ZERO;
        let (snapshot_start, snapshot_end) =
            if whole { (start, start) } else { (facts.snapshot_start, facts.snapshot_end) };
        let entries = facts.failover.entries();
        let named = entries.get(self.branch).map_or(VbUuid(0), |entry| entry.uuid);
        let uuid = if start == Seqno::ZERO { VbUuid(0) } else { named };
        self.start = start;
        self.uuid = uuid;
        self.last_seqno = start;
        self.handed_seqno = start;
        self.collections = Arc::clone(&facts.collections);
        self.prepares = prepares::Prepares::new(prepared, facts.durable.high_prepared, whole);
        self.snapshot = (snapshot_start, snapshot_end);
        self.resumed_snapshot_start = (!whole).then_some(snapshot_start);
        self.phase = StreamPhase::Requested;
        let (flags, end) = (self.flags, Seqno::MAX);
        StreamReq { flags, start, end, uuid, snapshot_start, snapshot_end, value: &[] }
    }

    /// Selects the next older branch for the request and returns true, if the current one began at
    /// the start of the request: then nothing of it was received (MB-48398).
    pub(super) fn try_older_branch(&mut self, facts: &VbFacts) -> bool {
        let entries = facts.failover.entries();
        let began_here = entries.get(self.branch).is_some_and(|entry| entry.seqno == self.start);
        let older = began_here && self.branch + 1 < entries.len();
        self.branch += usize::from(older);
        older
    }

    /// Counts a rollback. The next request names the newest branch.
    pub(super) const fn rolled_back(&mut self) {
        self.branch = 0;
        self.rollbacks += 1;
    }

    /// Refuses a document of a collection that is not there.
    #[inline]
    pub(super) fn check_collection(&self, key: &[u8]) -> Result<(), FrameRefusal> {
        let id = collection_id(key).unwrap_or(SYSTEM_EVENTS);
        if self.collections.get(id).is_some() {
            return Ok(());
        }
        let uid = self.collections.uid();
        let reason = format!("collection {id:#x} is unknown in manifest {uid:x}");
        Err(FrameRefusal::new(Status::UNKNOWN_COLLECTION, reason))
    }

    /// Follows a system event that was queued.
    pub(super) fn follow_event(&mut self, seqno: Seqno, event: &SystemEvent) {
        Arc::make_mut(&mut self.collections).follow(seqno, event);
        self.prepares.follow_collections(&self.collections);
    }

    /// Follows a row of an OSO snapshot, or refuses it as [`PassiveStream::check_collection`] does.
    fn follow_row(&mut self, row: &Row) -> Result<(), FrameRefusal> {
        let Kind::Event { is_end } = row.kind else { return self.check_collection(&row.key) };
        let event = SystemEvent::from_row(&row.key, is_end, &row.value);
        let event = event.map_err(|flaw| FrameRefusal::new(Status::EINVAL, flaw))?;
        self.follow_event(row.seqno, &event);
        Ok(())
    }

    /// Takes a marker; refuses one that ends before the last seqno (MB-50543), or beyond what rows
    /// may have.
    pub(super) fn on_marker(&mut self, marker: &SnapshotMarker) -> Result<(), FrameRefusal> {
        let &SnapshotMarker { start, end, .. } = marker;
        if end < start {
            let reason = format!("snapshot {start}-{end} ends before its start");
            return Err(FrameRefusal::new(Status::EINVAL, reason));
        }
        if end > Seqno::TAKEN_MAX {
            let reason = format!("snapshot {start}-{end} ends above {}", Seqno::TAKEN_MAX);
            return Err(FrameRefusal::new(Status::ERANGE, reason));
        }
        if end < self.last_seqno {
            let reason = format!("snapshot {start}-{end} ends before seqno {}", self.last_seqno);
            return Err(FrameRefusal::new(Status::ERANGE, reason));
        }
        self.pending = Some(*marker);
        Ok(())
    }

    /// Takes the seqno of a change or an advance; refuses one that is out of order or outside the
    /// snapshot.
    fn follow(&mut self, seqno: Seqno) -> Result<(), FrameRefusal> {
        let first = self.pending.map(|marker| {
            let resumed = self.resumed_snapshot_start.unwrap_or(marker.start);
            (marker.start.min(resumed), marker.end)
        });
        let (start, end) = first.unwrap_or(self.snapshot);
        let last = self.last_seqno;
        if seqno <= last || seqno < start || seqno > end {
            let reason = format!("seqno {seqno} of snapshot {start}-{end} after seqno {last}");
            return Err(FrameRefusal::new(Status::ERANGE, reason));
        }
        if let Some(marker) = self.pending.take() {
            self.resumed_snapshot_start = None;
            self.snapshot = (start, end);
            self.snapshot_from_disk = marker.flags & marker_flags::DISK != 0;
            self.versions = match marker.flags & marker_flags::HISTORY {
                0 => Versions::Newest,
                // The history of a disk may begin anywhere before its first row: kv_engine leaves
                // out the marker of what was before where there is no row of it.
                _ if self.snapshot_from_disk && seqno > last.next() => Versions::AllFromHere,
                _ => Versions::All,
            };
            self.answer_at = (marker.flags & marker_flags::ACK != 0).then_some(end);
            self.prepares.begin_snapshot(&marker);
        }
        self.last_seqno = seqno;
        Ok(())
    }
}
