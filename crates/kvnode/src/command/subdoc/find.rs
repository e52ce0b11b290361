//! One lookup. What it finds is a part of the document's memory, not a copy. Pure.

use bytes::Bytes;
use mcbp::Status;
use mcbp::subdoc::path_flags::BINARY;
use subdoc::{Fault, Found, Lookup, Path, lookup};

use super::binary;
use super::decode::Operation;
use super::document::Document;
use super::rules::Action;
use super::virtuals::Metadata;
use crate::command::xattrs;

/// The answer to one lookup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) value: Bytes,
}

/// Executes a lookup.
pub(super) fn find(it: &Operation<'_>, document: &Document, metadata: &Metadata) -> Answer {
    match place(it, document, metadata) {
        Ok(value) if it.has(BINARY) && it.action == Action::Look(Lookup::Get) => {
            match binary::decoded(&value) {
                Some(value) => Answer { status: Status::SUCCESS, value },
                // As kv_engine: the value comes all the same.
                None => Answer { status: Status::SUBDOC_FIELD_NOT_BINARY_VALUE, value },
            }
        }
        Ok(value) => Answer { status: Status::SUCCESS, value },
        Err(status) => Answer { status, value: Bytes::new() },
    }
}

fn place(it: &Operation<'_>, document: &Document, metadata: &Metadata) -> Result<Bytes, Status> {
    let what = match it.action {
        Action::Look(what) => what,
        // Without a body there is nothing at its path.
        _ if document.body.is_empty() => return Err(Status::SUBDOC_PATH_ENOENT),
        _ => return Ok(document.body.clone()),
    };
    if !it.is_xattr() {
        if !document.is_json {
            return Err(Status::SUBDOC_DOC_NOTJSON);
        }
        return at(&document.body, it.path, what);
    }
    let key = xattrs::key(it.path).ok_or(Status::XATTR_EINVAL)?;
    let rest = xattrs::within(it.path, key);
    if it.is_virtual() {
        let value = metadata.attribute(key, rest, document)?;
        return at(&value.into(), rest, what);
    }
    let Some(value) = xattrs::find(&document.attributes, key) else {
        Path::parse(it.path).map_err(status)?;
        return Err(Status::SUBDOC_PATH_ENOENT);
    };
    at(&document.attributes.slice_ref(value), rest, what)
}

/// Looks up what JSON has at a path.
///
/// # Errors
/// The status of a [`Fault`].
pub(super) fn at(json: &Bytes, path: &[u8], what: Lookup) -> Result<Bytes, Status> {
    let path = Path::parse(path).map_err(status)?;
    Ok(match lookup(json, &path, what).map_err(status)? {
        Found::Value(value) => json.slice_ref(value),
        Found::Exists => Bytes::new(),
        Found::Count(count) => count.to_string().into(),
    })
}

/// The status of a fault.
pub(super) const fn status(fault: Fault) -> Status {
    Status(fault.status())
}
