//! The keys of the four tables, all big-endian so that byte order is the order of the numbers.
//!
//! Every key of a vBucket begins with its id and generation. A generation is the number of the
//! commit that began it, so it is never used again, and dropping a vBucket is forgetting a number.

use bytes::BufMut as _;
use mcbp::{Seqno, VbId};

/// Which life of a vBucket a row belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Life {
    pub vb: VbId,
    pub generation: u64,
}

/// The mark that every commit writes last, in every table. Known by its length: as a prefix it
/// stands outside of all ranges of whole keys.
pub(crate) const COMMITS: &[u8] = b"c";

const LIFE_BYTES: usize = 10;
const RECORD: u8 = b'v';
const DEAD: u8 = b'd';
const FILE: u8 = b'f';

/// `rows`: life, seqno.
pub(crate) type RowKey = [u8; LIFE_BYTES + 8];
/// `undo`: life, seqno of the newer row, seqno of the older row that it replaced.
pub(crate) type UndoKey = [u8; LIFE_BYTES + 16];

impl Life {
    pub(crate) fn prefix(self) -> [u8; LIFE_BYTES] {
        concat(&[&self.vb.0.to_be_bytes(), &self.generation.to_be_bytes()])
    }

    /// The prefix that follows all keys of this life.
    pub(crate) fn next_prefix(self) -> [u8; LIFE_BYTES] {
        Self { generation: self.generation + 1, ..self }.prefix()
    }

    pub(crate) fn row(self, seqno: Seqno) -> RowKey {
        concat(&[&self.prefix(), &seqno.0.to_be_bytes()])
    }

    pub(crate) fn undo(self, newer: Seqno, older: Seqno) -> UndoKey {
        concat(&[&self.prefix(), &newer.0.to_be_bytes(), &older.0.to_be_bytes()])
    }

    /// `keys`: life, key of the document.
    pub(crate) fn document(self, key: &[u8]) -> Vec<u8> {
        [&self.prefix(), key].concat()
    }

    /// `meta`: this life is over, its rows are to be removed.
    pub(crate) fn dead(self) -> Vec<u8> {
        [&[DEAD], self.prefix().as_slice()].concat()
    }

    pub(crate) fn from_dead(key: &[u8]) -> Option<Self> {
        let (vb, rest) = key.strip_prefix(&[DEAD])?.split_first_chunk::<2>()?;
        let generation = u64::from_be_bytes(rest.try_into().ok()?);
        Some(Self { vb: VbId(u16::from_be_bytes(*vb)), generation })
    }
}

/// `meta`: the record of a vBucket.
pub(crate) fn record(vb: VbId) -> [u8; 3] {
    concat(&[&[RECORD], &vb.0.to_be_bytes()])
}

/// `meta`: how much of a file of values is garbage.
pub(crate) fn file(number: u64) -> [u8; 9] {
    concat(&[&[FILE], &number.to_be_bytes()])
}

pub(crate) fn file_number(key: &[u8]) -> Option<u64> {
    let bytes = key.strip_prefix(&[FILE])?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

pub(crate) fn record_vb(key: &[u8]) -> Option<VbId> {
    let bytes = key.strip_prefix(&[RECORD])?.try_into().ok()?;
    Some(VbId(u16::from_be_bytes(bytes)))
}

/// The seqno in the key of a row.
pub(crate) fn row_seqno(key: &[u8]) -> Option<Seqno> {
    let (_, seqno) = key.split_last_chunk::<8>()?;
    (key.len() == size_of::<RowKey>()).then(|| Seqno(u64::from_be_bytes(*seqno)))
}

/// The seqnos of the newer and the older row in the key of an undo row.
pub(crate) fn undo_seqnos(key: &[u8]) -> Option<(Seqno, Seqno)> {
    let (rest, older) = key.split_last_chunk::<8>()?;
    let (_, newer) = rest.split_last_chunk::<8>()?;
    let seqno = |bytes: &[u8; 8]| Seqno(u64::from_be_bytes(*bytes));
    (key.len() == size_of::<UndoKey>()).then(|| (seqno(newer), seqno(older)))
}

/// The vBucket and the seqno of the row that stands under a key of `rows` or `undo`, which are told
/// apart by their lengths.
pub(crate) fn row_place(key: &[u8]) -> Option<(VbId, Seqno)> {
    let vb = VbId(u16::from_be_bytes(*key.first_chunk()?));
    let seqno = row_seqno(key).or_else(|| undo_seqnos(key).map(|(_, older)| older))?;
    Some((vb, seqno))
}

/// Joins parts whose lengths add up to `N`.
pub(crate) fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut rest = bytes.as_mut_slice();
    for part in parts {
        rest.put_slice(part);
    }
    bytes
}
