//! What every part of an open store shares: tables, values, the writer, the vBuckets' records.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use mcbp::VbId;
use vbucket::VbMeta;

use crate::engine::{Snapshot, Tables, WriteBatch};
use crate::erasures::Erasures;
use crate::format::{Garbage, VbRecord, value_file_key};
use crate::options::Options;
use crate::space::Space;
use crate::tally::Tally;
use crate::values::{Files, Values};
use crate::writer::Writer;

/// Shared by the store and its background thread.
pub(crate) struct Core {
    pub tables: Tables,
    pub options: Options,
    pub space: Space,
    pub values: Arc<Values>,
    pub writer: Mutex<Writer>,
    pub records: RwLock<HashMap<VbId, Arc<VbRecord>>>,
    /// The manifest of collections of the bucket, as it was put.
    pub manifest: Mutex<Option<Vec<u8>>>,
    /// Collections of which rows are still to be erased.
    pub erasures: Erasures,
    /// How many steps of rollbacks there were: each may restore rows that had been replaced.
    pub restores: AtomicU64,
}

/// Everything as it was at one moment.
pub(crate) struct View {
    pub snapshot: Snapshot,
    pub files: Files,
}

impl Core {
    /// The writer, for one commit or one step of a longer change.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic while it was held ends the process in release; a test may look at what is left.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read_records(&self) -> RwLockReadGuard<'_, HashMap<VbId, Arc<VbRecord>>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every record, as it is now. Nothing is locked afterwards: records are published meanwhile.
    pub(crate) fn all_records(&self) -> Vec<Arc<VbRecord>> {
        self.read_records().values().cloned().collect()
    }

    /// How many vBuckets there are.
    pub(crate) fn vbucket_count(&self) -> u64 {
        self.read_records().len() as u64
    }

    /// The record of a vBucket; `None` where the store does not have it.
    pub(crate) fn record(&self, vb: VbId) -> Option<Arc<VbRecord>> {
        self.read_records().get(&vb).cloned()
    }

    /// The public part of every record.
    pub(crate) fn metas(&self) -> Vec<VbMeta> {
        self.read_records().values().map(|record| record.meta.clone()).collect()
    }

    /// The number of documents in all vBuckets.
    pub(crate) fn item_count(&self) -> u64 {
        self.read_records().values().map(|record| record.collections.items()).sum()
    }

    /// Makes committed records visible. Called at the end of their commit, before a snapshot sees
    /// it.
    pub(crate) fn publish(&self, records: impl IntoIterator<Item = VbRecord>) {
        let mut shared = self.records.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            shared.insert(record.meta.vb, Arc::new(record));
        }
    }

    /// Makes the removal of a vBucket visible, as [`Core::publish`] does.
    pub(crate) fn withdraw(&self, vb: VbId) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).remove(&vb);
    }

    /// A snapshot of whole commits, with the files of all values that their rows name.
    pub(crate) fn view(&self) -> View {
        loop {
            let view = self.values.with(|files| {
                let snapshot = self.tables.snapshot()?;
                Some(View { snapshot, files: Arc::clone(files) })
            });
            if let Some(view) = view {
                return view;
            }
            // Wait for the commit in progress.
            drop(self.writer());
        }
    }

    /// Counts garbage in memory, and in `out` for the next open. Called while the writer is held:
    /// a file that was deleted since its rows were read must not be noted again.
    pub(crate) fn note_garbage(&self, out: &mut WriteBatch, garbage: &Tally) {
        let files = self.values.files();
        for (number, bytes) in garbage.files() {
            if let Some(file) = files.get(&number) {
                let key = value_file_key(number);
                out.insert(&self.tables.meta, key, Garbage(file.add_garbage(bytes)).encode(&key));
            }
        }
    }
}
