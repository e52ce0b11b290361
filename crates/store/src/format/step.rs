//! Steps: entries of the table `meta`, each with what one commit changed in the records of many
//! vBuckets. Version, number of the commit, steps, checksum.

use mcbp::{Seqno, VbId};
use vbucket::DurableSeqnos;

use super::Flaw;
use super::checksum::{verified, with_checksum};
use super::numbers::{Numbers, put};
use super::record::VbRecord;

/// What every entry begins with; one of another version is refused.
const VERSION: u8 = 1;

/// How far a commit took the record of a vBucket. What it does not name has not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub vb: VbId,
    high_seqno: Seqno,
    snapshot: (Seqno, Seqno),
    max_cas: u64,
    max_deleted_rev: u64,
    durable: DurableSeqnos,
    /// The highest seqno and the number of documents of the default collection, where there is one.
    default: (Seqno, u64),
    version_bytes: u64,
}

impl Step {
    /// What leads from `before` to `after`, or `None` where more has changed than steps can name.
    /// The records of named collections are entries of their own.
    pub(crate) fn between(before: &VbRecord, after: &VbRecord) -> Option<Self> {
        let VbRecord { meta, collections, versions, .. } = after;
        let default = collections.default.unwrap_or_default();
        let step = Self {
            vb: meta.vb,
            high_seqno: meta.high_seqno,
            snapshot: (meta.snapshot_start, meta.snapshot_end),
            max_cas: meta.max_cas,
            max_deleted_rev: meta.max_deleted_rev,
            durable: meta.durable,
            default: (default.high, default.items),
            version_bytes: versions.bytes,
        };
        let mut reached = before.clone();
        reached.collections.named.clone_from(&collections.named);
        step.apply(&mut reached);
        (reached == *after).then_some(step)
    }

    /// Takes a record that far.
    pub(crate) fn apply(&self, record: &mut VbRecord) {
        let meta = &mut record.meta;
        meta.high_seqno = self.high_seqno;
        (meta.snapshot_start, meta.snapshot_end) = self.snapshot;
        meta.max_cas = self.max_cas;
        meta.max_deleted_rev = self.max_deleted_rev;
        meta.durable = self.durable;
        if let Some(default) = &mut record.collections.default {
            (default.high, default.items) = self.default;
        }
        record.versions.bytes = self.version_bytes;
        record.note_point();
    }

    /// Appends it to the steps of an entry.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let DurableSeqnos { high_prepared, high_completed, max_visible } = self.durable;
        let ((start, end), (default_high, items)) = (self.snapshot, self.default);
        // Most seqnos are the high seqno itself, or a little below it.
        let below = |seqno: Seqno| self.high_seqno.0.wrapping_sub(seqno.0);
        let above = end.0.wrapping_sub(self.high_seqno.0);
        let numbers = [u64::from(self.vb.0), self.high_seqno.0, below(start), above];
        let durable = [high_prepared.0, high_completed.0, below(max_visible)];
        let counts = [below(default_high), items, self.version_bytes];
        let highest = [self.max_cas, self.max_deleted_rev];
        let all = numbers.into_iter().chain(highest).chain(durable).chain(counts);
        all.for_each(|number| put(out, number));
    }

    fn decode(from: &mut Numbers<'_>) -> Option<Self> {
        let vb = VbId(u16::try_from(from.take()?).ok()?);
        let high_seqno = from.seqno()?;
        let below = |distance: u64| Seqno(high_seqno.0.wrapping_sub(distance));
        let start = below(from.take()?);
        let snapshot = (start, Seqno(high_seqno.0.wrapping_add(from.take()?)));
        let [max_cas, max_deleted_rev] = [from.take()?, from.take()?];
        let durable = DurableSeqnos {
            high_prepared: from.seqno()?,
            high_completed: from.seqno()?,
            max_visible: below(from.take()?),
        };
        let default = (below(from.take()?), from.take()?);
        let version_bytes = from.take()?;
        Some(Self {
            vb,
            high_seqno,
            snapshot,
            max_cas,
            max_deleted_rev,
            durable,
            default,
            version_bytes,
        })
    }
}

/// The entry of commit `number` under the table key `table_key`; `steps` are encoded ones.
pub(crate) fn encode_steps(number: u64, steps: &[u8], table_key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(steps.len() + 16);
    out.push(VERSION);
    put(&mut out, number);
    out.extend_from_slice(steps);
    with_checksum(out, table_key)
}

/// The number of the commit and its steps.
pub(crate) fn decode_steps(table_key: &[u8], bytes: &[u8]) -> Result<(u64, Vec<Step>), Flaw> {
    let malformed = "the steps of a commit are malformed";
    let Some((&VERSION, body)) = verified(bytes, table_key)?.split_first() else {
        return Err("the steps of a commit are of a version that this program does not know");
    };
    let mut from = Numbers(body);
    let number = from.take().ok_or(malformed)?;
    let mut steps = Vec::new();
    while !from.is_empty() {
        steps.push(Step::decode(&mut from).ok_or(malformed)?);
    }
    Ok((number, steps))
}
