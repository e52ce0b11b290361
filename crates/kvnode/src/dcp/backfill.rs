//! Disk reads for streams: one chunk at a time on a blocking thread, which encodes it too.

use std::sync::Arc;

use bytes::BytesMut;
use mcbp::{Seqno, VbId};
use tokio::sync::Semaphore;
use vbucket::collections::{StreamFilter, VbCollections};
use vbucket::producer::{
    Chunk, DiskRead, DiskSnapshot, EncodeError, ReadEnd, RowEncoder, Selection, StreamId,
};
use vbucket::store::{Scan, ScanEnd, ScanStep, SharedStore, StoreError};
use vbucket::{Row, VbMeta};

use super::out_of_order;
use crate::bucket::collections_from_rows;

/// How many rows that a stream does not have one read passes: other streams read meanwhile.
const PASSED_MAX: usize = 50_000;

/// A chunk to read.
pub(super) struct ReadChunk {
    pub(super) vb: VbId,
    pub(super) stream: StreamId,
    pub(super) start: Seqno,
    pub(super) encoder: RowEncoder,
    pub(super) filter: StreamFilter,
    /// A row whose frame is larger is not read; it ends the chunk.
    pub(super) row_bytes_max: usize,
    /// The scan to continue; `None` opens one.
    pub(super) scan: Option<Box<OpenScan>>,
}

/// A scan that has begun.
pub(super) struct OpenScan {
    scan: Box<dyn Scan>,
    selection: Selection,
    /// See [`DiskSnapshot::out_of_order`].
    out_of_order: bool,
    /// See [`DiskSnapshot::history_start`].
    history_start: Option<Seqno>,
}

impl OpenScan {
    fn begin(
        store: &SharedStore,
        vb: VbId,
        start: Seqno,
        filter: StreamFilter,
        encoder: &RowEncoder,
    ) -> Result<Box<Self>, StoreError> {
        if let Some(id) = encoder.out_of_order(&filter, start)
            && let Some(scan) = out_of_order::open(store, vb, id)?
        {
            let selection = Selection { filter, there: VbCollections::default() };
            let (out_of_order, history_start) = (true, None);
            return Ok(Box::new(Self { scan, selection, out_of_order, history_start }));
        }
        let versions = encoder.wants_versions();
        let scan = if versions {
            store.scan_versions(vb, start)?
        } else {
            store.scan(vb, start, Seqno::MAX)?
        };
        let start = scan.meta().history_start;
        let history_start = (versions && start > Seqno::ZERO).then_some(start);
        // After the scan has begun, and from the disk: what is visible may be behind the scan.
        let there = match filter {
            StreamFilter::Scope(_) => collections_from_rows(store.events(vb)?)?,
            _ => VbCollections::default(),
        };
        let selection = Selection { filter, there };
        Ok(Box::new(Self { scan, selection, out_of_order: false, history_start }))
    }

    fn snapshot(&self) -> DiskSnapshot {
        let VbMeta { high_seqno, purge_seqno, durable, .. } = *self.scan.meta();
        let is_default = self.selection.filter == StreamFilter::Default;
        let marker_end = if is_default { self.scan.default_high_seqno() } else { high_seqno };
        let Self { out_of_order, history_start, .. } = *self;
        DiskSnapshot { high_seqno, marker_end, purge_seqno, durable, out_of_order, history_start }
    }
}

/// The outcome of a [`ReadChunk`].
pub(super) struct ChunkRead {
    pub(super) vb: VbId,
    pub(super) stream: StreamId,
    /// The scan, if it can be continued.
    pub(super) scan: Option<Box<OpenScan>>,
    pub(super) read: DiskRead,
}

/// Reads one chunk once it has one of the bucket's permits to read.
pub(super) async fn read(
    store: SharedStore,
    permits: Arc<Semaphore>,
    request: ReadChunk,
) -> ChunkRead {
    let (vb, stream) = (request.vb, request.stream);
    let _permit = permits.acquire().await;
    match tokio::task::spawn_blocking(move || request.read(&store)).await {
        Ok(outcome) => outcome,
        Err(gone) => ChunkRead { vb, stream, scan: None, read: failed(gone.to_string()) },
    }
}

fn failed(cause: String) -> DiskRead {
    DiskRead { snapshot: None, chunk: Chunk::default(), end: ReadEnd::Failed(cause) }
}

impl ReadChunk {
    fn read(self, store: &SharedStore) -> ChunkRead {
        let Self { vb, stream, start, encoder, filter, row_bytes_max, scan } = self;
        let (mut scan, snapshot) = match scan {
            Some(scan) => (scan, None),
            None => match OpenScan::begin(store, vb, start, filter, &encoder) {
                Ok(scan) => {
                    let snapshot = scan.snapshot();
                    (scan, Some(snapshot))
                }
                Err(error) => {
                    let read = DiskRead { end: end_of(error), ..failed(String::new()) };
                    return ChunkRead { vb, stream, scan: None, read };
                }
            },
        };
        let write = |row: &Row, out: &mut BytesMut| encoder.write(row, vb, stream.opaque, out);
        let (chunk, end) = fill_chunk(&mut scan, &encoder, row_bytes_max, write);
        let scan = matches!(end, ReadEnd::More | ReadEnd::Large(_)).then_some(scan);
        ChunkRead { vb, stream, scan, read: DiskRead { snapshot, chunk, end } }
    }
}

fn fill_chunk(
    scan: &mut OpenScan,
    encoder: &RowEncoder,
    row_bytes_max: usize,
    write: impl Fn(&Row, &mut BytesMut) -> Result<(), EncodeError>,
) -> (Chunk, ReadEnd) {
    let OpenScan { scan, selection, history_start, .. } = scan;
    let mut chunk = Chunk::with_room();
    let (mut unreadable, mut large, mut passed) = (None, None, 0);
    let end = scan.run(&mut |row| {
        let is_history = history_start.is_some_and(|start| row.seqno >= start);
        if is_history != chunk.is_history {
            if chunk.last_seqno > Seqno::ZERO {
                return ScanStep::Later;
            }
            chunk.is_history = is_history;
        }
        if !encoder.takes(&row) || !selection.has(&row) {
            chunk.pass(&row);
            passed += 1;
            return if passed < PASSED_MAX { ScanStep::More } else { ScanStep::Yield };
        }
        let bytes = encoder.frame_bytes_max(&row);
        if bytes > row_bytes_max {
            large = Some(bytes);
            return ScanStep::Later;
        }
        if let Err(error) = write(&row, &mut chunk.frames) {
            unreadable = Some(error.to_string());
            return ScanStep::Cancel;
        }
        chunk.add(&row);
        if chunk.is_full() { ScanStep::Yield } else { ScanStep::More }
    });
    let end = match (end, unreadable) {
        (_, Some(cause)) => ReadEnd::Failed(cause),
        (ScanEnd::Finished, None) => ReadEnd::Finished,
        (ScanEnd::Yielded, None) => large.map_or(ReadEnd::More, ReadEnd::Large),
        (ScanEnd::Failed(error), None) => end_of(error),
        // A scan is cancelled when its vBucket goes; that is no failure (MB-53198).
        (ScanEnd::Cancelled, None) => ReadEnd::Gone,
    };
    (chunk, end)
}

/// That a vBucket was removed is no failure of the disk (MB-53198).
fn end_of(error: StoreError) -> ReadEnd {
    match error {
        StoreError::NoVbucket(_) => ReadEnd::Gone,
        error => ReadEnd::Failed(error.to_string()),
    }
}
