//! The bytes of rows, key entries and commit marks, each with a checksum of its own.
//!
//! fjall checks its blocks when it reads them from disk; these checksums cover what happens to the
//! bytes afterwards, in caches and memory, and a row that turns up under the wrong key.

use bytes::{BufMut as _, Bytes};
use fjall::UserValue;
use mcbp::{Datatype, Seqno, VbId};
use vbucket::{Kind, Row};

use crate::keys::concat;
use crate::values::{End, Place};

/// The version that every row begins with; a row of another one is refused.
const ROW_VERSION: u8 = 1;
/// crc 4, version 1, kind 1, datatype 1, key length 1, rev 8, cas 8, flags or time 4, expiry 4.
const ROW_HEADER_BYTES: usize = 32;
const CRC_BYTES: usize = 4;

/// The longest key that a row has room for; the protocol's are at most 250 bytes.
pub(crate) const KEY_BYTES_MAX: usize = u8::MAX as usize;

/// Set in the kind of a row whose value lies apart: its place stands where the value would.
const APART: u8 = 0x80;

/// What is wrong with bytes that were read.
pub(crate) type Flaw = &'static str;

/// Puts into `bytes` a row as it is stored under the key of `vb` and its seqno, with its value or
/// the place of that. Its key was found to be short enough.
pub(crate) fn encode_row(vb: VbId, row: &Row, apart: Option<Place>, bytes: &mut Vec<u8>) {
    let (kind, time, expiry) = match row.kind {
        Kind::Document { flags, expiry } => (0, flags, expiry),
        Kind::Deleted { at } => (1, at, 0),
        Kind::Expired { at } => (2, at, 0),
    };
    let place = apart.map(Place::encode);
    let value = place.as_ref().map_or(row.value.as_ref(), <[u8; Place::BYTES]>::as_slice);
    bytes.clear();
    bytes.reserve(ROW_HEADER_BYTES + row.key.len() + value.len());
    bytes.put_u32(0);
    bytes.put_u8(ROW_VERSION);
    bytes.put_u8(if apart.is_some() { kind | APART } else { kind });
    bytes.put_u8(row.datatype.0);
    bytes.put_u8(u8::try_from(row.key.len()).unwrap_or(u8::MAX));
    bytes.put_u64(row.rev);
    bytes.put_u64(row.cas);
    bytes.put_u32(time);
    bytes.put_u32(expiry);
    bytes.put_slice(&row.key);
    bytes.put_slice(value);
    let crc = row_crc(vb, row.seqno, bytes.get(CRC_BYTES..).unwrap_or_default());
    if let Some(place) = bytes.first_chunk_mut() {
        *place = crc.to_be_bytes();
    }
}

/// The row again, and where its value is if that lies apart. Key and value share memory with
/// `bytes`, and so with the block it came from; beside a value that lies apart the key is a copy,
/// which costs less than sharing.
pub(crate) fn decode_row(
    vb: VbId,
    seqno: Seqno,
    bytes: UserValue,
) -> Result<(Row, Option<Place>), Flaw> {
    let (header, rest) =
        bytes.split_first_chunk::<ROW_HEADER_BYTES>().ok_or("the row is cut off")?;
    let [c0, c1, c2, c3, version, kind, datatype, key_len, numbers @ ..] = *header;
    let crc = row_crc(vb, seqno, bytes.get(CRC_BYTES..).unwrap_or_default());
    if crc != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Err("the checksum of the row does not match");
    }
    if version != ROW_VERSION {
        return Err("the row is of another version of the store");
    }
    let [rev, cas, times] = *numbers.as_chunks::<8>().0 else {
        return Err("the row is cut off");
    };
    let times = u64::from_be_bytes(times);
    let [time, expiry] = [(times >> 32) as u32, times as u32];
    let is_apart = kind & APART != 0;
    let kind = match kind & !APART {
        0 => Kind::Document { flags: time, expiry },
        1 => Kind::Deleted { at: time },
        2 => Kind::Expired { at: time },
        _ => return Err("the row is of an unknown kind"),
    };
    let (key, value) = rest.split_at_checked(usize::from(key_len)).ok_or("the row is cut off")?;
    let apart = is_apart.then(|| Place::decode(value).ok_or("the place of the value is malformed"));
    let apart = apart.transpose()?;
    let (key, value) = if is_apart {
        (Bytes::copy_from_slice(key), Bytes::new())
    } else {
        let key_end = ROW_HEADER_BYTES + key.len();
        let shared = Bytes::from_owner(bytes);
        (shared.slice(ROW_HEADER_BYTES..key_end), shared.slice(key_end..))
    };
    let row = Row {
        key,
        seqno,
        rev: u64::from_be_bytes(rev),
        cas: u64::from_be_bytes(cas),
        datatype: Datatype(datatype),
        kind,
        value,
    };
    Ok((row, apart))
}

