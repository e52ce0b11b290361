//! The store: its interface, and reading; `open` opens it, `commit` and `rollback` write.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fjall::{Readable, Snapshot};
use mcbp::{Seqno, VbId};
use vbucket::store::{Batch, Durability, PurgeRule, PurgeStep, Scan, Store};
use vbucket::{Row, StoreError, VbMeta};

use crate::errors::{damaged, reading};
use crate::format::{Latest, decode_row};
use crate::janitor::Janitor;
use crate::keys::{self, Life};
use crate::open::{self, DATA, Opened};
use crate::options::Options;
use crate::record::VbRecord;
use crate::scan::{RowScan, Rows};
use crate::sidefile::DirectoryLock;
use crate::space::Space;
use crate::suspects;
use crate::tables::Tables;
use crate::values::{Files, Reader, Values};
use crate::writer::Writer;

/// vBuckets on fjall, in one directory that one process has open at a time.
///
/// Dropped without [`Store::close`] it counts as an unclean stop. Damage that merging tables in the
/// background comes upon stops all writing ([`StoreError::Poisoned`]); reading goes on.
pub struct FjallStore {
    // The order is the order of dropping: the janitor first, the lock last.
    janitor: Janitor,
    pub(crate) core: Arc<Core>,
    was_clean: bool,
    _lock: DirectoryLock,
}

/// What the store and its janitor share.
pub(crate) struct Core {
    pub tables: Tables,
    pub options: Options,
    pub space: Space,
    pub values: Arc<Values>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) records: RwLock<HashMap<VbId, Arc<VbRecord>>>,
    /// How many steps of rollbacks there were: each may give a row back that was replaced.
    pub(crate) restores: AtomicU64,
}

/// Everything of one moment.
struct View {
    snapshot: Snapshot,
    files: Files,
}

impl FjallStore {
    /// Opens the store in `dir`, and creates it where there is none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where what was synced is not there or not readable;
    /// [`StoreError::Io`] where another process has the directory, another version wrote it, or
    /// the disk refuses.
    pub fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        let opened = open::files(dir, options);
        let Opened { core, was_clean, lock } =
            opened.map_err(|error| suspects::named(error, &dir.join(DATA)))?;
        let core = Arc::new(core);
        let janitor = Janitor::start(&core)?;
        Ok(Self { janitor, core, was_clean, _lock: lock })
    }
}

pub(crate) fn decode_record(vb: VbId, bytes: &[u8]) -> Result<VbRecord, StoreError> {
    VbRecord::decode(vb, bytes).map_err(|flaw| damaged(format!("the record of {vb}"), flaw))
}

impl Core {
    /// The writer, for one commit or one step of a longer change.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic while it was held ends the process in release; a test may see the rest of it.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, vb: VbId) -> Option<Arc<VbRecord>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).get(&vb).cloned()
    }

    /// How many documents there are in all vBuckets.
    pub(crate) fn item_count(&self) -> u64 {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        records.values().map(|record| record.items).sum()
    }

    /// Takes over what was committed. Called with the writer held, so that readers and the disk
    /// agree on the order.
    pub(crate) fn publish(&self, records: impl IntoIterator<Item = VbRecord>) {
        let mut shared = self.records.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            shared.insert(record.meta.vb, Arc::new(record));
        }
    }

    pub(crate) fn withdraw(&self, vb: VbId) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).remove(&vb);
    }

    /// Whole commits, and the files of all values that their rows name.
    fn view(&self) -> View {
        loop {
            let view = self.values.with(|files| {
                let snapshot = self.tables.snapshot()?;
                Some(View { snapshot, files: Arc::clone(files) })
            });
            if let Some(view) = view {
                return view;
            }
            // Wait for the commit that is being made.
            drop(self.writer());
        }
    }

    fn get(&self, vb: VbId, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let Some(record) = self.record(vb) else { return Ok(None) };
        let life = Life { vb, generation: record.generation };
        // One snapshot for both reads: a commit between them may move the row.
        let View { snapshot, files } = self.view();
        let entry_key = life.document(key);
        let what = || format!("the key entry of a document in {vb}");
        let entry = snapshot.get(&self.tables.keys, &entry_key).map_err(|e| reading(what, &e))?;
        let Some(entry) = entry else { return Ok(None) };
        let latest = Latest::decode(&entry_key, &entry).map_err(|flaw| damaged(what(), flaw))?;
        let what = || format!("{vb} seqno {}", latest.seqno);
        let row = snapshot
            .get(&self.tables.rows, life.row(latest.seqno))
            .map_err(|e| reading(what, &e))?
            .ok_or_else(|| damaged(what(), "the row is missing"))?;
        let (mut row, apart) =
            decode_row(vb, latest.seqno, row).map_err(|flaw| damaged(what(), flaw))?;
        if row.key != key {
            return Err(damaged(what(), "the row is of another key than its entry"));
        }
        if let Some(place) = apart {
            row.value = Reader::new(files).read(place)?;
        }
        Ok(Some(row))
    }

    fn scan(&self, vb: VbId, start: Seqno, end: Seqno) -> Result<Box<dyn Scan>, StoreError> {
        let View { snapshot, files } = self.view();
        let bytes = snapshot
            .get(&self.tables.meta, keys::record(vb))
            .map_err(|e| reading(|| format!("the record of {vb}"), &e))?
            .ok_or(StoreError::NoVbucket(vb))?;
        let record = decode_record(vb, &bytes)?;
        let life = Life { vb, generation: record.generation };
        let rows = Rows { snapshot, table: self.tables.rows.clone(), life, end };
        Ok(Box::new(RowScan::new(record.meta, rows, Reader::new(files), start)))
    }
}

impl Store for FjallStore {
    fn load(&self) -> Result<Vec<VbMeta>, StoreError> {
        let records = self.core.records.read().unwrap_or_else(PoisonError::into_inner);
        Ok(records.values().map(|record| record.meta.clone()).collect())
    }

    fn was_clean(&self) -> bool {
        self.was_clean
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let crossed = self.core.commit(batch, durability)?;
        self.janitor.trim(crossed);
        Ok(())
    }

    fn get(&self, vb: VbId, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.core.get(vb, key)
    }

    fn scan(&self, vb: VbId, start: Seqno, end: Seqno) -> Result<Box<dyn Scan>, StoreError> {
        self.core.scan(vb, start, end)
    }

    fn item_count(&self, vb: VbId) -> Result<u64, StoreError> {
        self.core.record(vb).map(|record| record.items).ok_or(StoreError::NoVbucket(vb))
    }

    fn rollback(&self, vb: VbId, to: Seqno) -> Result<VbMeta, StoreError> {
        let (meta, ended) = self.core.rollback(vb, to)?;
        self.janitor.remove(ended);
        Ok(meta)
    }

    fn remove(&self, vb: VbId) -> Result<(), StoreError> {
        let ended = self.core.remove(vb)?;
        self.janitor.remove(ended);
        Ok(())
    }

    fn purge(&self, vb: VbId, rule: &PurgeRule, from: &[u8]) -> Result<PurgeStep, StoreError> {
        let step = self.core.purge_step(vb, rule, from)?;
        self.janitor.purged(vb, &step);
        Ok(step)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.janitor.stop();
        self.core.writer().close()
    }

    fn disk_bytes(&self) -> u64 {
        self.core.tables.db.disk_space().unwrap_or(0) + self.core.values.disk_bytes()
    }

    fn memory_bytes(&self) -> u64 {
        let db = &self.core.tables.db;
        db.cache_size() + db.write_buffer_size()
    }
}
