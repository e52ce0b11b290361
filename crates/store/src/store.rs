//! The store: `vbucket`'s trait on top of what the other modules do.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use mcbp::{Seqno, VbId};
use vbucket::store::{
    Batch, ChangeHistory, CollectionCounts, Durability, PurgeRule, PurgeStep, Scan, Store,
};
use vbucket::{Row, StoreError, VbMeta};

use crate::collections::Collection;
use crate::core::Core;
use crate::janitor::Janitor;
use crate::open::{OpenFiles, open};
use crate::options::Options;
use crate::sidefile::DirectoryLock;

/// vBuckets on fjall, in one directory that one process has open at a time.
///
/// Dropped without [`Store::close`] it counts as an unclean stop. Damage that a compaction in the
/// background meets stops all writing ([`StoreError::Poisoned`]); reading goes on.
pub struct FjallStore {
    // Fields are dropped in this order: the janitor first, the lock last.
    pub(crate) janitor: Janitor,
    pub(crate) core: Arc<Core>,
    was_clean: bool,
    _lock: DirectoryLock,
}

impl FjallStore {
    /// Opens the store in `dir`, and creates it where there is none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where what was synced is not there or not readable;
    /// [`StoreError::Io`] where another process has the directory, another version wrote it, or
    /// the disk refuses.
    pub fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        let OpenFiles { core, ended, gone, was_clean, lock } = open(dir, options)?;
        let core = Arc::new(core);
        let janitor = Janitor::start(&core, ended, gone)?;
        Ok(Self { janitor, core, was_clean, _lock: lock })
    }
}

impl Store for FjallStore {
    fn load(&self) -> Result<Vec<VbMeta>, StoreError> {
        Ok(self.core.metas())
    }

    fn was_clean(&self) -> bool {
        self.was_clean
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        self.janitor.committed(self.core.commit(batch, durability)?);
        Ok(())
    }

    fn get(&self, vb: VbId, key: &[u8]) -> Result<Option<Row>, StoreError> {
        Ok(self.core.get_up_to(vb, key, usize::MAX)?.map(|(row, _)| row))
    }

    fn get_up_to(
        &self,
        vb: VbId,
        key: &[u8],
        value_bytes_max: usize,
    ) -> Result<Option<(Row, usize)>, StoreError> {
        self.core.get_up_to(vb, key, value_bytes_max)
    }

    fn scan(&self, vb: VbId, start: Seqno, end: Seqno) -> Result<Box<dyn Scan>, StoreError> {
        self.core.scan(vb, start, end)
    }

    fn scan_keys(&self, vb: VbId, start: &[u8], end: &[u8]) -> Result<Box<dyn Scan>, StoreError> {
        self.core.scan_keys(vb, start, end)
    }

    fn scan_versions(&self, vb: VbId, start: Seqno) -> Result<Box<dyn Scan>, StoreError> {
        self.core.scan_versions(vb, start)
    }

    fn change_history(&self, vb: VbId) -> Result<ChangeHistory, StoreError> {
        let record = self.core.record(vb).ok_or(StoreError::NoVbucket(vb))?;
        Ok(self.core.change_history(&record))
    }

    fn keys(&self, vb: VbId, from: &[u8], most: usize) -> Result<Vec<Bytes>, StoreError> {
        self.core.keys(vb, from, most)
    }

    fn item_count(&self, vb: VbId) -> Result<u64, StoreError> {
        let record = self.core.record(vb).ok_or(StoreError::NoVbucket(vb))?;
        Ok(record.collections.items())
    }

    fn events(&self, vb: VbId) -> Result<Vec<Row>, StoreError> {
        self.core.events(vb)
    }

    fn prepares(&self, vb: VbId) -> Result<Vec<Row>, StoreError> {
        self.core.prepares(vb)
    }

    fn collections(&self, vb: VbId) -> Result<Vec<CollectionCounts>, StoreError> {
        let record = self.core.record(vb).ok_or(StoreError::NoVbucket(vb))?;
        let counts =
            |(id, Collection { high, items, .. })| CollectionCounts { id, high_seqno: high, items };
        Ok(record.collections.iter().map(counts).collect())
    }

    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.core.manifest())
    }

    fn put_manifest(&self, text: &[u8]) -> Result<(), StoreError> {
        self.core.put_manifest(text)
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
        self.core.tables.disk_bytes() + self.core.values.disk_bytes()
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        self.core.space.free_bytes()
    }

    fn memory_bytes(&self) -> u64 {
        self.core.tables.memory_bytes()
    }
}
