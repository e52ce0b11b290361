//! A backfill: rows of a data node to frames. `rows_to_frames` is the encoding alone, as for a
//! stream from memory; `store_to_frames` reads the rows from the store first.
//!
//! The store has the rows in memory. When they are flushed and compacted is decided in the
//! background, so the cost of reading its files would differ from run to run.

use std::sync::Arc;

use gungraun::library_benchmark;
use mcbp::{Datatype, Opaque, Seqno, VbId, VbState, VbUuid};
use store::{FjallStore, Options};
use tempfile::TempDir;
use vbucket::producer::{Chunk, ProducerOptions, RowEncoder, Settings};
use vbucket::store::{Batch, Durability, ScanStep, Store};
use vbucket::{Change, FailoverTable, Kind, Replaces, Row, VbMeta};

use crate::frames::FRAMES;

const VB: VbId = VbId(1);
const OPAQUE: Opaque = Opaque(1);

#[library_benchmark]
#[bench::of_256_bytes(rows(256))]
#[bench::of_1_kib(rows(1024))]
fn rows_to_frames(rows: Vec<Row>) -> (Vec<Row>, Chunks) {
    let mut chunks = Chunks::new();
    for row in &rows {
        chunks.take(row);
    }
    (rows, chunks)
}

#[library_benchmark]
#[bench::of_256_bytes(Disk::new(256))]
#[bench::of_1_kib(Disk::new(1024))]
fn store_to_frames(disk: Disk) -> (Disk, Chunks) {
    let mut chunks = Chunks::new();
    let scan = disk.store.scan(VB, Seqno::ZERO, Seqno::MAX);
    let end = scan.map(|mut scan| {
        scan.run(&mut |row| {
            chunks.take(&row);
            ScanStep::More
        })
    });
    assert!(end.is_ok() && chunks.rows == FRAMES, "not every row was read: {end:?}");
    (disk, chunks)
}

/// The chunks of a backfill, each sent when it is full.
struct Chunks {
    encoder: RowEncoder,
    chunk: Chunk,
    rows: usize,
}

impl Chunks {
    fn new() -> Self {
        let options =
            ProducerOptions { collections: true, snappy: true, json: true, ..Default::default() };
        let encoder = RowEncoder::new(options, &Settings::default());
        Self { encoder, chunk: Chunk::with_room(), rows: 0 }
    }

    fn take(&mut self, row: &Row) {
        let written = self.encoder.write(row, VB, OPAQUE, &mut self.chunk.frames);
        self.rows += usize::from(written.is_ok());
        if self.chunk.is_full() {
            self.chunk = Chunk::with_room();
        }
    }
}

fn rows(value_bytes: usize) -> Vec<Row> {
    let row = |number: u64| Row {
        key: mcbp::key::prefixed(
            mcbp::key::DEFAULT_COLLECTION,
            format!("document-{number:06}").as_bytes(),
        ),
        seqno: Seqno(number),
        rev: 1,
        cas: number << 16,
        datatype: Datatype::JSON,
        kind: Kind::Document { flags: 0, expiry: 0 },
        prepared: Seqno::ZERO,
        value: vec![b'v'; value_bytes].into(),
    };
    (1..=FRAMES as u64).map(row).collect()
}

/// A store with one vBucket.
struct Disk {
    store: FjallStore,
    _folder: TempDir,
}

impl Disk {
    fn new(value_bytes: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = FjallStore::open(folder.path(), Options::default()).expect("a new store");
        let rows = rows(value_bytes);
        let change = |row| Change {
            vb: VB,
            row: Arc::new(row),
            replaces: Replaces::Unknown,
            completes: None,
            keeps_before: Seqno::ZERO,
        };
        let batch = Batch { changes: rows.into_iter().map(change).collect(), metas: vec![meta()] };
        store.commit(&batch, Durability::Buffered).expect("a commit");
        Self { store, _folder: folder }
    }
}

fn meta() -> VbMeta {
    let high = Seqno(FRAMES as u64);
    VbMeta {
        vb: VB,
        state: VbState::Active,
        failover: FailoverTable::new(VbUuid(7)),
        high_seqno: high,
        snapshot_start: high,
        snapshot_end: high,
        purge_seqno: Seqno::ZERO,
        max_cas: high.0 << 16,
        max_deleted_rev: 0,
        durable: Default::default(),
        history_start: Seqno::ZERO,
        topology: String::new(),
    }
}
