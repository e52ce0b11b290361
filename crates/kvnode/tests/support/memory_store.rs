//! A store in memory with faults: commits that fail or wait, reads that fail, stops without close.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use bytes::Bytes;
use mcbp::{Seqno, VbId};
use vbucket::collections::{SystemEvent, VbCollection, VbCollections};
use vbucket::store::{
    Batch, CollectionCounts, Durability, PartError, PurgeRule, PurgeStep, Scan, ScanEnd, ScanStep,
    Scope, Store,
};
use vbucket::{Change, Kind, Replaces, Row, StoreError, VbMeta};

/// What survives the node.
#[derive(Default)]
pub struct Disk {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    metas: BTreeMap<VbId, VbMeta>,
    rows: HashMap<(VbId, Bytes), Row>,
    manifest: Option<Vec<u8>>,
    clean: bool,
    commits: Vec<(usize, Durability)>,
    /// The name of the thread whose commit began last.
    committer: String,
    commit_error: Option<StoreError>,
    /// The next so many commits with a row of this vBucket fail for it.
    part_errors: Option<(VbId, usize)>,
    read_error: Option<StoreError>,
    held: bool,
    /// The next look-up of a document waits with what it has found.
    next_look_is_held: bool,
    looks_waiting: usize,
    waiting: usize,
    lookups: usize,
}

impl State {
    fn events(&self, vb: VbId) -> Vec<Row> {
        let of_vb = self.rows.iter().filter(|((of, _), _)| *of == vb).map(|(_, row)| row);
        of_vb.filter(|row| matches!(row.kind, Kind::Event { .. })).cloned().collect()
    }

    fn collections(&self, vb: VbId) -> VbCollections {
        self.collections_after(vb, &[])
    }

    /// The collections once `changes` are committed.
    fn collections_after(&self, vb: VbId, changes: &[Change]) -> VbCollections {
        let new = changes.iter().filter(|change| change.vb == vb).map(|change| &change.row);
        let new = new.filter(|row| matches!(row.kind, Kind::Event { .. }));
        let events = self.events(vb).into_iter().chain(new.map(|row| Row::clone(row)));
        let events = events.map(|row| {
            let is_end = matches!(row.kind, Kind::Event { is_end: true });
            (row.seqno, SystemEvent::from_row(&row.key, is_end, &row.value).unwrap())
        });
        VbCollections::from_events(events)
    }

    fn counts(&self, vb: VbId) -> Vec<CollectionCounts> {
        let there = self.collections(vb);
        let counts = |(id, known): (u32, &VbCollection)| {
            let rows = self.rows.iter().filter(|((of, key), row)| {
                let is_within = mcbp::key::split(key).unwrap().0 == id;
                *of == vb && is_within && there.shows(key, row.seqno)
            });
            let rows: Vec<_> = rows.map(|(_, row)| row).collect();
            let high_seqno = rows.iter().map(|row| row.seqno).max();
            let items = rows.iter().filter(|row| row.is_alive()).count() as u64;
            let high_seqno = high_seqno.unwrap_or(known.start).max(known.start);
            CollectionCounts { id, high_seqno, items }
        };
        there.iter().map(counts).collect()
    }
}

impl Disk {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Commits fail until this is called with `None`.
    pub fn fail_commits(&self, error: Option<StoreError>) {
        self.lock().commit_error = error;
    }

    /// The next `count` commits with a row of the vBucket fail for this vBucket alone.
    pub fn fail_vbucket(&self, vb: u16, count: usize) {
        self.lock().part_errors = Some((VbId(vb), count));
    }

    /// The store does not have the vBucket any more; its node does not know yet.
    pub fn forget(&self, vb: u16) {
        self.lock().metas.remove(&VbId(vb));
    }

    pub fn fail_reads(&self, error: Option<StoreError>) {
        self.lock().read_error = error;
    }

