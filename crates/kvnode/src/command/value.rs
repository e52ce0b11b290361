//! The encoding of a value: snappy, JSON, extended attributes. Pure.
//!
//! Extended attributes precede the body: their length as a u32, then the pairs.

use bytes::{BufMut as _, Bytes, BytesMut};
use mcbp::{Datatype, Status};
use serde::de::IgnoredAny;

use super::xattrs;
use crate::protocol::{Features, RequestError};

/// The largest value, compressed or not. Source: kv_engine's `max_item_size`.
pub const VALUE_BYTES_MAX: usize = 20 * 1024 * 1024;
/// Room for extended attributes beside the value. Source: `max_item_privileged_bytes`.
pub(super) const XATTR_BYTES_MAX: usize = 1024 * 1024;

/// A value and its datatype.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Value {
    pub(super) bytes: Bytes,
    pub(super) datatype: Datatype,
}

impl Value {
    /// A client's value. Sets the JSON bit from the body and ignores the client's.
    ///
    /// # Errors
    /// [`Status::E2BIG`]; [`Status::EINVAL`] if the value cannot be decompressed, or would have too
    /// many bytes then; [`Status::XATTR_EINVAL`] for attributes that cannot be stored.
    pub(super) fn checked(bytes: Bytes, datatype: Datatype) -> Result<Self, RequestError> {
        let xattrs = datatype.contains(Datatype::XATTR);
        let bytes_max = VALUE_BYTES_MAX + if xattrs { XATTR_BYTES_MAX } else { 0 };
        if bytes.len() > bytes_max {
            let context = format!("a value has at most {bytes_max} bytes");
            return Err(RequestError::new(Status::E2BIG, context));
        }
        let mut value = Self { bytes, datatype };
        if value.bytes.is_empty() && datatype.contains(Datatype::SNAPPY) {
            return Err(RequestError::new(Status::EINVAL, "the value cannot be decompressed"));
        }
        if value.bytes.is_empty() {
            // No JSON.
            value.datatype = Datatype::RAW;
            return Ok(value);
        }
        let inflated = value.inflated().map_err(|_| {
            let context = format!("the value cannot be decompressed to {bytes_max} bytes or less");
            RequestError::new(Status::EINVAL, context)
        })?;
        let malformed =
            || RequestError::new(Status::XATTR_EINVAL, "the extended attributes are malformed");
        let (attributes, body) = inflated.split().map_err(|_| malformed())?;
        if !xattrs::are_good(attributes.get(4..).unwrap_or_default()) {
            return Err(malformed());
        }
        value.datatype = value.datatype.without(Datatype::JSON);
        if is_json(&body) {
            value.datatype = value.datatype.with(Datatype::JSON);
        }
        Ok(value)
    }

    /// The bytes of the value once it is decompressed, as it says itself.
    ///
    /// # Errors
    /// [`Status::EINVAL`] if it says none, or more than snappy can make of it.
    pub(super) fn inflated_bytes(&self) -> Result<usize, Status> {
        if !self.datatype.contains(Datatype::SNAPPY) || self.bytes.is_empty() {
            return Ok(self.bytes.len());
        }
        let bytes = snap::raw::decompress_len(&self.bytes).map_err(|_| Status::EINVAL)?;
        // Three bytes repeat up to 64.
        if bytes / 64 > self.bytes.len() { Err(Status::EINVAL) } else { Ok(bytes) }
    }

    /// The value, decompressed.
    pub(super) fn inflated(&self) -> Result<Self, Status> {
        if !self.datatype.contains(Datatype::SNAPPY) || self.bytes.is_empty() {
            return Ok(self.clone());
        }
        let bytes = self.inflated_bytes()?;
        if bytes > VALUE_BYTES_MAX + XATTR_BYTES_MAX {
            return Err(Status::E2BIG);
        }
        let inflated = snap::raw::Decoder::new().decompress_vec(&self.bytes);
        let bytes = Bytes::from(inflated.map_err(|_| Status::EINVAL)?);
        Ok(Self { bytes, datatype: self.datatype.without(Datatype::SNAPPY) })
    }

    /// Returns the extended attributes with their length (empty if there are none) and the body,
    /// both decompressed.
    pub(super) fn split(&self) -> Result<(Bytes, Bytes), Status> {
        let Self { bytes, datatype } = self.inflated()?;
        if !datatype.contains(Datatype::XATTR) {
            return Ok((Bytes::new(), bytes));
        }
        let length = bytes.first_chunk::<4>().map(|length| u32::from_be_bytes(*length));
        let xattrs = length.and_then(|length| usize::try_from(length).ok()).map(|n| n + 4);
        let xattrs = xattrs.filter(|&end| end <= bytes.len()).ok_or(Status::XATTR_EINVAL)?;
        Ok((bytes.slice(..xattrs), bytes.slice(xattrs..)))
    }

    /// A value of extended attributes with their length, and a body.
    pub(super) fn joined(xattrs: &[u8], body: &[u8]) -> Result<Self, Status> {
        if body.len() > VALUE_BYTES_MAX {
            return Err(Status::E2BIG);
        }
        let mut bytes = BytesMut::with_capacity(xattrs.len() + body.len());
        bytes.put_slice(xattrs);
        bytes.put_slice(body);
        let json = if is_json(body) { Datatype::JSON } else { Datatype::RAW };
        let xattr = if xattrs.is_empty() { Datatype::RAW } else { Datatype::XATTR };
        Ok(Self { bytes: bytes.freeze(), datatype: json.with(xattr) })
    }

    /// The memory of [`Value::shown`], if it can be shown, with that of the value itself.
    pub(super) fn shown_bytes_max(&self, features: &Features) -> usize {
        let inflates = self.datatype.contains(Datatype::XATTR) || !features.snappy;
        let inflated = if inflates && self.datatype.contains(Datatype::SNAPPY) {
            let bytes = snap::raw::decompress_len(&self.bytes).unwrap_or_default();
            bytes.min(VALUE_BYTES_MAX + XATTR_BYTES_MAX)
        } else {
            0
        };
        self.bytes.len() + inflated
    }

    /// The body, in the encoding that a connection with `features` may receive.
    pub(super) fn shown(&self, features: &Features) -> Result<Self, Status> {
        let has_xattrs = self.datatype.contains(Datatype::XATTR);
        let mut shown =
            if has_xattrs || !features.snappy { self.inflated()? } else { self.clone() };
        if has_xattrs {
            (_, shown.bytes) = shown.split()?;
            shown.datatype = shown.datatype.without(Datatype::XATTR);
        }
        if !features.json {
            shown.datatype = shown.datatype.without(Datatype::JSON);
        }
        Ok(shown)
    }
}

/// Whether `bytes` are a JSON value.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
