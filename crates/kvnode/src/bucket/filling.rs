//! The hashes of the keys of a vBucket that is being filled from empty. A key whose hash is not
//! among them replaces nothing, so the store can skip its lookup.
//!
//! A lookup costs more than writing the row, and while a replica is filled lookups are wasted. Hash
//! collisions cost only a lookup. The hashes are dropped once the snapshot is complete. All
//! vBuckets of a bucket share one bound for them.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use mcbp::Seqno;
use vbucket::{Replaces, Row};

/// Bytes of one hash in a table that has just grown.
const HASH_BYTES: usize = 20;

/// Room for hashes, shared by all vBuckets of a bucket.
pub(crate) struct HashRoom {
    all: usize,
    left: AtomicUsize,
}

impl HashRoom {
    /// Room in `bytes` of memory.
    pub(super) const fn new(bytes: usize) -> Self {
        let all = bytes / HASH_BYTES;
        Self { all, left: AtomicUsize::new(all) }
    }

    /// Bytes that hashes use.
    pub(super) fn used_bytes(&self) -> usize {
        self.all.saturating_sub(self.left.load(Ordering::Relaxed)) * HASH_BYTES
    }

    fn take(&self, hashes: usize) -> bool {
        let left = |left: usize| left.checked_sub(hashes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }
}

/// See the module.
pub(super) struct Filling {
    hashes: HashTable<u64>,
    hasher: DefaultHashBuilder,
    /// The hashes hold every key of the vBucket up to this seqno. A row from elsewhere moves the
    /// vBucket past it, which makes the hashes useless.
    up_to: Seqno,
    room: Arc<HashRoom>,
    taken: usize,
}

impl Filling {
    /// Of an empty vBucket.
    fn new(room: Arc<HashRoom>) -> Self {
        let (hashes, hasher) = (HashTable::new(), DefaultHashBuilder::default());
        Self { hashes, hasher, up_to: Seqno::ZERO, room, taken: 0 }
    }

    /// Returns what `rows`, which follow `tail`, replace, and the hashes including theirs. Without
    /// hashes of everything before, or without room for more, both are unknown.
    pub(super) fn go_on(
        known: Option<Self>,
        room: &Arc<HashRoom>,
        tail: Seqno,
        rows: &[Arc<Row>],
    ) -> (Replaces, Option<Self>) {
        let filling = match known {
            _ if tail == Seqno::ZERO => Self::new(Arc::clone(room)),
            Some(known) if known.up_to == tail => known,
            _ => return (Replaces::Unknown, None),
        };
        filling.add(rows).unwrap_or((Replaces::Unknown, None))
    }

    fn add(mut self, rows: &[Arc<Row>]) -> Option<(Replaces, Option<Self>)> {
        self.up_to = rows.last()?.seqno;
        if !self.room.take(rows.len()) {
            return None;
        }
        self.taken += rows.len();
        let mut all_new = true;
        for row in rows {
            let hash = self.hasher.hash_one(&row.key);
            match self.hashes.entry(hash, |known| *known == hash, |known| *known) {
                Entry::Occupied(_) => all_new = false,
                Entry::Vacant(place) => drop(place.insert(hash)),
            }
        }
        let replaces = if all_new { Replaces::Nothing } else { Replaces::Unknown };
        Some((replaces, Some(self)))
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.room.left.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use mcbp::Datatype;
    use vbucket::Kind;

    fn rows(seqnos: std::ops::RangeInclusive<u64>) -> Vec<Arc<Row>> {
        let row = |seqno| Row {
            key: Bytes::from(format!("key {seqno}")),
            seqno: Seqno(seqno),
            rev: 1,
            cas: 1,
            datatype: Datatype::RAW,
            kind: Kind::Document { flags: 0, expiry: 0 },
            prepared: Seqno::ZERO,
            value: Bytes::new(),
        };
        seqnos.map(|seqno| Arc::new(row(seqno))).collect()
    }

    #[test]
    fn hashes_have_a_bound_and_are_freed() {
        let room = Arc::new(HashRoom::new(4 * HASH_BYTES));
        let go_on = |known, tail, rows: &[_]| Filling::go_on(known, &room, Seqno(tail), rows);
        let (replaces, known) = go_on(None, 0, &rows(1..=3));
        assert!(matches!(replaces, Replaces::Nothing));
        let (replaces, known) = go_on(known, 3, &rows(4..=5));
        assert!(matches!(replaces, Replaces::Unknown) && known.is_none());
        let (replaces, known) = go_on(None, 0, &rows(1..=4));
        assert!(matches!(replaces, Replaces::Nothing) && known.is_some());
    }

    #[test]
    fn a_key_that_comes_again_is_looked_up() {
        let room = Arc::new(HashRoom::new(100 * HASH_BYTES));
        let (_, known) = Filling::go_on(None, &room, Seqno(0), &rows(1..=3));
        let again = vec![Arc::new(Row { seqno: Seqno(4), ..Row::clone(&rows(2..=2)[0]) })];
        let (replaces, known) = Filling::go_on(known, &room, Seqno(3), &again);
        assert!(matches!(replaces, Replaces::Unknown));
        let (replaces, _) = Filling::go_on(known, &room, Seqno(4), &rows(5..=6));
        assert!(matches!(replaces, Replaces::Nothing));
    }

    #[test]
    fn a_vbucket_with_rows_from_elsewhere_is_unknown() {
        let room = Arc::new(HashRoom::new(100 * HASH_BYTES));
        let (_, known) = Filling::go_on(None, &room, Seqno(0), &rows(1..=3));
        let (replaces, known) = Filling::go_on(known, &room, Seqno(4), &rows(5..=6));
        assert!(matches!(replaces, Replaces::Unknown) && known.is_none());
    }
}
