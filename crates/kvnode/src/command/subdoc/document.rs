//! A stored value as sub-document operations see it: inflated, attributes and body apart. Pure.

use bytes::{Bytes, BytesMut};
use mcbp::{Datatype, Status, xattr};
use vbucket::Row;
use vbucket::value::kept_by_deletion;

use crate::command::value::{VALUE_BYTES_MAX, Value, XATTR_BYTES_MAX};
use crate::command::xattrs;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Document {
    /// The attributes as they are stored, without the length before them.
    pub(super) attributes: Bytes,
    pub(super) body: Bytes,
    /// Whether the body is JSON.
    pub(super) is_json: bool,
    /// Whether it is a deletion.
    pub(super) is_deleted: bool,
}

impl Document {
    /// The newest version of a document, which may be a deletion.
    ///
    /// # Errors
    /// [`Status::EINTERNAL`] for a value that does not match its datatype.
    pub(super) fn of(row: &Row) -> Result<Self, Status> {
        Self::from_parts(row.datatype, row.value.clone(), !row.is_alive())
    }

    /// A document that is overdue: the deletion that it becomes.
    ///
    /// # Errors
    /// As [`Document::of`].
    pub(super) fn expired(row: &Row) -> Result<Self, Status> {
        let (datatype, value) = kept_by_deletion(row.datatype, &row.value);
        Self::from_parts(datatype, value, true)
    }

    fn from_parts(datatype: Datatype, bytes: Bytes, is_deleted: bool) -> Result<Self, Status> {
        let is_json = datatype.contains(Datatype::JSON) && !bytes.is_empty();
        if bytes.is_empty() {
            return Ok(Self { is_deleted, ..Self::default() });
        }
        let (attributes, body) =
            Value { bytes, datatype }.split().map_err(|_| Status::EINTERNAL)?;
        let attributes = attributes.get(4..).map(|it| attributes.slice_ref(it));
        let attributes = attributes.unwrap_or_default();
        Ok(Self { attributes, body, is_json, is_deleted })
    }

    /// The value as it is stored, and where the attributes begin in it.
    ///
    /// # Errors
    /// [`Status::E2BIG`] for more than 20 MiB of body and user attributes, or more than 1 MiB of
    /// system attributes.
    pub(super) fn into_value(self) -> Result<(Value, usize), Status> {
        let system_bytes = xattr::each(&self.attributes)
            .flatten()
            .filter(|it| it.name.starts_with(b"_"))
            .map(|it| it.stored.len())
            .sum::<usize>();
        let user_bytes = self.attributes.len().saturating_sub(system_bytes) + self.body.len();
        if system_bytes > XATTR_BYTES_MAX || user_bytes > VALUE_BYTES_MAX {
            return Err(Status::E2BIG);
        }
        let json = if self.is_json { Datatype::JSON } else { Datatype::RAW };
        if self.attributes.is_empty() {
            return Ok((Value { bytes: self.body, datatype: json }, 0));
        }
        let length = u32::try_from(self.attributes.len()).map_err(|_| Status::E2BIG)?;
        let length = length.to_be_bytes();
        let all = length.len() + self.attributes.len() + self.body.len();
        let mut bytes = BytesMut::with_capacity(all);
        for part in [&length[..], &self.attributes, &self.body] {
            bytes.extend_from_slice(part);
        }
        let datatype = json.with(Datatype::XATTR);
        Ok((Value { bytes: bytes.freeze(), datatype }, length.len()))
    }

    /// The deletion that it becomes: system attributes alone.
    pub(super) fn deleted(&self) -> Self {
        let attributes = xattrs::system(&self.attributes).into();
        Self { attributes, is_deleted: true, ..Self::default() }
    }
}