    /// Commits wait until [`Disk::release`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    pub fn release(&self) {
        self.lock().held = false;
        self.released.notify_all();
    }

    /// The next look-up of a document waits with what it has found until [`Disk::release_look`].
    pub fn hold_next_look(&self) {
        self.lock().next_look_is_held = true;
    }

    /// Whether one waits.
    pub fn is_looking(&self) -> bool {
        self.lock().looks_waiting > 0
    }

    pub fn release_look(&self) {
        self.lock().looks_waiting = 0;
        self.released.notify_all();
    }

    /// How many commits wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// How many rows each commit had.
    pub fn commits(&self) -> Vec<usize> {
        self.lock().commits.iter().map(|(rows, _)| *rows).collect()
    }

    /// The name of the thread whose commit began last.
    pub fn committer(&self) -> String {
        self.lock().committer.clone()
    }

    /// For how many rows it was unknown what they replace.
    pub fn lookups(&self) -> usize {
        self.lock().lookups
    }

    pub fn last_durability(&self) -> Option<Durability> {
        self.lock().commits.last().map(|(_, durability)| *durability)
    }

    pub fn meta(&self, vb: u16) -> Option<VbMeta> {
        self.lock().metas.get(&VbId(vb)).cloned()
    }

    pub fn put_meta(&self, meta: VbMeta) {
        self.lock().metas.insert(meta.vb, meta);
    }
}

/// A disk that answers again when this is dropped: a node does not end before.
pub struct Frozen(Arc<Disk>);

impl Frozen {
    /// Of a disk on which somebody waits, or will.
    pub fn new(disk: &Arc<Disk>) -> Self {
        Self(Arc::clone(disk))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.release();
        self.0.release_look();
    }
}

pub struct MemoryStore {
    disk: Arc<Disk>,
    was_clean: bool,
}

impl MemoryStore {
    pub fn open(disk: &Arc<Disk>) -> Self {
        let was_clean = std::mem::replace(&mut disk.lock().clean, false);
        Self { disk: Arc::clone(disk), was_clean }
    }

    fn read(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.disk.lock();
        state.read_error.clone().map_or(Ok(state), Err)
    }
}

impl Store for MemoryStore {
    fn load(&self) -> Result<Vec<VbMeta>, StoreError> {
        Ok(self.read()?.metas.values().cloned().collect())
    }

    fn was_clean(&self) -> bool {
        self.was_clean
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let mut state = self.disk.lock();
        state.committer = std::thread::current().name().unwrap_or_default().to_owned();
        state.waiting += 1;
        while state.held {
            state = self.disk.released.wait(state).unwrap();
        }
        state.waiting -= 1;
        if let Some(error) = state.commit_error.clone() {
            return Err(error);
        }
        if let Some((vb, count @ 1..)) = &mut state.part_errors
            && batch.changes.iter().any(|change| change.vb == *vb)
        {
            *count -= 1;
            let (what, detail) = (format!("{vb} seqno 1"), "told to fail".to_owned());
            let error = StoreError::Damaged { what, detail };
            let part = PartError { vb: *vb, scope: Scope::Row, error };
            // As if two of its rows were at fault.
            return Err(StoreError::Parts(vec![part.clone(), part]));
        }
        let mut met = HashMap::new();
        for (at, change) in batch.changes.iter().enumerate() {
            let key = (change.vb, change.row.key.clone());
            let stored = state.rows.get(&key).map(|row| row.seqno);
            let collections = state.collections_after(change.vb, &batch.changes[..at]);
            let stored = stored.filter(|seqno| collections.shows(&key.1, *seqno));
            let older = met.insert(key, change.row.seqno).or(stored);
            let known = match &change.replaces {
                Replaces::Nothing => None,
                Replaces::Row(row) => Some(row.seqno),
                Replaces::Unknown => {
                    state.lookups += 1;
                    continue;
                }
            };
            assert_eq!(known, older, "it replaces another row: {change:?}");
        }
        for change in &batch.changes {
            if let Some(prepare) = &change.completes {
                let gone = state.rows.remove(&(change.vb, prepare.key.clone()));
                assert_eq!(gone.map(|row| row.seqno), Some(prepare.seqno), "{change:?}");
            }
            state.rows.insert((change.vb, change.row.key.clone()), Row::clone(&change.row));
        }
        for meta in &batch.metas {
            state.metas.insert(meta.vb, meta.clone());
        }
        state.commits.push((batch.changes.len(), durability));
        Ok(())
    }

