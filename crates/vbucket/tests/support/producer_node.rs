//! The vBuckets of the producer's bench: a memory log, and a disk with scans.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mcbp::dcp::FailoverEntry;
use mcbp::{Datatype, Seqno, VbId, VbState, VbUuid};
use vbucket::collections::{StreamFilter, SystemEvent, VbCollections};
use vbucket::producer::{
    Chunk, DiskRead, DiskSnapshot, LogRead, ReadEnd, RowEncoder, Selection, Source, StreamId,
};
use vbucket::row::prepared_key;
use vbucket::stream_req::VbFacts;
use vbucket::{DurableSeqnos, FailoverTable, Kind, Row};

/// A vBucket with a memory log above `floor`; the disk has the newest row of each key.
pub(crate) struct Copy {
    pub(crate) state: VbState,
    pub(crate) rows: Vec<Arc<Row>>,
    pub(crate) floor: u64,
    pub(crate) purge: u64,
    /// Where the change history begins; 0 for none.
    pub(crate) history_start: u64,
}

impl Copy {
    /// What is on disk: the newest row of each key that its collection shows, without prepares
    /// that are completed.
    pub(crate) fn newest(&self) -> BTreeMap<Bytes, Arc<Row>> {
        let mut newest = BTreeMap::new();
        for row in &self.rows {
            let is_commit = row.prepared > Seqno::ZERO && row.is_visible();
            let mut stored = Arc::clone(row);
            if is_commit {
                newest.remove(&prepared_key(&row.key));
                Arc::make_mut(&mut stored).prepared = Seqno::ZERO;
            }
            newest.insert(row.key.clone(), stored);
        }
        let there = self.collections();
        newest.retain(|_, row| is_event(row) || there.shows(row.document_key(), row.seqno));
        newest
    }

    /// The rows of the change history, the newest ones too.
    pub(crate) fn versions(&self, start: Seqno) -> Vec<Arc<Row>> {
        let there = self.collections();
        let is_kept = |row: &&Arc<Row>| {
            let is_shown = there.shows(row.document_key(), row.seqno);
            row.seqno >= start && !is_event(row) && there.keeps_before(row) > row.seqno && is_shown
        };
        let stored = |row: &Arc<Row>| Arc::new(Row { prepared: Seqno::ZERO, ..Row::clone(row) });
        self.rows.iter().filter(is_kept).map(stored).collect()
    }

    pub(crate) fn collections(&self) -> VbCollections {
        let mut there = VbCollections::default();
        self.rows.iter().for_each(|row| follow(&mut there, row));
        there
    }

    fn default_high_seqno(&self) -> Seqno {
        let is_default = |row: &&Arc<Row>| !is_event(row) && row.is_visible() && row.key[0] == 0;
        self.rows.iter().rev().find(is_default).map_or(Seqno::ZERO, |row| row.seqno)
    }

    pub(crate) fn durable(&self) -> DurableSeqnos {
        let mut durable = DurableSeqnos::default();
        self.rows.iter().for_each(|row| durable.follow(row));
        durable
    }
}

#[derive(Default)]
pub(crate) struct Node(pub(crate) RefCell<BTreeMap<VbId, Copy>>);

impl Node {
    pub(crate) fn put(&self, vb: u16) {
        let copy =
            Copy { state: VbState::Active, rows: Vec::new(), floor: 0, purge: 0, history_start: 0 };
        self.0.borrow_mut().insert(VbId(vb), copy);
    }

    pub(crate) fn with<T>(&self, vb: VbId, change: impl FnOnce(&mut Copy) -> T) -> T {
        change(self.0.borrow_mut().get_mut(&vb).unwrap())
    }

    pub(crate) fn write(&self, vb: u16, key: u8) {
        self.with(VbId(vb), |copy| {
            let seqno = Seqno(copy.rows.len() as u64 + 1);
            copy.rows.push(Arc::new(row(key, seqno)));
        });
    }
}

pub(crate) fn row(key: u8, seqno: Seqno) -> Row {
    Row {
        key: Bytes::from(format!("\0key-{key}")),
        seqno,
        rev: 1,
        cas: seqno.0,
        datatype: Datatype::RAW,
        kind: Kind::Document { flags: 0, expiry: 0 },
        prepared: Seqno::ZERO,
        value: Bytes::from(vec![b'x'; usize::from(key)]),
    }
}

/// Advances over a row that may be a system event.
pub(crate) fn follow(there: &mut VbCollections, row: &Row) {
    if let Kind::Event { is_end } = row.kind {
        there.follow(row.seqno, &SystemEvent::from_row(&row.key, is_end, &row.value).unwrap());
    }
}

pub(crate) fn is_event(row: &Row) -> bool {
    matches!(row.kind, Kind::Event { .. })
}

