//! The collection id that precedes a key: an unsigned LEB128 number.
//!
//! Keys have it on connections that negotiated collections. Only the default collection, id 0,
//! exists here. Source: `docs/Collections.md` of couchbase/kv_engine.

/// The id of the default collection.
pub const DEFAULT_COLLECTION: u32 = 0;

/// Splits a key with a prefix into collection id and key. `None` if the prefix is not a LEB128
/// number of at most 32 bits in its shortest form.
#[must_use]
pub fn split(key: &[u8]) -> Option<(u32, &[u8])> {
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

/// Appends the prefix of the collection `id`.
pub fn push_prefix(out: &mut Vec<u8>, mut id: u32) {
    loop {
        let low = (id & 0x7f) as u8;
        id >>= 7;
        if id == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}
