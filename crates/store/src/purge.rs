//! Dropping deletions for good, some at a time.
//!
//! The purge seqno moves in the commit that drops them, so whenever the process dies, a stream that
//! lacks one of them is told to roll back. A vBucket's last row stays whatever it is, because
//! streams and replicas wait for its seqno (MB-13386).

use bytes::Bytes;
use mcbp::{Seqno, VbId};
use vbucket::store::{Durability, PurgeRule, PurgeStep};
use vbucket::{Kind, StoreError};

use crate::core::Core;
use crate::engine::{Slice, WriteBatch};
use crate::errors::damaged;
use crate::format::{Generation, KeyEntry, ValuePointer, VbRecord, decode_row};
use crate::retention::version_bytes;
use crate::tally::Tally;

/// How many keys one step looks at: some milliseconds, of which commits wait for few.
const STEP_KEYS: usize = 8_000;
/// How many deletions one step drops, for the same reason.
const STEP_ROWS: usize = 1_000;

/// A deletion that may be dropped, as it was found.
struct Tombstone {
    key: Slice,
    entry: Slice,
    seqno: Seqno,
    is_abort: bool,
    pointer: Option<ValuePointer>,
}

impl Core {
    /// See `Store::purge`.
    pub(crate) fn purge_step(
        &self,
        vb: VbId,
        rule: &PurgeRule,
        from: &[u8],
    ) -> Result<PurgeStep, StoreError> {
        let record = self.record(vb).ok_or(StoreError::NoVbucket(vb))?;
        let generation = record.generation();
        let (found, next) = self.purgeable(generation, rule, from)?;
        if found.is_empty() {
            return Ok(PurgeStep { dropped: 0, purge_seqno: record.meta.purge_seqno, next });
        }
        let tables = &self.tables;
        tables.wait_for_flushes()?;
        let mut writer = self.writer();
        let record = self.record(vb).filter(|record| record.generation == generation.number);
        let mut record = record.ok_or(StoreError::NoVbucket(vb))?.as_ref().clone();
        let mut out = tables.batch(found.len());
        let mut dropped = 0;
        let mut garbage = Tally::default();
        for Tombstone { key, entry, seqno, is_abort, pointer } in found {
            let what = || format!("the key entry of a deletion in {vb}");
            let now = tables.keys.get(&key).map_err(|e| e.of(what))?;
            // The key may have been written since, or a rollback may have made this the last row.
            if now.as_ref() == Some(&entry) && seqno < record.meta.high_seqno {
                out.remove(&tables.keys, key);
                out.remove(&tables.rows, generation.row(seqno));
                record.meta.purge_seqno = record.meta.purge_seqno.max(seqno);
                if is_abort || !self.keep_deletion(&mut record, (seqno, pointer), &mut out)? {
                    garbage.add(pointer);
                }
                dropped += 1;
            }
        }
        self.note_garbage(&mut out, &garbage);
        let purge_seqno = record.meta.purge_seqno;
        self.commit_record(&mut writer, out, record, Durability::Buffered)?;
        failpoint::reach("purge-step");
        Ok(PurgeStep { dropped, purge_seqno, next })
    }

    /// Keeps a deletion that is purged as an older version, if it is of the change history. No
    /// rollback goes below it. Returns whether it does.
    fn keep_deletion(
        &self,
        record: &mut VbRecord,
        (seqno, pointer): (Seqno, Option<ValuePointer>),
        out: &mut WriteBatch,
    ) -> Result<bool, StoreError> {
        let (generation, start) = (record.generation(), record.meta.history_start);
        if start == Seqno::ZERO || seqno < start {
            return Ok(false);
        }
        let what = || format!("{} seqno {seqno}", generation.vb);
        let row = self.tables.rows.get(generation.row(seqno)).map_err(|e| e.of(what))?;
        let Some(row) = row else { return Ok(false) };
        record.versions.bytes += version_bytes(&row, pointer);
        out.insert(&self.tables.undo, generation.version(seqno, seqno), row);
        Ok(true)
    }

    /// Deletions that `rule` allows to drop among the keys from `from` on, and where to continue.
    fn purgeable(
        &self,
        generation: Generation,
        rule: &PurgeRule,
        from: &[u8],
    ) -> Result<(Vec<Tombstone>, Option<Bytes>), StoreError> {
        let mut found = Vec::new();
        let range = generation.document(from)..generation.next_prefix().to_vec();
        let mut last = None;
        for (at, entry) in self.tables.keys.range(range).enumerate() {
            let what = || format!("the key entries of {}", generation.vb);
            let (key, entry) = entry.map_err(|e| e.of(what))?;
            if at >= STEP_KEYS || found.len() >= STEP_ROWS {
                last = Some(key);
                break;
            }
            let KeyEntry { seqno, alive } =
                KeyEntry::decode(&key, &entry).map_err(|flaw| damaged(what(), flaw))?;
            if !alive
                && let Some((kind, pointer)) = self.kind_of(generation, seqno)?
                && let Kind::Deleted { at } | Kind::Expired { at } | Kind::Aborted { at } = kind
                && rule.covers(seqno, at)
            {
                let is_abort = matches!(kind, Kind::Aborted { .. });
                found.push(Tombstone { key, entry, seqno, is_abort, pointer });
            }
        }
        let next = last.map(|key| Bytes::from_owner(key).slice(generation.prefix().len()..));
        Ok((found, next))
    }

    /// The kind of the row at `seqno`, and the pointer to its value if that is out of line; `None`
    /// where the row was replaced meanwhile.
    fn kind_of(
        &self,
        generation: Generation,
        seqno: Seqno,
    ) -> Result<Option<(Kind, Option<ValuePointer>)>, StoreError> {
        let what = || format!("{} seqno {seqno}", generation.vb);
        let row = self.tables.rows.get(generation.row(seqno)).map_err(|e| e.of(what))?;
        let Some(row) = row else { return Ok(None) };
        let row = decode_row(generation.vb, seqno, row);
        let (row, pointer) = row.map_err(|flaw| damaged(what(), flaw))?;
        Ok(Some((row.kind, pointer)))
    }
}
