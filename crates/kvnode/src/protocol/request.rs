//! One request as commands see it: a whole frame, checked, its key with the prefix of its
//! collection.

use std::borrow::Cow;

use bytes::Bytes;
use mcbp::key::{DEFAULT_COLLECTION, DEFAULT_PREFIX, KEY_BYTES_MAX as PREFIXED_BYTES_MAX};
use mcbp::{Datatype, Frame, FrameBuilder, Header, Opcode, Status, VbId};

use super::error::RequestError;
use super::features::Features;
use super::{frame_infos, shape};
use crate::bucket::Requirement;

/// The longest key without its prefix. Source: kv_engine's `KEY_MAX_LENGTH`.
pub const KEY_BYTES_MAX: usize = PREFIXED_BYTES_MAX - 1;

/// The same in every other collection: the longest prefix takes four bytes more. kv_engine has this
/// limit for all ids, and its replicas refuse a longer key.
const NAMED_KEY_BYTES_MAX: usize = PREFIXED_BYTES_MAX - 5;

/// Source: kv_engine's `CollectionID::isReserved`.
const RESERVED_COLLECTIONS: std::ops::RangeInclusive<u32> = 1..=7;

/// See the module.
pub(crate) struct Request<'a> {
    /// The whole frame.
    pub(crate) frame: Frame<'a>,
    /// The opcode without its quiet form.
    pub(crate) opcode: Opcode,
    /// Whether a success (for reads: a miss) is not answered.
    pub(crate) quiet: bool,
    /// Keep the expiry of the document.
    pub(crate) preserve_ttl: bool,
    /// Answer once replicas have the change.
    pub(crate) requirement: Option<Requirement>,
    /// The memory that the frame lies in, if values may keep it.
    memory: Option<&'a Bytes>,
}

impl<'a> Request<'a> {
    /// Checks what it carries, and reads the framing extras.
    ///
    /// # Errors
    /// What is malformed, unknown, or not for this command.
    pub(crate) fn new(frame: Frame<'a>, memory: Option<&'a Bytes>) -> Result<Self, RequestError> {
        let (opcode, quiet) = plain(frame.opcode());
        let misshapen = |what| RequestError::new(Status::EINVAL, what);
        shape::check(opcode, &frame).map_err(misshapen)?;
        let asked = frame_infos::read(opcode, quiet, frame.framing)?;
        let frame_infos::Asked { preserve_ttl, requirement, .. } = asked;
        Ok(Self { frame, opcode, quiet, preserve_ttl, requirement, memory })
    }

