//! Rows, records and batches for tests, a scan of everything, and a wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcbp::key::{DEFAULT_COLLECTION, prefixed};
use mcbp::{Datatype, Seqno, VbId, VbState, VbUuid};
use vbucket::collections::{Change as Event, Collection, SystemEvent};
use vbucket::row::prepared_key;
use vbucket::store::{Batch, ScanEnd, ScanStep, Store};
use vbucket::{Change, FailoverTable, Kind, Replaces, Row, StoreError, VbMeta};

pub(crate) fn meta(vb: u16, high: u64) -> VbMeta {
    VbMeta {
        vb: VbId(vb),
        state: VbState::Active,
        failover: FailoverTable::new(VbUuid(7)),
        high_seqno: Seqno(high),
        snapshot_start: Seqno(high),
        snapshot_end: Seqno(high),
        purge_seqno: Seqno(0),
        max_cas: high,
        max_deleted_rev: 0,
        durable: Default::default(),
        history_start: Seqno::ZERO,
        topology: String::new(),
    }
}

/// A document of the default collection, of `len` bytes, which depend on its seqno and their
/// offset.
pub(crate) fn document(key: &str, seqno: u64, len: usize) -> Row {
    let value: Vec<u8> = (0..len).map(|at| (at as u64 * 31 + seqno * 7) as u8).collect();
    Row {
        key: prefixed(DEFAULT_COLLECTION, key.as_bytes()),
        seqno: Seqno(seqno),
        rev: seqno + 1,
        cas: seqno << 16,
        datatype: Datatype::JSON,
        kind: Kind::Document { flags: 0xdead_beef, expiry: 9 },
        prepared: Seqno::ZERO,
        value: value.into(),
    }
}

#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn deletion(key: &str, seqno: u64) -> Row {
    let kind = Kind::Deleted { at: 5 };
    Row { kind, value: Bytes::new(), datatype: Datatype::RAW, ..document(key, seqno, 0) }
}

/// The event with which a collection begins, or begins anew.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn begin(id: u32, seqno: u64) -> Row {
    let (name, max_ttl, history) = (format!("c{id}"), None, false);
    let collection = Collection { scope: 0, name, max_ttl, history, metered: false, flush_uid: 0 };
    SystemEvent { uid: seqno, change: Event::Begin { id, collection } }.row(Seqno(seqno))
}

/// The event with which it ends.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn end(id: u32, seqno: u64) -> Row {
    let change = Event::End { id, scope: 0, is_system: false };
    SystemEvent { uid: seqno, change }.row(Seqno(seqno))
}

/// A document of another collection than the default one.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn within(id: u32, row: Row) -> Row {
    let (_, name) = mcbp::key::split(&row.key).unwrap();
    Row { key: prefixed(id, name), ..row }
}

/// A batch for one vBucket, with a record that ends a snapshot.
pub(crate) fn batch(vb: u16, rows: Vec<Row>) -> Batch {
    let high = rows.last().map_or(0, |row| row.seqno.0);
    let (vb_id, replaces) = (VbId(vb), Replaces::Unknown);
    let change = |row| {
        let (row, replaces) = (Arc::new(row), replaces.clone());
        Change { vb: vb_id, row, replaces, completes: None, keeps_before: Seqno::ZERO }
    };
    Batch { changes: rows.into_iter().map(change).collect(), metas: vec![meta(vb, high)] }
}

/// Waits until `done`, which happens in the background.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn scan(store: &dyn Store, vb: u16) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    let mut scan = store.scan(VbId(vb), Seqno(0), Seqno::MAX)?;
    match scan.run(&mut |row| {
        rows.push(row);
        ScanStep::More
    }) {
        ScanEnd::Finished => Ok(rows),
        ScanEnd::Failed(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

/// What a store holds at the end of a history: the newest row of each key, in seqno order. A change
/// of a document completes its prepare.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn newest(history: &[Row]) -> Vec<Row> {
    let mut by_key: BTreeMap<_, _> = BTreeMap::new();
    for row in history {
        let prepare = prepared_key(&row.key);
        let is_prepared = |row: &&Row| matches!(row.kind, Kind::Prepared { .. });
        if row.is_visible() && by_key.get(&prepare).is_some_and(is_prepared) {
            by_key.remove(&prepare);
        }
        by_key.insert(row.key.clone(), row);
    }
    let mut rows: Vec<_> = by_key.into_values().cloned().collect();
    rows.sort_by_key(|row| row.seqno);
    rows
}
