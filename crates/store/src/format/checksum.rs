//! Checksums over values and the keys that they are stored under, and joining fixed parts.

use bytes::BufMut as _;

use super::Flaw;

pub(super) const CRC_BYTES: usize = 4;

/// Appends a checksum of the key and the body.
pub(crate) fn with_checksum(mut body: Vec<u8>, key: &[u8]) -> Vec<u8> {
    let crc = crc(&[key, &body]);
    body.extend_from_slice(&crc.to_be_bytes());
    body
}

/// The body, once its checksum was found to match.
pub(crate) fn verified<'a>(bytes: &'a [u8], key: &[u8]) -> Result<&'a [u8], Flaw> {
    match bytes.split_last_chunk::<CRC_BYTES>() {
        Some((body, sum)) if crc(&[key, body]) == u32::from_be_bytes(*sum) => Ok(body),
        Some(_) => Err("its checksum does not match"),
        None => Err("it is cut off"),
    }
}

/// The CRC-32 (IEEE) of all parts in a row.
pub(super) fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// Joins parts whose lengths add up to `N`.
pub(super) fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut rest = bytes.as_mut_slice();
    for part in parts {
        rest.put_slice(part);
    }
    bytes
}