impl Source for Node {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        let copies = self.0.borrow();
        let copy = copies.get(&vb)?;
        let high = Seqno(copy.rows.len() as u64);
        let entry = FailoverEntry { uuid: VbUuid(1), seqno: Seqno::ZERO };
        Some(VbFacts {
            state: copy.state,
            failover: FailoverTable::from_log(&[entry]).unwrap(),
            high_seqno: high,
            snapshot_start: high,
            snapshot_end: high,
            purge_seqno: Seqno(copy.purge),
            durable: copy.durable(),
            history_start: Seqno(copy.history_start),
            collections: Arc::new(copy.collections()),
        })
    }

    fn read_log(&self, vb: VbId, after: Seqno, bytes_max: usize) -> LogRead {
        self.with(vb, |copy| {
            if after.0 < copy.floor {
                return LogRead::Evicted;
            }
            let rows = &copy.rows[after.0 as usize..];
            // Small reads, so that there are many snapshots.
            let rows = &rows[..rows.len().min(bytes_max.min(7))];
            if rows.is_empty() { LogRead::UpToDate } else { LogRead::Rows(rows.to_vec()) }
        })
    }
}

/// A scan of the disk, over the state at its start.
pub(crate) struct Scan {
    pub(crate) rows: Vec<Arc<Row>>,
    pub(crate) snapshot: Option<DiskSnapshot>,
    history_start: Option<Seqno>,
    selection: Selection,
}

impl Scan {
    pub(crate) fn open(
        copy: &Copy,
        start: Seqno,
        encoder: RowEncoder,
        filter: StreamFilter,
    ) -> Self {
        let versions = encoder.wants_versions();
        let is_end = |row: &Row| matches!(row.kind, Kind::Event { is_end: true });
        let ends = |row: &Arc<Row>| is_end(row) && filter.has(row, &VbCollections::default());
        let out_of_order = encoder.out_of_order(&filter, start).is_some()
            && !copy.rows.is_empty()
            && !copy.rows.iter().any(ends);
        let history_start =
            (versions && copy.history_start > 0).then_some(Seqno(copy.history_start));
        let older = history_start.map(|start| copy.versions(start)).unwrap_or_default();
        let rows = copy.newest().into_values().chain(older).filter(|row| row.seqno >= start);
        let rows: BTreeMap<_, _> = rows.map(|row| (row.seqno, row)).collect();
        let mut rows: Vec<_> = rows.into_values().rev().collect();
        if out_of_order {
            // Events first.
            rows.sort_by_key(|row| (!is_event(row), row.key.clone()));
            rows.reverse();
        }
        let high_seqno = Seqno(copy.rows.len() as u64);
        let marker_end = match filter {
            StreamFilter::Default => copy.default_high_seqno(),
            _ => high_seqno,
        };
        let (durable, purge_seqno) = (copy.durable(), Seqno(copy.purge));
        let snapshot = DiskSnapshot {
            high_seqno,
            marker_end,
            purge_seqno,
            durable,
            out_of_order,
            history_start,
        };
        let selection = Selection { filter, there: copy.collections() };
        Self { rows, snapshot: Some(snapshot), history_start, selection }
    }

    pub(crate) fn read(&mut self, encoder: RowEncoder, read: Read, count: usize) -> DiskRead {
        let Read { vb, stream, row_bytes_max } = read;
        let mut chunk = Chunk::default();
        for _ in 0..count {
            let Some(row) = self.rows.pop() else { break };
            let is_history = self.history_start.is_some_and(|start| row.seqno >= start);
            if is_history != chunk.is_history {
                if chunk.last_seqno > Seqno::ZERO {
                    self.rows.push(row);
                    break;
                }
                chunk.is_history = is_history;
            }
            if !encoder.takes(&row) || !self.selection.has(&row) {
                chunk.pass(&row);
                continue;
            }
            let bytes = encoder.frame_bytes_max(&row);
            if bytes > row_bytes_max {
                self.rows.push(row);
                let end = ReadEnd::Large(bytes);
                return DiskRead { snapshot: self.snapshot.take(), chunk, end };
            }
            encoder.write(&row, vb, stream.opaque, &mut chunk.frames).unwrap();
            chunk.add(&row);
            if chunk.is_full() {
                break;
            }
        }
        let end = if self.rows.is_empty() { ReadEnd::Finished } else { ReadEnd::More };
        DiskRead { snapshot: self.snapshot.take(), chunk, end }
    }
}

/// A read that the machine asked for.
#[derive(Clone, Copy)]
pub(crate) struct Read {
    pub(crate) vb: VbId,
    pub(crate) stream: StreamId,
    pub(crate) row_bytes_max: usize,
}
