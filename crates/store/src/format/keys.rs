//! The keys of the four tables, all big-endian so that byte order is the order of the numbers.
//!
//! Every key of a vBucket's rows begins with its id and generation. A generation is the number of
//! the commit that began it, so none is used twice, and a vBucket is dropped by ending one.

use mcbp::key::collection_range;
use mcbp::{Seqno, VbId};
use vbucket::row::prepared_key;

use super::checksum::concat;

/// One generation of a vBucket: the prefix of the keys of its rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Generation {
    pub vb: VbId,
    pub number: u64,
}

/// The key of the commit mark, which every commit writes last, in every table. It is shorter than
/// any prefix, and so outside of all ranges of rows.
pub(crate) const COMMIT_MARK: &[u8] = b"c";

/// The key of the bucket's manifest of collections, in `meta`.
pub(crate) const MANIFEST: &[u8] = b"m";

const PREFIX_BYTES: usize = 10;
const RECORD: u8 = b'v';
const STEPS: u8 = b's';
const ENDED: u8 = b'd';
const VALUE_FILE: u8 = b'f';
const COLLECTION: u8 = b'n';
const GONE: u8 = b'g';

/// In `meta`: kind, generation, id of a collection.
const COLLECTION_BYTES: usize = 1 + PREFIX_BYTES + 4;

/// `rows`: generation, seqno.
pub(crate) type RowKey = [u8; PREFIX_BYTES + 8];
/// `undo`: generation, seqno of the newer row, seqno of the older row that it replaced. Of an older
/// version: generation, seqno of the older row with [`VERSION`], seqno of the newer row.
pub(crate) type UndoKey = [u8; PREFIX_BYTES + 16];

/// Set in the first seqno of a key of `undo` that is of an older version, and in no seqno: see
/// [`Seqno::TAKEN_MAX`].
const VERSION: u64 = 1 << 63;

impl Generation {
    pub(crate) fn prefix(self) -> [u8; PREFIX_BYTES] {
        concat(&[&self.vb.0.to_be_bytes(), &self.number.to_be_bytes()])
    }

    /// The prefix that follows all keys of this generation.
    pub(crate) fn next_prefix(self) -> [u8; PREFIX_BYTES] {
        Self { number: self.number + 1, ..self }.prefix()
    }

    pub(crate) fn row(self, seqno: Seqno) -> RowKey {
        concat(&[&self.prefix(), &seqno.0.to_be_bytes()])
    }

    pub(crate) fn undo(self, newer: Seqno, older: Seqno) -> UndoKey {
        concat(&[&self.prefix(), &newer.0.to_be_bytes(), &older.0.to_be_bytes()])
    }

    /// `undo`: the rows that were replaced at `from` or later.
    pub(crate) fn undo_since(self, from: Seqno) -> std::ops::Range<UndoKey> {
        self.undo(from, Seqno::ZERO)..self.version(Seqno::ZERO, Seqno::ZERO)
    }

    /// `undo`: an older version, in the order of its own seqno. The undo row of the same change is
    /// empty then.
    pub(crate) fn version(self, older: Seqno, newer: Seqno) -> UndoKey {
        concat(&[&self.prefix(), &(older.0 | VERSION).to_be_bytes(), &newer.0.to_be_bytes()])
    }

    /// `undo`: the older versions from `start` to `end`.
    pub(crate) fn versions(self, start: Seqno, end: Seqno) -> std::ops::RangeInclusive<UndoKey> {
        self.version(start, Seqno::ZERO)..=self.version(end, Seqno::MAX)
    }

    /// `keys`: generation, key of the document.
    pub(crate) fn document(self, key: &[u8]) -> Vec<u8> {
        [&self.prefix(), key].concat()
    }

    /// `keys`: the range of the documents of a collection, and of nothing else: no id is the
    /// beginning of another one.
    pub(crate) fn collection_range(self, id: u32) -> (Vec<u8>, Vec<u8>) {
        let (start, end) = collection_range(id);
        (self.document(&start), self.document(&end))
    }

    /// `keys`: the same of the steps of durable writes of such documents.
    pub(crate) fn prepared_range(self, id: u32) -> (Vec<u8>, Vec<u8>) {
        let (start, end) = collection_range(id);
        (self.document(&prepared_key(&start)), self.document(&prepared_key(&end)))
    }

    /// `keys`: the range of the steps of all durable writes.
    pub(crate) fn all_prepared(self) -> (Vec<u8>, Vec<u8>) {
        let start = self.document(&prepared_key(&[]));
        let mut end = start.clone();
        // It is one byte, which is below 0xff.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        (start, end)
    }

    /// `meta`: the record of a collection that is not the default one.
    pub(crate) fn collection(self, id: u32) -> [u8; COLLECTION_BYTES] {
        concat(&[&[COLLECTION], &self.prefix(), &id.to_be_bytes()])
    }

    /// `meta`: rows of a collection are to be erased.
    pub(crate) fn gone(self, id: u32) -> [u8; COLLECTION_BYTES] {
        concat(&[&[GONE], &self.prefix(), &id.to_be_bytes()])
    }

