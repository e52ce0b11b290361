//! A value of the tables `rows` and `undo`: a row, with its value or the pointer to it.

use bytes::{BufMut as _, Bytes};
use invariant::{Broken, broken, invariant};
use mcbp::framing::Level;
use mcbp::{Datatype, Seqno, VbId};
use vbucket::{Kind, Row, Write};

use super::Flaw;
use super::checksum::{CRC_BYTES, crc};
use super::pointer::ValuePointer;

/// The version that every row begins with; a row of another one is refused.
const VERSION: u8 = 1;
/// crc 4, version 1, kind 1, datatype 1, key length 1, rev 8, cas 8, flags or time 4, expiry 4.
const HEADER_BYTES: usize = 32;

/// The longest key that a row has room for; the protocol's are at most 250 bytes.
pub(crate) const KEY_BYTES_MAX: usize = u8::MAX as usize;

const DOCUMENT: u8 = 0;
const DELETED: u8 = 1;
const EXPIRED: u8 = 2;
const EVENT: u8 = 3;
const END_EVENT: u8 = 4;
/// Of the level 0, which there is not; the next three are those of the levels.
const PREPARED_DOCUMENT: u8 = 8;
/// The same of deletions.
const PREPARED_DELETION: u8 = 12;
/// The revision is the seqno of the prepare.
const ABORTED: u8 = 16;
/// Set in the kind of a row whose value is out of line: the pointer stands where the value would.
const OUT_OF_LINE: u8 = 0x80;

/// Puts into `bytes` the row of `vb`, with its value or, where that is out of line, the pointer.
///
/// # Errors
/// [`Broken`] for a key longer than [`KEY_BYTES_MAX`]; a commit refuses it before.
pub(crate) fn encode_row(
    vb: VbId,
    row: &Row,
    pointer: Option<ValuePointer>,
    bytes: &mut Vec<u8>,
) -> Result<(), Broken> {
    let (kind, time, expiry) = match row.kind {
        Kind::Document { flags, expiry } => (DOCUMENT, flags, expiry),
        Kind::Deleted { at } => (DELETED, at, 0),
        Kind::Expired { at } => (EXPIRED, at, 0),
        Kind::Prepared { level, write: Write::Document { flags, expiry } } => {
            (PREPARED_DOCUMENT + level.wire(), flags, expiry)
        }
        Kind::Prepared { level, write: Write::Deletion { at } } => {
            (PREPARED_DELETION + level.wire(), at, 0)
        }
        Kind::Aborted { at } => (ABORTED, at, 0),
        Kind::Event { is_end } => (if is_end { END_EVENT } else { EVENT }, 0, 0),
    };
    let rev = if kind == ABORTED { row.prepared.0 } else { row.rev };
    let key_len = row.key.len();
    invariant!(key_len <= KEY_BYTES_MAX, "a row of {vb} with a key of {key_len} bytes");
    let pointer = pointer.map(ValuePointer::encode);
    let value = pointer.as_ref().map_or(row.value.as_ref(), <[_; ValuePointer::BYTES]>::as_slice);
    bytes.clear();
    bytes.reserve(HEADER_BYTES + key_len + value.len());
    bytes.put_u32(0);
    bytes.put_u8(VERSION);
    bytes.put_u8(if pointer.is_some() { kind | OUT_OF_LINE } else { kind });
    bytes.put_u8(row.datatype.0);
    bytes.put_u8(key_len as u8);
    bytes.put_u64(rev);
    bytes.put_u64(row.cas);
    bytes.put_u32(time);
    bytes.put_u32(expiry);
    bytes.put_slice(&row.key);
    bytes.put_slice(value);
    let parts = bytes.split_first_chunk_mut::<CRC_BYTES>();
    let (crc, body) = parts.ok_or_else(|| broken!("a row without a header"))?;
    *crc = row_crc(vb, row.seqno, body).to_be_bytes();
    Ok(())
}

/// The row of `vb` at `seqno`, and the pointer to its value where that is out of line.
///
/// Key and value share memory with `bytes`, and so with the block they came from. The key of a row
/// with a pointer is a copy, which costs less than sharing.
pub(crate) fn decode_row(
    vb: VbId,
    seqno: Seqno,
    bytes: impl AsRef<[u8]> + Send + 'static,
) -> Result<(Row, Option<ValuePointer>), Flaw> {
    let stored = bytes.as_ref();
    let (sum, body) = stored.split_first_chunk::<CRC_BYTES>().ok_or("the row is cut off")?;
    if row_crc(vb, seqno, body) != u32::from_be_bytes(*sum) {
        return Err("the checksum of the row does not match");
    }
    let (header, rest) =
        body.split_first_chunk::<{ HEADER_BYTES - CRC_BYTES }>().ok_or("the row is cut off")?;
    let [version, kind, datatype, key_len, numbers @ ..] = *header;
    if version != VERSION {
        return Err("the row is of another version of the store");
    }
    let [rev, cas, times] = *numbers.as_chunks::<8>().0 else {
        return Err("the row is cut off");
    };
    let times = u64::from_be_bytes(times);
    let [time, expiry] = [(times >> 32) as u32, times as u32];
    let is_out_of_line = kind & OUT_OF_LINE != 0;
    let kind = match kind & !OUT_OF_LINE {
        DOCUMENT => Kind::Document { flags: time, expiry },
        DELETED => Kind::Deleted { at: time },
        EXPIRED => Kind::Expired { at: time },
        EVENT | END_EVENT => Kind::Event { is_end: kind & !OUT_OF_LINE == END_EVENT },
        ABORTED => Kind::Aborted { at: time },
        kind => prepared(kind, time, expiry).ok_or("the row is of an unknown kind")?,
    };
    let rev = u64::from_be_bytes(rev);
    let is_abort = matches!(kind, Kind::Aborted { .. });
    let (rev, prepared) = if is_abort { (0, Seqno(rev)) } else { (rev, Seqno::ZERO) };
    let (key, value) = rest.split_at_checked(usize::from(key_len)).ok_or("the row is cut off")?;
    let (key, value, pointer) = if is_out_of_line {
        let pointer = ValuePointer::decode(value).ok_or("the pointer to the value is malformed")?;
        (Bytes::copy_from_slice(key), Bytes::new(), Some(pointer))
    } else {
        let key_end = HEADER_BYTES + key.len();
        let shared = Bytes::from_owner(bytes);
        (shared.slice(HEADER_BYTES..key_end), shared.slice(key_end..), None)
    };
    let row = Row {
        key,
        seqno,
        rev,
        cas: u64::from_be_bytes(cas),
        datatype: Datatype(datatype),
        kind,
        prepared,
        value,
    };
    Ok((row, pointer))
}

/// The prepare of a kind on disk.
fn prepared(kind: u8, time: u32, expiry: u32) -> Option<Kind> {
    let of = |base| Level::from_wire(kind.checked_sub(base)?);
    let (level, write) = match of(PREPARED_DOCUMENT) {
        Some(level) => (level, Write::Document { flags: time, expiry }),
        None => (of(PREPARED_DELETION)?, Write::Deletion { at: time }),
    };
    Some(Kind::Prepared { level, write })
}

/// The checksum of a row, over the vBucket and the seqno too: they are in its key alone.
fn row_crc(vb: VbId, seqno: Seqno, body: &[u8]) -> u32 {
    crc(&[&vb.0.to_be_bytes(), &seqno.0.to_be_bytes(), body])
}
