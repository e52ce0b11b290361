//! All operations of a change, applied to a document one after the other. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use mcbp::Status;
use mcbp::subdoc::doc_flags::{ADD, CREATE_AS_DELETED, MKDOC, REVIVE};
use mcbp::subdoc::path_flags::{BINARY, EXPAND_MACROS, MKDIR_P};
use subdoc::{Lookup, Mutation, Path, mutate};

use super::decode::{Job, Operation};
use super::document::Document;
use super::macros::{Macro, Marks};
use super::rules::Action;
use super::virtuals::Metadata;
use super::{binary, find};
use crate::bucket::Stamp;
use crate::command::value::{Value, is_json};
use crate::command::xattrs;

/// A changed document.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) value: Value,
    pub(super) stamps: Vec<Stamp>,
    /// Whether it is a deletion.
    pub(super) is_deleted: bool,
    /// The numbers that counters have now, with the index of the operation.
    pub(super) counters: Vec<(u8, String)>,
}

/// Why a change fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// The operation with this index fails.
    At(u8, Status),
    /// The whole fails.
    Whole(Status),
}

/// What the operations of a change start from.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) document: Document,
    pub(super) metadata: Metadata,
    /// Whether there was no document.
    pub(super) is_new: bool,
}

/// A document that does not exist, and is to be made.
pub(super) fn made(job: &Job<'_>) -> Document {
    if job.flag(CREATE_AS_DELETED) {
        return Document { is_deleted: true, ..Document::default() };
    }
    // The first operation on JSON decides what the body is.
    let is_change = |it: &&Operation<'_>| matches!(it.action, Action::Change(_));
    let root = job.operations.iter().find(is_change).map(|it| match it.path {
        [] | [b'[', ..] => "[]",
        _ => "{}",
    });
    Document {
        body: root.unwrap_or_default().into(),
        is_json: root.is_some(),
        ..Document::default()
    }
}

/// Applies the operations. `random` makes numbers that clients cannot foresee.
///
/// # Errors
/// The first failure: then nothing is changed.
pub(super) fn change(
    job: &Job<'_>,
    start: &Start,
    random: impl FnMut() -> u64,
) -> Result<Changed, Failure> {
    let old = &start.document;
    let marks = job.operations.iter().any(|it| it.has(EXPAND_MACROS)).then(|| {
        let values = job.operations.iter().map(|it| it.value);
        let texts: Vec<&[u8]> = values.chain([old.attributes.as_ref()]).collect();
        Marks::unlike(&texts, random)
    });
    let body = old.body.clone();
    let mut state = State { job, start, marks, json: None, body, is_json: old.is_json };
    let mut counters = Vec::new();
    for (index, operation) in (0_u8..).zip(&job.operations) {
        let counter = state.apply(operation).map_err(|status| Failure::At(index, status))?;
        counters.extend(counter.map(|number| (index, number.to_string())));
    }
    state.finished(counters).map_err(Failure::Whole)
}

struct State<'a> {
    job: &'a Job<'a>,
    start: &'a Start,
    marks: Option<Marks>,
    /// The attributes as JSON, once one of them is changed.
    json: Option<Bytes>,
    body: Bytes,
    is_json: bool,
}

impl State<'_> {
    /// Returns the new number of a counter.
    fn apply(&mut self, it: &Operation<'_>) -> Result<Option<i64>, Status> {
        match it.action {
            Action::SetBody => {
                self.body = Bytes::copy_from_slice(it.value);
                self.is_json = is_json(it.value);
            }
            Action::Delete => (self.body, self.is_json) = (Bytes::new(), false),
            Action::BodyFromXattr => {
                self.body = find::at(&self.attributes()?, it.path, Lookup::Get)?;
                self.is_json = true;
                if it.has(BINARY) {
                    let bytes = binary::decoded(&self.body);
                    self.body = bytes.ok_or(Status::SUBDOC_FIELD_NOT_BINARY_VALUE)?;
                    self.is_json = is_json(&self.body);
                }
            }
            Action::Change(what) => return self.mutate(it, what),
            Action::Look(_) | Action::GetBody => return Err(Status::EINTERNAL),
        }
        Ok(None)
    }

    fn mutate(&mut self, it: &Operation<'_>, what: Mutation) -> Result<Option<i64>, Status> {
        if !it.is_xattr() && !self.is_json {
            return Err(Status::SUBDOC_DOC_NOTJSON);
        }
        let path = Path::parse(it.path).map_err(find::status)?;
        let creates_path = it.has(MKDIR_P) || self.job.flag(MKDOC) || self.job.flag(ADD);
        let value = self.value(it)?;
        let text = if it.is_xattr() { self.attributes()? } else { self.body.clone() };
        let changed = mutate(&text, &path, what, &value, creates_path).map_err(find::status)?;
        let text = if it.is_xattr() { self.json.get_or_insert_default() } else { &mut self.body };
        *text = changed.document.into();
        Ok(changed.counter)
    }

    fn attributes(&mut self) -> Result<Bytes, Status> {
        if let Some(json) = &self.json {
            return Ok(json.clone());
        }
        let json = Bytes::from(xattrs::to_json(&self.start.document.attributes)?);
        self.json = Some(json.clone());
        Ok(json)
    }

    /// The value of an operation, as JSON.
    fn value<'a>(&self, it: &Operation<'a>) -> Result<Cow<'a, [u8]>, Status> {
        if it.has(BINARY) {
            return Ok(binary::encoded(it.value).into_bytes().into());
        }
        if !it.has(EXPAND_MACROS) {
            return Ok(it.value.into());
        }
        let unknown = Status::SUBDOC_XATTR_UNKNOWN_VATTR_MACRO;
        let what = Macro::parse(it.value).ok_or(unknown)?;
        let Macro::Document(field) = what else {
            let marks = self.marks.as_ref().ok_or(Status::EINTERNAL)?;
            return Ok(marks.of(what).ok_or(unknown)?.into_bytes().into());
        };
        let path = match field {
            [] => field,
            [b'.', path @ ..] => path,
            _ => return Err(unknown),
        };
        let Start { document, metadata, .. } = self.start;
        let all = metadata.attribute(b"$document", path, document)?;
        let value = find::at(&all.into(), path, Lookup::Get).map_err(|_| unknown)?;
        Ok(value.to_vec().into())
    }

    fn finished(self, counters: Vec<(u8, String)>) -> Result<Changed, Status> {
        let (job, old) = (self.job, &self.start.document);
        let attributes = match self.json {
            Some(json) => xattrs::from_json(&json, &old.attributes)?.into(),
            None => old.attributes.clone(),
        };
        let deletes = job.operations.iter().any(|it| it.action == Action::Delete);
        let is_deleted = deletes || (old.is_deleted && !job.flag(REVIVE));
        let (body, is_json) = (self.body, self.is_json);
        let mut document = Document { attributes, body, is_json, is_deleted };
        if is_deleted && !document.body.is_empty() {
            return Err(Status::SUBDOC_DELETED_DOCUMENT_CANT_HAVE_VALUE);
        }
        if deletes {
            document = document.deleted();
            if old.is_deleted && document.attributes.is_empty() {
                return Err(Status::KEY_ENOENT);
            }
        }
        let mut stamps = Vec::new();
        if let Some(marks) = &self.marks {
            let mut attributes = document.attributes.to_vec();
            stamps = marks.settle(&mut attributes, &document.body);
            document.attributes = attributes.into();
        }
        let (value, start) = document.into_value()?;
        stamps.iter_mut().for_each(|stamp| stamp.at += start);
        Ok(Changed { value, stamps, is_deleted, counters })
    }
}
