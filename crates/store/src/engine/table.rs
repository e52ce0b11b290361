//! One table, a snapshot of all tables, and a batch of writes, as the rest of the store sees them.

use std::ops::RangeBounds;

use fjall::{Keyspace, OwnedWriteBatch, Readable as _, Slice};

use super::errors::ReadError;

/// Sorted entries, key and value.
#[derive(Clone)]
pub(crate) struct Table(pub(super) Keyspace);

impl Table {
    pub(super) fn name(&self) -> &str {
        self.0.name()
    }

    /// The newest value of `key`.
    pub(crate) fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Slice>, ReadError> {
        Ok(self.0.get(key)?)
    }

    /// The entries of a range of keys. Unlike a [`Snapshot`] it may see a part of a commit.
    pub(crate) fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Entries {
        Entries(self.0.range(range))
    }

    /// All entries.
    pub(crate) fn iter(&self) -> Entries {
        Entries(self.0.iter())
    }

    /// Bytes of its files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.0.disk_space()
    }
}

/// All tables as they were at one moment.
pub(crate) struct Snapshot(pub(super) fjall::Snapshot);

impl Snapshot {
    /// The value of `key` at that moment.
    pub(crate) fn get(
        &self,
        table: &Table,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<Slice>, ReadError> {
        Ok(self.0.get(&table.0, key)?)
    }

    /// The entries of a range of keys at that moment.
    pub(crate) fn range<K: AsRef<[u8]>>(
        &self,
        table: &Table,
        range: impl RangeBounds<K>,
    ) -> Entries {
        Entries(self.0.range(&table.0, range))
    }
}

/// Key and value of an entry, or why it could not be read.
pub(crate) type ReadResult = Result<(Slice, Slice), ReadError>;

/// Entries in the order of their keys; each read may fail.
pub(crate) struct Entries(fjall::Iter);

impl Entries {
    fn read(guard: fjall::Guard) -> ReadResult {
        Ok(guard.into_inner()?)
    }
}

impl Iterator for Entries {
    type Item = ReadResult;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Self::read)
    }
}

impl DoubleEndedIterator for Entries {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(Self::read)
    }
}

/// Writes to several tables, of which a commit writes all or none.
pub(crate) struct WriteBatch(pub(super) OwnedWriteBatch);

impl WriteBatch {
    pub(crate) fn insert(&mut self, table: &Table, key: impl Into<Slice>, value: impl Into<Slice>) {
        self.0.insert(&table.0, key, value);
    }

    pub(crate) fn remove(&mut self, table: &Table, key: impl Into<Slice>) {
        self.0.remove(&table.0, key);
    }
}