fn row_crc(vb: VbId, seqno: Seqno, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&vb.0.to_be_bytes());
    hasher.update(&seqno.0.to_be_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// Where the newest row of a key is. Small, so that asking whether a key exists reads no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Latest {
    pub seqno: Seqno,
    pub alive: bool,
}

impl Latest {
    /// Length of an encoded entry, which the engine keeps in place.
    const BYTES: usize = 9 + CRC_BYTES;

    pub(crate) fn of(row: &Row) -> Self {
        Self { seqno: row.seqno, alive: row.is_alive() }
    }

    /// The entry under the table key `table_key`, which the checksum covers.
    pub(crate) fn encode(self, table_key: &[u8]) -> [u8; Self::BYTES] {
        let seqno = self.seqno.0.to_be_bytes();
        let alive = [u8::from(self.alive)];
        let crc = keyed_crc(&[&seqno, &alive], table_key).to_be_bytes();
        concat(&[&seqno, &alive, &crc])
    }

    pub(crate) fn decode(table_key: &[u8], bytes: &[u8]) -> Result<Self, Flaw> {
        let body = unsealed(bytes, table_key)?;
        match body.split_first_chunk::<8>() {
            Some((seqno, [alive])) => {
                Ok(Self { seqno: Seqno(u64::from_be_bytes(*seqno)), alive: *alive == 1 })
            }
            _ => Err("the entry has another length"),
        }
    }
}

/// What every commit says of itself, to be checked in a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CommitMark {
    /// Counts commits, without a gap.
    pub number: u64,
    /// Every commit up to this number had been synced when this one was written.
    pub synced: u64,
    /// The engine's sequence number just before; its own journal has no checksum over it.
    pub sequence: u64,
    /// How far the values reach that lie apart, with those of this commit.
    pub values: End,
}

impl CommitMark {
    /// Length of an encoded mark.
    pub(crate) const BYTES: usize = 40 + CRC_BYTES;

    pub(crate) fn encode(self) -> Vec<u8> {
        let End { file, bytes } = self.values;
        let fields = [self.number, self.synced, self.sequence, file, bytes].map(u64::to_be_bytes);
        sealed(fields.concat(), crate::keys::COMMITS)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let body = unsealed(bytes, crate::keys::COMMITS)?;
        let fields = body.as_chunks::<8>().0.iter().map(|field| u64::from_be_bytes(*field));
        match *fields.collect::<Vec<_>>() {
            [number, synced, sequence, file, bytes] => {
                Ok(Self { number, synced, sequence, values: End { file, bytes } })
            }
            _ => Err("the commit mark has another length"),
        }
    }
}

/// How many bytes of a file of values are garbage, as it is kept under the key of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Garbage(pub u64);

impl Garbage {
    pub(crate) fn encode(self, key: &[u8]) -> Vec<u8> {
        sealed(self.0.to_be_bytes().to_vec(), key)
    }

    pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, Flaw> {
        let body = unsealed(bytes, key)?;
        let body = body.try_into().map_err(|_| "the number of bytes has another length")?;
        Ok(Self(u64::from_be_bytes(body)))
    }
}

/// Appends a checksum of the body and of the key that it is stored under.
pub(crate) fn sealed(mut body: Vec<u8>, key: &[u8]) -> Vec<u8> {
    let crc = keyed_crc(&[&body], key);
    body.extend_from_slice(&crc.to_be_bytes());
    body
}

pub(crate) fn unsealed<'a>(bytes: &'a [u8], key: &[u8]) -> Result<&'a [u8], Flaw> {
    match bytes.split_last_chunk::<CRC_BYTES>() {
        Some((body, crc)) if keyed_crc(&[body], key) == u32::from_be_bytes(*crc) => Ok(body),
        Some(_) => Err("its checksum does not match"),
        None => Err("it is cut off"),
    }
}

fn keyed_crc(body: &[&[u8]], key: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    body.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}
