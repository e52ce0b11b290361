//! Dropping deletions for good, some at a time.
//!
//! The purge seqno moves in the commit that drops them: a stream that lacks one of them is sent
//! back by it, whenever the process dies. A vBucket's last row stays whatever it is, because
//! streams and replicas wait for its seqno (MB-13386).

use bytes::Bytes;
use mcbp::{Seqno, VbId};
use vbucket::store::{Durability, PurgeRule, PurgeStep};
use vbucket::{Kind, StoreError};

use crate::errors::{damaged, reading};
use crate::format::{Latest, decode_row};
use crate::keys::{self, Life};
use crate::store::Core;
use crate::values::{Place, Tally};

/// How many keys one step looks at: some milliseconds, of which the writer waits for few.
const STEP_KEYS: usize = 8_000;
/// How many deletions one step drops, for the same reason.
const STEP_ROWS: usize = 1_000;

/// A deletion that may go, as it was found.
struct Found {
    key: fjall::UserKey,
    entry: fjall::UserValue,
    seqno: Seqno,
    apart: Option<Place>,
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
        let life = Life { vb, generation: record.generation };
        let (found, next) = self.purgeable(life, rule, from)?;
        if found.is_empty() {
            return Ok(PurgeStep { dropped: 0, purge_seqno: record.meta.purge_seqno, next });
        }
        let tables = &self.tables;
        tables.wait_for_room()?;
        let mut writer = self.writer();
        let record = self.record(vb).filter(|record| record.generation == life.generation);
        let mut record = record.ok_or(StoreError::NoVbucket(vb))?.as_ref().clone();
        let mut out = tables.batch(found.len());
        let mut dropped = 0;
        let mut garbage = Tally::default();
        for Found { key, entry, seqno, apart } in found {
            let what = || format!("the key entry of a deletion in {vb}");
            let now = tables.keys.get(&key).map_err(|e| reading(what, &e))?;
            // A document may have been made of it, or a rollback have made it the last row.
            if now.as_ref() == Some(&entry) && seqno < record.meta.high_seqno {
                out.remove(&tables.keys, key);
                out.remove(&tables.rows, life.row(seqno));
                record.meta.purge_seqno = record.meta.purge_seqno.max(seqno);
                garbage.add(apart);
                dropped += 1;
            }
        }
        self.note_garbage(&mut out, &garbage);
        let purge_seqno = record.meta.purge_seqno;
        out.insert(&tables.meta, keys::record(vb), record.encode());
        writer.commit(out, Durability::Buffered)?;
        failpoint::reach("purge-step");
        self.publish([record]);
        Ok(PurgeStep { dropped, purge_seqno, next })
    }

    /// Deletions that `rule` lets go among the keys from `from` on, and where to go on.
    fn purgeable(
        &self,
        life: Life,
        rule: &PurgeRule,
        from: &[u8],
    ) -> Result<(Vec<Found>, Option<Bytes>), StoreError> {
        let mut found = Vec::new();
        let range = self.tables.keys.range(life.document(from)..life.next_prefix().to_vec());
        let mut last = None;
        for (at, guard) in range.enumerate() {
            let what = || format!("the key entries of {}", life.vb);
            let (key, entry) = guard.into_inner().map_err(|e| reading(what, &e))?;
            if at >= STEP_KEYS || found.len() >= STEP_ROWS {
                last = Some(key);
                break;
            }
            let latest = Latest::decode(&key, &entry).map_err(|flaw| damaged(what(), flaw))?;
            let seqno = latest.seqno;
            if !latest.alive
                && let Some((kind, apart)) = self.kind_of(life, seqno)?
                && let Kind::Deleted { at } | Kind::Expired { at } = kind
                && rule.covers(seqno, at)
            {
                found.push(Found { key, entry, seqno, apart });
            }
        }
        let next = last.map(|key| Bytes::from_owner(key).slice(life.prefix().len()..));
        Ok((found, next))
    }

    /// What the row at `seqno` is, and where its value is if that lies apart; `None` where it was
    /// replaced meanwhile.
    fn kind_of(
        &self,
        life: Life,
        seqno: Seqno,
    ) -> Result<Option<(Kind, Option<Place>)>, StoreError> {
        let what = || format!("{} seqno {seqno}", life.vb);
        let row = self.tables.rows.get(life.row(seqno)).map_err(|e| reading(what, &e))?;
        let Some(row) = row else { return Ok(None) };
        let row = decode_row(life.vb, seqno, row);
        let (row, apart) = row.map_err(|flaw| damaged(what(), flaw))?;
        Ok(Some((row.kind, apart)))
    }
}
