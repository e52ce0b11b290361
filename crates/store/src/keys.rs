//! The keys of a collection in their order. They have a table of their own, so that no row is read.

use bytes::Bytes;
use mcbp::VbId;
use mcbp::key::collection_id;
use vbucket::StoreError;

use crate::core::{Core, View};
use crate::errors::damaged;
use crate::format::KeyEntry;

impl Core {
    /// See `Store::keys`.
    pub(crate) fn keys(
        &self,
        vb: VbId,
        from: &[u8],
        most: usize,
    ) -> Result<Vec<Bytes>, StoreError> {
        let record = self.record(vb).ok_or(StoreError::NoVbucket(vb))?;
        let Some(id) = collection_id(from) else { return Ok(Vec::new()) };
        let generation = record.generation();
        let (_, end) = generation.collection_range(id);
        let what = || format!("the keys of a collection of {vb}");
        let View { snapshot, .. } = self.view();
        let mut keys = Vec::new();
        for entry in snapshot.range(&self.tables.keys, generation.document(from)..end) {
            if keys.len() >= most {
                break;
            }
            let (key, entry) = entry.map_err(|e| e.of(what))?;
            let entry = KeyEntry::decode(&key, &entry).map_err(|flaw| damaged(what(), flaw))?;
            let key = key.get(generation.prefix().len()..).unwrap_or_default();
            if entry.alive && record.collections.shows(key, entry.seqno) {
                keys.push(Bytes::copy_from_slice(key));
            }
        }
        Ok(keys)
    }
}
