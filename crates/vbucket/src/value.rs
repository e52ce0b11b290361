//! The bytes of a value: compressed or not, extended attributes, and the body after them.
//!
//! [`mcbp::xattr`] knows how extended attributes are stored.

use bytes::{BufMut as _, Bytes, BytesMut};
use mcbp::xattr::{self, split};
use mcbp::{Datatype, Status};

/// The largest value without extended attributes. Source: kv_engine's `max_item_size`.
const VALUE_BYTES_MAX: usize = 20 * 1024 * 1024;

/// The largest inflated length that a compressed value may claim: 20 MiB and 1 MiB of attributes.
pub(crate) const INFLATED_BYTES_MAX: usize = 21 * 1024 * 1024;

/// Names of system attributes begin with this; those of user attributes do not.
const SYSTEM: u8 = b'_';

/// Inflates a raw snappy block; `None` if it is damaged or claims more than [`INFLATED_BYTES_MAX`].
pub(crate) fn inflate(value: &[u8]) -> Option<Vec<u8>> {
    let claimed = snap::raw::decompress_len(value).ok()?;
    (claimed <= INFLATED_BYTES_MAX).then(|| snap::raw::Decoder::new().decompress_vec(value).ok())?
}

/// Returns the value as a raw snappy block, if that is shorter.
pub(crate) fn deflate(value: &[u8]) -> Option<Vec<u8>> {
    let compressed = snap::raw::Encoder::new().compress_vec(value).ok()?;
    (compressed.len() < value.len()).then_some(compressed)
}

/// Checks that a producer's value can be decoded: that a client could have stored it here. Only a
/// deletion may claim attributes and have none.
///
/// # Errors
/// The status with which a real consumer refuses the value, and the reason.
pub(crate) fn check(
    datatype: Datatype,
    value: &[u8],
    is_document: bool,
) -> Result<(), (Status, &'static str)> {
    if !datatype.is_known() {
        return Err((Status::EINVAL, "the datatype has unknown bits"));
    }
    let has_attributes = datatype.contains(Datatype::XATTR);
    if value.len() > if has_attributes { INFLATED_BYTES_MAX } else { VALUE_BYTES_MAX } {
        return Err((Status::E2BIG, "the value is too large"));
    }
    if value.is_empty() {
        let fits = !(is_document && has_attributes);
        let missing = (Status::XATTR_EINVAL, "the datatype names attributes, the value is empty");
        return if fits { Ok(()) } else { Err(missing) };
    }
    let inflated;
    let value = if datatype.contains(Datatype::SNAPPY) {
        inflated = inflate(value).ok_or((Status::EINVAL, "the value cannot be inflated"))?;
        &inflated
    } else {
        value
    };
    if has_attributes && split(value).is_none() {
        return Err((Status::XATTR_EINVAL, "the extended attributes are longer than the value"));
    }
    Ok(())
}

/// Returns the body of an inflated value with extended attributes.
pub(crate) fn body(value: &[u8]) -> &[u8] {
    split(value).map_or(&[], |(_, body)| body)
}

/// Returns what a deletion keeps of a document's value, with its datatype: the system attributes.
/// User attributes and the body are dropped, and so is a value that cannot be decoded. A value of
/// which nothing is dropped is kept unchanged, compressed or not.
#[must_use]
pub fn kept_by_deletion(datatype: Datatype, value: &Bytes) -> (Datatype, Bytes) {
    const NONE: (Datatype, Bytes) = (Datatype::RAW, Bytes::new());
    if !datatype.contains(Datatype::XATTR) {
        return NONE;
    }
    let inflated;
    let readable = if datatype.contains(Datatype::SNAPPY) {
        let Some(bytes) = inflate(value) else { return NONE };
        inflated = bytes;
        inflated.as_slice()
    } else {
        value.as_ref()
    };
    match system_attributes(readable) {
        Some(kept) if kept == readable => (datatype.without(Datatype::JSON), value.clone()),
        Some(kept) => (Datatype::XATTR, kept),
        None => NONE,
    }
}

/// Returns the system attributes of an inflated value, preceded by their length; `None` if there
/// are none.
fn system_attributes(value: &[u8]) -> Option<Bytes> {
    let (attributes, _) = split(value)?;
    let mut kept = BytesMut::new();
    for attribute in xattr::each(attributes) {
        let attribute = attribute?;
        if attribute.name.first() == Some(&SYSTEM) {
            kept.put_slice(attribute.stored);
        }
    }
    let length = u32::try_from(kept.len()).ok().filter(|&length| length > 0)?;
    Some([&length.to_be_bytes(), kept.as_ref()].concat().into())
}

#[cfg(test)]
#[path = "value/tests.rs"]
mod tests;