    fn get(&self, vb: VbId, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let mut state = self.read()?;
        let found = state.rows.get(&(vb, Bytes::copy_from_slice(key))).cloned();
        let found = found.filter(|row| state.collections(vb).shows(key, row.seqno));
        if std::mem::take(&mut state.next_look_is_held) {
            state.looks_waiting += 1;
            while state.looks_waiting > 0 {
                state = self.disk.released.wait(state).unwrap();
            }
        }
        Ok(found)
    }

    fn scan(&self, vb: VbId, start: Seqno, end: Seqno) -> Result<Box<dyn Scan>, StoreError> {
        let state = self.read()?;
        let meta = state.metas.get(&vb).cloned().ok_or(StoreError::NoVbucket(vb))?;
        let of_vb = state.rows.iter().filter(|((of, _), _)| *of == vb).map(|(_, row)| row.clone());
        let there = state.collections(vb);
        let of_vb = of_vb.filter(|row| there.shows(row.document_key(), row.seqno));
        let mut rows: Vec<Row> = of_vb.filter(|r| start <= r.seqno && r.seqno <= end).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.seqno));
        Ok(Box::new(MemoryScan { rows, meta }))
    }

    fn scan_keys(&self, vb: VbId, start: &[u8], end: &[u8]) -> Result<Box<dyn Scan>, StoreError> {
        let state = self.read()?;
        let meta = state.metas.get(&vb).cloned().ok_or(StoreError::NoVbucket(vb))?;
        let there = state.collections(vb);
        let is_wanted = |(of, key): &(VbId, Bytes), row: &Row| {
            *of == vb && start <= key && key < end && there.shows(key, row.seqno)
        };
        let wanted = state.rows.iter().filter(|(at, row)| is_wanted(at, row));
        let mut rows: Vec<Row> = wanted.map(|(_, row)| row.clone()).collect();
        rows.sort_by(|a, b| b.key.cmp(&a.key));
        Ok(Box::new(MemoryScan { rows, meta }))
    }

    fn keys(&self, vb: VbId, from: &[u8], most: usize) -> Result<Vec<Bytes>, StoreError> {
        let state = self.read()?;
        let there = state.collections(vb);
        let id = |key: &[u8]| mcbp::key::split(key).map(|(id, _)| id);
        let is_wanted = |(of, key): &(VbId, Bytes), row: &Row| {
            let is_within = *of == vb && id(key) == id(from) && key.as_ref() >= from;
            is_within && row.is_alive() && there.shows(key, row.seqno)
        };
        let wanted = state.rows.iter().filter(|(at, row)| is_wanted(at, row));
        let mut keys: Vec<_> = wanted.map(|((_, key), _)| key.clone()).collect();
        keys.sort_unstable();
        keys.truncate(most);
        Ok(keys)
    }

    fn item_count(&self, vb: VbId) -> Result<u64, StoreError> {
        let state = self.read()?;
        state.metas.get(&vb).ok_or(StoreError::NoVbucket(vb))?;
        Ok(state.counts(vb).iter().map(|counts| counts.items).sum())
    }

    fn events(&self, vb: VbId) -> Result<Vec<Row>, StoreError> {
        Ok(self.read()?.events(vb))
    }

    fn prepares(&self, vb: VbId) -> Result<Vec<Row>, StoreError> {
        let state = self.read()?;
        let of_vb = state.rows.iter().filter(|((of, _), _)| *of == vb).map(|(_, row)| row);
        Ok(of_vb.filter(|row| matches!(row.kind, Kind::Prepared { .. })).cloned().collect())
    }

    fn collections(&self, vb: VbId) -> Result<Vec<CollectionCounts>, StoreError> {
        let state = self.read()?;
        state.metas.get(&vb).ok_or(StoreError::NoVbucket(vb))?;
        Ok(state.counts(vb))
    }

    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read()?.manifest.clone())
    }

    fn put_manifest(&self, text: &[u8]) -> Result<(), StoreError> {
        let mut state = self.disk.lock();
        if let Some(error) = state.commit_error.clone() {
            return Err(error);
        }
        state.manifest = Some(text.to_vec());
        Ok(())
    }

    fn rollback(&self, vb: VbId, to: Seqno) -> Result<VbMeta, StoreError> {
        let mut state = self.read()?;
        state.rows.retain(|(of, _), row| *of != vb || row.seqno <= to);
        let meta = state.metas.get_mut(&vb).ok_or(StoreError::NoVbucket(vb))?;
        (meta.high_seqno, meta.snapshot_start, meta.snapshot_end) = (to, to, to);
        Ok(meta.clone())
    }

    fn remove(&self, vb: VbId) -> Result<(), StoreError> {
        let mut state = self.disk.lock();
        state.metas.remove(&vb);
        state.rows.retain(|(of, _), _| *of != vb);
        Ok(())
    }

    fn purge(&self, vb: VbId, rule: &PurgeRule, _from: &[u8]) -> Result<PurgeStep, StoreError> {
        let mut state = self.disk.lock();
        let high = state.metas.get(&vb).ok_or(StoreError::NoVbucket(vb))?.high_seqno;
        let (mut dropped, mut purge_seqno) = (0, Seqno::ZERO);
        state.rows.retain(|(of, _), row| {
            let at = match row.kind {
                Kind::Deleted { at } | Kind::Expired { at } => at,
                Kind::Aborted { at } => at,
                Kind::Document { .. } | Kind::Event { .. } | Kind::Prepared { .. } => return true,
            };
            let goes = *of == vb && row.seqno < high && rule.covers(row.seqno, at);
            dropped += u64::from(goes);
            purge_seqno = purge_seqno.max(if goes { row.seqno } else { Seqno::ZERO });
            !goes
        });
        let meta = state.metas.get_mut(&vb).ok_or(StoreError::NoVbucket(vb))?;
        meta.purge_seqno = meta.purge_seqno.max(purge_seqno);
        Ok(PurgeStep { dropped, purge_seqno: meta.purge_seqno, next: None })
    }

    fn close(&self) -> Result<(), StoreError> {
        self.disk.lock().clean = true;
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.disk.lock().rows.values().map(|row| row.memory_bytes() as u64).sum()
    }

    fn memory_bytes(&self) -> u64 {
        0
    }
}

struct MemoryScan {
    /// The last one first.
    rows: Vec<Row>,
    meta: VbMeta,
}

impl Scan for MemoryScan {
    fn run(&mut self, each: &mut dyn FnMut(Row) -> ScanStep) -> ScanEnd {
        while let Some(row) = self.rows.pop() {
            let again = row.clone();
            match each(row) {
                ScanStep::More => {}
                ScanStep::Yield => return ScanEnd::Yielded,
                ScanStep::Later => {
                    self.rows.push(again);
                    return ScanEnd::Yielded;
                }
                ScanStep::Cancel => return ScanEnd::Cancelled,
            }
        }
        ScanEnd::Finished
    }

    fn meta(&self) -> &VbMeta {
        &self.meta
    }

    fn default_high_seqno(&self) -> Seqno {
        let of_default = self.rows.iter().filter(|row| row.key.first() == Some(&0));
        of_default.map(|row| row.seqno).max().unwrap_or(Seqno::ZERO)
    }
}