    /// `meta`: the range of the records of all collections of this generation.
    pub(crate) fn collections(self) -> std::ops::RangeInclusive<[u8; COLLECTION_BYTES]> {
        self.collection(0)..=self.collection(u32::MAX)
    }

    /// `meta`: the range of the notes that rows of collections are to be erased.
    pub(crate) fn all_gone(self) -> std::ops::RangeInclusive<[u8; COLLECTION_BYTES]> {
        self.gone(0)..=self.gone(u32::MAX)
    }

    fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (vb, rest) = bytes.split_first_chunk::<2>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (vb, number) = (VbId(u16::from_be_bytes(*vb)), u64::from_be_bytes(*number));
        Some((Self { vb, number }, rest))
    }

    /// `meta`: this generation has ended, its rows are to be removed.
    pub(crate) fn ended(self) -> Vec<u8> {
        [&[ENDED], self.prefix().as_slice()].concat()
    }
}

/// `meta`: the record of a vBucket.
pub(crate) fn record_key(vb: VbId) -> [u8; 3] {
    concat(&[&[RECORD], &vb.0.to_be_bytes()])
}

/// `meta`: the steps of a commit, in one of the slots for them.
pub(crate) fn steps_key(slot: u16) -> [u8; 3] {
    concat(&[&[STEPS], &slot.to_be_bytes()])
}

/// `meta`: how many bytes of a value file are garbage.
pub(crate) fn value_file_key(number: u64) -> [u8; 9] {
    concat(&[&[VALUE_FILE], &number.to_be_bytes()])
}

/// A key of the table `meta`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MetaKey {
    CommitMark,
    Record(VbId),
    Steps(u16),
    Ended(Generation),
    ValueFile(u64),
    Collection(Generation, u32),
    Gone(Generation, u32),
    Manifest,
}

impl MetaKey {
    /// `None` for a key that no version of this program writes.
    pub(crate) fn decode(key: &[u8]) -> Option<Self> {
        if key == COMMIT_MARK {
            return Some(Self::CommitMark);
        }
        if key == MANIFEST {
            return Some(Self::Manifest);
        }
        let (kind, rest) = key.split_first()?;
        match *kind {
            RECORD => Some(Self::Record(VbId(u16::from_be_bytes(rest.try_into().ok()?)))),
            STEPS => Some(Self::Steps(u16::from_be_bytes(rest.try_into().ok()?))),
            VALUE_FILE => Some(Self::ValueFile(u64::from_be_bytes(rest.try_into().ok()?))),
            ENDED => match Generation::decode(rest)? {
                (generation, []) => Some(Self::Ended(generation)),
                _ => None,
            },
            COLLECTION | GONE => {
                let (generation, id) = Generation::decode(rest)?;
                let id = u32::from_be_bytes(id.try_into().ok()?);
                let is_gone = *kind == GONE;
                Some(if is_gone {
                    Self::Gone(generation, id)
                } else {
                    Self::Collection(generation, id)
                })
            }
            _ => None,
        }
    }
}

/// The seqno in the key of a row.
pub(crate) fn row_seqno(key: &[u8]) -> Option<Seqno> {
    let (_, seqno) = key.split_last_chunk::<8>()?;
    (key.len() == size_of::<RowKey>()).then(|| Seqno(u64::from_be_bytes(*seqno)))
}

/// The seqnos of the newer and the older row in the key of an undo row.
pub(crate) fn undo_seqnos(key: &[u8]) -> Option<(Seqno, Seqno)> {
    let (newer, older) = two_seqnos(key)?;
    (newer & VERSION == 0).then_some((Seqno(newer), Seqno(older)))
}

/// The seqnos of the older and the newer row in the key of an older version.
pub(crate) fn version_seqnos(key: &[u8]) -> Option<(Seqno, Seqno)> {
    let (older, newer) = two_seqnos(key)?;
    (older & VERSION != 0).then_some((Seqno(older ^ VERSION), Seqno(newer)))
}

fn two_seqnos(key: &[u8]) -> Option<(u64, u64)> {
    let (rest, second) = key.split_last_chunk::<8>()?;
    let (_, first) = rest.split_last_chunk::<8>()?;
    let seqnos = (u64::from_be_bytes(*first), u64::from_be_bytes(*second));
    (key.len() == size_of::<UndoKey>()).then_some(seqnos)
}

/// The vBucket and the seqno of the row that is stored under a key of `rows` or `undo`, whose keys
/// differ in length. `None` for any other key, such as that of the commit mark.
pub(crate) fn row_id(key: &[u8]) -> Option<(VbId, Seqno)> {
    let vb = VbId(u16::from_be_bytes(*key.first_chunk()?));
    let replaced = || undo_seqnos(key).map(|(_, older)| older);
    let version = || version_seqnos(key).map(|(older, _)| older);
    Some((vb, row_seqno(key).or_else(replaced).or_else(version)?))
}
