//! Frees the space of a store that has no vBucket any more.
//!
//! Rows of a removed vBucket are removed one by one, which writes as many marks, and takes as long
//! as writing them did: their tables hold rows of other vBuckets, too. Where there are none, whole
//! files go at once, and little is left to be removed one by one.

use vbucket::StoreError;
use vbucket::store::Durability;

use crate::core::Core;
use crate::tally::Tally;

impl Core {
    /// Drops the files of tables in which nothing but rows of ended generations can be. Does
    /// nothing where there is a vBucket. Commits wait meanwhile, also for a compaction that runs:
    /// only one that creates a vBucket can be among them.
    pub(crate) fn vacate(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        if self.vbucket_count() > 0 {
            return Ok(());
        }
        let mut garbage = Tally::default();
        for file in self.values.files().values() {
            garbage.add_bytes(file.number, file.live_bytes());
        }
        let mut out = self.tables.batch(0);
        self.note_garbage(&mut out, &garbage);
        writer.commit(out, Durability::Buffered, || ())?;
        failpoint::reach("vacate-noted");
        // An older entry that shows again belongs to an ended generation, too.
        self.tables.drop_files()?;
        writer.let_go();
        failpoint::reach("vacate-dropped");
        Ok(())
    }
}
