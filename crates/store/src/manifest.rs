//! The manifest of collections of the bucket, as it was put.

use std::sync::PoisonError;

use vbucket::StoreError;
use vbucket::store::Durability;

use crate::core::Core;
use crate::format::{MANIFEST, with_checksum};

impl Core {
    /// See `Store::manifest`.
    pub(crate) fn manifest(&self) -> Option<Vec<u8>> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// See `Store::put_manifest`.
    pub(crate) fn put_manifest(&self, text: &[u8]) -> Result<(), StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        let mut out = self.tables.batch(0);
        out.insert(&self.tables.meta, MANIFEST, with_checksum(text.to_vec(), MANIFEST));
        writer.commit(out, Durability::Synced, || ())?;
        failpoint::reach("manifest-committed");
        *self.manifest.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_vec());
        Ok(())
    }
}
