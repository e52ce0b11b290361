//! The collection id that precedes a key: an unsigned LEB128 number.
//!
//! Keys have it on connections that negotiated collections; without it a key is one of the default
//! collection. Source: `docs/Collections.md` of couchbase/kv_engine.

use bytes::{BufMut, Bytes};

/// The id of the default collection.
pub const DEFAULT_COLLECTION: u32 = 0;

/// The prefix of keys of the default collection.
pub const DEFAULT_PREFIX: u8 = 0;

/// The longest key with its prefix. Source: kv_engine's `MaxCollectionsKeyLen`.
pub const KEY_BYTES_MAX: usize = 251;

/// Splits a key with a prefix into collection id and key. `None` if the prefix is not a LEB128
/// number of at most 32 bits in its shortest form.
#[must_use]
pub fn split(key: &[u8]) -> Option<(u32, &[u8])> {
    // Most keys: those of the default collection.
    if let [id @ ..=0x7f, rest @ ..] = key {
        return Some(((*id).into(), rest));
    }
    let mut id: u64 = 0;
    for (at, &byte) in key.iter().enumerate().take(5) {
        id |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let shortest = at == 0 || byte != 0;
            let id = u32::try_from(id).ok().filter(|_| shortest)?;
            return Some((id, key.get(at + 1..)?));
        }
    }
    None
}

/// The collection id of a key with a prefix. `None` as [`split`] says.
#[must_use]
pub fn collection_id(key: &[u8]) -> Option<u32> {
    split(key).map(|(id, _)| id)
}

/// The key without its prefix; the whole of it where it has none.
#[must_use]
pub fn without_prefix(key: &[u8]) -> &[u8] {
    split(key).map_or(key, |(_, rest)| rest)
}

/// The key of the collection `id` with its prefix.
#[must_use]
pub fn prefixed(id: u32, key: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(5 + key.len());
    push_prefix(&mut out, id);
    out.extend_from_slice(key);
    out.into()
}

/// The range of the keys of the collection `id`, and of nothing else: no id is the beginning of
/// another one. The second key is not in it.
#[must_use]
pub fn collection_range(id: u32) -> (Vec<u8>, Vec<u8>) {
    let mut start = Vec::new();
    push_prefix(&mut start, id);
    let mut end = start.clone();
    // The last byte of an id is below 0x80, so that the next number fits.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (start, end)
}

/// Appends the prefix of the collection `id`.
pub fn push_prefix(out: &mut Vec<u8>, id: u32) {
    put_leb128(out, id.into());
}

/// Appends a number as unsigned LEB128.
pub fn put_leb128(out: &mut impl BufMut, mut number: u64) {
    while number > 0x7f {
        out.put_u8((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8((number & 0x7f) as u8);
}
