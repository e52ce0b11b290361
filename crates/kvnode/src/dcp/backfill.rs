//! Disk reads for streams: one chunk at a time on a blocking thread, which encodes it too.

use std::sync::Arc;

use mcbp::{Opaque, Seqno, VbId};
use tokio::sync::Semaphore;
use vbucket::producer::{Chunk, DiskRead, DiskSnapshot, ReadEnd, RowEncoder, StreamId};
use vbucket::store::{Scan, ScanEnd, ScanStep, SharedStore, StoreError};

/// A chunk to read.
pub(super) struct ReadChunk {
    pub(super) vb: VbId,
    pub(super) stream: StreamId,
    pub(super) start: Seqno,
    pub(super) encoder: RowEncoder,
    /// A row whose frame is larger is not read; it ends the chunk.
    pub(super) row_bytes_max: usize,
    /// The scan to continue; `None` opens one.
    pub(super) scan: Option<Box<dyn Scan>>,
}

/// The outcome of a [`ReadChunk`].
pub(super) struct ChunkRead {
    pub(super) vb: VbId,
    pub(super) stream: StreamId,
    /// The scan, if it can be continued.
    pub(super) scan: Option<Box<dyn Scan>>,
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
        let Self { vb, stream, start, encoder, row_bytes_max, scan } = self;
        let (mut scan, snapshot) = match scan {
            Some(scan) => (scan, None),
            None => match store.scan(vb, start, Seqno::MAX) {
                Ok(scan) => {
                    let (high_seqno, purge_seqno) =
                        (scan.meta().high_seqno, scan.meta().purge_seqno);
                    (scan, Some(DiskSnapshot { high_seqno, purge_seqno }))
                }
                Err(error) => {
                    let read = DiskRead { end: end_of(error), ..failed(String::new()) };
                    return ChunkRead { vb, stream, scan: None, read };
                }
            },
        };
        let (chunk, end) = fill_chunk(scan.as_mut(), &encoder, row_bytes_max, vb, stream.opaque);
        let scan = matches!(end, ReadEnd::More | ReadEnd::Large(_)).then_some(scan);
        ChunkRead { vb, stream, scan, read: DiskRead { snapshot, chunk, end } }
    }
}

fn fill_chunk(
    scan: &mut dyn Scan,
    encoder: &RowEncoder,
    row_bytes_max: usize,
    vb: VbId,
    stream: Opaque,
) -> (Chunk, ReadEnd) {
    let mut chunk = Chunk::with_room();
    let (mut unreadable, mut large) = (None, None);
    let end = scan.run(&mut |row| {
        let bytes = encoder.frame_bytes_max(&row);
        if bytes > row_bytes_max {
            large = Some(bytes);
            return ScanStep::Later;
        }
        if let Err(error) = encoder.write(&row, vb, stream, &mut chunk.frames) {
            unreadable = Some(error.to_string());
            return ScanStep::Cancel;
        }
        chunk.last_seqno = row.seqno;
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