    /// The start of a successful answer.
    pub(crate) fn success(&self) -> FrameBuilder<'static> {
        self.answer(Status::SUCCESS)
    }

    /// An answer with another status.
    pub(crate) fn answer(&self, status: Status) -> FrameBuilder<'static> {
        let Header { opcode, opaque, .. } = self.frame.header;
        FrameBuilder::response(opcode, status).opaque(opaque)
    }

    /// The vBucket that it names.
    pub(crate) const fn vb(&self) -> VbId {
        self.frame.header.vbucket()
    }

    /// Checks that the request has no CAS: it names no document whose CAS could be compared
    /// (MB-66621).
    ///
    /// # Errors
    /// [`Status::EINVAL`].
    pub(crate) fn without_cas(&self) -> Result<(), RequestError> {
        if self.frame.header.cas == 0 {
            return Ok(());
        }
        Err(RequestError::new(Status::EINVAL, "CAS must be 0"))
    }

    /// The document's key with the prefix of its collection. Without collections it is copied.
    ///
    /// # Errors
    /// [`Status::EINVAL`] for a key that is empty or too long, or has no collection in front of it
    /// that might exist.
    pub(crate) fn key(&self, features: &Features) -> Result<Cow<'a, [u8]>, RequestError> {
        Self::key_in(self.frame.key, features)
    }

    /// The same of a key in a value.
    ///
    /// # Errors
    /// As [`Request::key`].
    pub(crate) fn key_in<'k>(
        key: &'k [u8],
        features: &Features,
    ) -> Result<Cow<'k, [u8]>, RequestError> {
        if !features.collections {
            if !(1..=KEY_BYTES_MAX).contains(&key.len()) {
                return Err(not_within(key.len(), KEY_BYTES_MAX));
            }
            return Ok(Cow::Owned([&[DEFAULT_PREFIX], key].concat()));
        }
        let (collection, rest) = mcbp::key::split(key).ok_or_else(|| {
            RequestError::new(Status::EINVAL, "the key has no collection in front of it")
        })?;
        if RESERVED_COLLECTIONS.contains(&collection) {
            let context = format!("{collection} is never the id of a collection");
            return Err(RequestError::new(Status::EINVAL, context));
        }
        let is_default = collection == DEFAULT_COLLECTION;
        let most = if is_default { KEY_BYTES_MAX } else { NAMED_KEY_BYTES_MAX };
        if !(1..=most).contains(&rest.len()) {
            return Err(not_within(rest.len(), most));
        }
        Ok(Cow::Borrowed(key))
    }

    /// The value: a part of the frame's memory if that may be kept, or else a copy. A slice of the
    /// read buffer would keep all of that alive for as long as the document is in memory.
    pub(crate) fn value(&self) -> Bytes {
        match self.memory {
            Some(memory) => memory.slice_ref(self.frame.value),
            None => Bytes::copy_from_slice(self.frame.value),
        }
    }

    /// The datatype, if the connection negotiated all of its bits.
    ///
    /// # Errors
    /// [`Status::EINVAL`].
    pub(crate) fn datatype(&self, features: &Features) -> Result<Datatype, RequestError> {
        let datatype = self.frame.header.datatype;
        let allowed = [
            (Datatype::JSON, features.json),
            (Datatype::SNAPPY, features.snappy),
            (Datatype::XATTR, features.xattr),
        ];
        let forbidden = allowed.iter().any(|&(bit, granted)| datatype.contains(bit) && !granted);
        if forbidden || !datatype.is_known() {
            let context = format!(
                "the datatype {:#04x} has bits that HELLO has not negotiated, or unknown ones",
                datatype.0
            );
            return Err(RequestError::new(Status::EINVAL, context));
        }
        Ok(datatype)
    }
}

fn not_within(bytes: usize, most: usize) -> RequestError {
    let context = format!("a key has 1 to {most} bytes, this one has {bytes}");
    RequestError::new(Status::EINVAL, context)
}

/// The opcode that a quiet opcode is a form of, and whether it is one.
const fn plain(opcode: Opcode) -> (Opcode, bool) {
    match opcode {
        Opcode::GETQ => (Opcode::GET, true),
        Opcode::GETKQ => (Opcode::GETK, true),
        Opcode::SETQ => (Opcode::SET, true),
        Opcode::ADDQ => (Opcode::ADD, true),
        Opcode::REPLACEQ => (Opcode::REPLACE, true),
        Opcode::DELETEQ => (Opcode::DELETE, true),
        Opcode::INCREMENTQ => (Opcode::INCREMENT, true),
        Opcode::DECREMENTQ => (Opcode::DECREMENT, true),
        Opcode::APPENDQ => (Opcode::APPEND, true),
        Opcode::PREPENDQ => (Opcode::PREPEND, true),
        Opcode::GATQ => (Opcode::GAT, true),
        Opcode::QUITQ => (Opcode::QUIT, true),
        Opcode::GETQ_META => (Opcode::GET_META, true),
        Opcode::SETQ_WITH_META => (Opcode::SET_WITH_META, true),
        Opcode::ADDQ_WITH_META => (Opcode::ADD_WITH_META, true),
        Opcode::DELETEQ_WITH_META => (Opcode::DELETE_WITH_META, true),
        other => (other, false),
    }
}
