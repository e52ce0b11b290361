//! Requests, checked in full before the document is looked at. Pure.

use mcbp::subdoc::doc_flags::{
    ACCESS_DELETED, ADD, CREATE_AS_DELETED, MKDOC, REPLICA_READ, REVIVE,
};
use mcbp::subdoc::path_flags::{BINARY, EXPAND_MACROS, XATTR};
use mcbp::subdoc::{DocumentExtras, PathExtras, SPECS_MAX, Spec};
use mcbp::{Datatype, Opcode, Status};
use subdoc::PATH_BYTES_MAX;

use super::macros::Macro;
use super::rules::{Action, rule};
use crate::command::xattrs;
use crate::protocol::{Features, Request, RequestError};

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation<'a> {
    pub(super) action: Action,
    /// Bits of `mcbp::subdoc::path_flags`.
    pub(super) flags: u8,
    pub(super) path: &'a [u8],
    pub(super) value: &'a [u8],
}

impl Operation<'_> {
    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) const fn is_xattr(&self) -> bool {
        self.has(XATTR)
    }

    /// Whether it is on an attribute that is computed.
    pub(super) fn is_virtual(&self) -> bool {
        self.is_xattr() && self.path.starts_with(b"$")
    }
}

/// A request.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// 1 to 16; those on attributes come first.
    pub(super) operations: Vec<Operation<'a>>,
    /// Whether it is SUBDOC_MULTI_LOOKUP or SUBDOC_MULTI_MUTATION.
    pub(super) is_multi: bool,
    pub(super) is_mutation: bool,
    pub(super) extras: DocumentExtras,
    /// 0 matches every document.
    pub(super) cas: u64,
}

impl<'a> Job<'a> {
    /// Checks a request.
    ///
    /// # Errors
    /// The status of the answer, with a text.
    pub(super) fn of(request: &Request<'a>, features: &Features) -> Result<Self, RequestError> {
        let frame = &request.frame;
        if frame.header.datatype != Datatype::RAW {
            return Err(invalid("the datatype of a sub-document request must be 0"));
        }
        let is_multi =
            matches!(frame.opcode(), Opcode::SUBDOC_MULTI_LOOKUP | Opcode::SUBDOC_MULTI_MUTATION);
        let mut job = Self {
            operations: Vec::new(),
            is_multi,
            is_mutation: frame.opcode() == Opcode::SUBDOC_MULTI_MUTATION,
            extras: DocumentExtras::default(),
            cas: frame.header.cas,
        };
        if is_multi {
            job.extras = DocumentExtras::decode(frame)?;
            job.check_flags()?;
            for spec in Spec::each(frame) {
                job.add(spec?, features)?;
            }
            if job.operations.is_empty() {
                return Err(combination("a request has at least one operation"));
            }
        } else {
            let extras = PathExtras::decode(frame)?;
            job.extras = extras.document;
            job.check_flags()?;
            let spec = Spec::single(frame, &extras)?;
            job.is_mutation = rule(spec.opcode).is_some_and(|rule| rule.action.is_mutation());
            job.add(spec, features)?;
            if job.flag(CREATE_AS_DELETED) && !job.operations.iter().all(Operation::is_xattr) {
                return Err(invalid("a deletion that is created has no body"));
            }
        }
        Ok(job)
    }

    /// Whether the extras have a bit of `mcbp::subdoc::doc_flags`.
    pub(super) const fn flag(&self, flag: u8) -> bool {
        self.extras.flags & flag != 0
    }

    /// Whether an operation needs to know of the document's metadata.
    pub(super) fn is_about_metadata(&self) -> bool {
        self.operations.iter().any(|it| it.is_virtual() || it.has(EXPAND_MACROS))
    }

    fn check_flags(&self) -> Result<(), RequestError> {
        if self.flag(ADD) && self.cas != 0 {
            return Err(invalid("the flag ADD takes no CAS"));
        }
        for (one, other, text) in [
            (ADD, MKDOC, "the flags ADD and MKDOC exclude each other"),
            (
                REVIVE,
                CREATE_AS_DELETED,
                "the flags REVIVE and CREATE_AS_DELETED exclude each other",
            ),
            (REPLICA_READ, ACCESS_DELETED, "deletions cannot be read from a replica"),
        ] {
            if self.flag(one) && self.flag(other) {
                return Err(invalid(text));
            }
        }
        if self.flag(REVIVE) && !self.flag(ACCESS_DELETED) {
            return Err(invalid("the flag REVIVE needs ACCESS_DELETED"));
        }
        Ok(())
    }

    fn add(&mut self, spec: Spec<'a>, features: &Features) -> Result<(), RequestError> {
        if self.operations.len() == SPECS_MAX {
            return Err(combination("a request has at most 16 operations"));
        }
        let operation = self.checked(&spec)?;
        check_xattr(&operation, features)?;
        if let Some(last) = self.operations.last() {
            if operation.is_xattr() && !last.is_xattr() {
                return Err(Status::SUBDOC_INVALID_XATTR_ORDER.into());
            }
            let deletes = |it: &Operation<'_>| it.action == Action::Delete;
            if deletes(last) || (deletes(&operation) && !last.is_xattr()) {
                return Err(combination("a deletion is the only operation on the body"));
            }
        }
        self.operations.push(operation);
        Ok(())
    }

    fn checked(&self, spec: &Spec<'a>) -> Result<Operation<'a>, RequestError> {
        let Spec { opcode, path_flags: flags, path, value } = *spec;
        let Some(rule) = rule(opcode) else {
            return Err(combination(format!("{opcode} is no sub-document operation")));
        };
        if rule.action.is_mutation() != self.is_mutation {
            return Err(combination("lookups and changes are requests of their own"));
        }
        if flags & !rule.path_flags != 0 {
            return Err(invalid(format!("{opcode} does not take the path flags {flags:#04x}")));
        }
        if flags & rule.path_flags_needed != rule.path_flags_needed {
            return Err(invalid(format!("{opcode} needs the flag XATTR")));
        }
        if self.extras.flags & !rule.doc_flags != 0 {
            let flags = self.extras.flags;
            return Err(invalid(format!("{opcode} does not take the document flags {flags:#04x}")));
        }
        if path.len() > PATH_BYTES_MAX {
            let bytes = path.len();
            return Err(invalid(format!("a path of {bytes} bytes, at most 1024 are taken")));
        }
        if rule.action.is_whole() && !path.is_empty() {
            return Err(invalid(format!("{opcode} has no path")));
        }
        if path.is_empty() && !rule.may_be_root && flags & XATTR == 0 {
            return Err(invalid(format!("{opcode} needs a path")));
        }
        if value.is_empty() == rule.has_value {
            let has = if rule.has_value { "needs a" } else { "has no" };
            return Err(invalid(format!("{opcode} {has} value")));
        }
        Ok(Operation { action: rule.action, flags, path, value })
    }
}

/// What concerns extended attributes.
fn check_xattr(operation: &Operation<'_>, features: &Features) -> Result<(), RequestError> {
    let (expands, is_binary) = (operation.has(EXPAND_MACROS), operation.has(BINARY));
    if (expands || is_binary) && !operation.is_xattr() || (expands && is_binary) {
        return Err(RequestError::new(
            Status::SUBDOC_XATTR_INVALID_FLAG_COMBO,
            "EXPAND_MACROS and BINARY need the flag XATTR, and exclude each other",
        ));
    }
    if !operation.is_xattr() {
        return Ok(());
    }
    if !features.xattr {
        return Err(RequestError::new(
            Status::NOT_SUPPORTED,
            "the connection has not negotiated extended attributes (XATTR in HELLO)",
        ));
    }
    if xattrs::key(operation.path).is_none() {
        return Err(RequestError::new(
            Status::XATTR_EINVAL,
            "an attribute's name has 1 to 15 bytes of UTF-8 and no punctuation in front but _",
        ));
    }
    if operation.is_virtual() && operation.action.is_mutation() {
        return Err(Status::SUBDOC_XATTR_CANT_MODIFY_VATTR.into());
    }
    if expands && Macro::parse(operation.value).is_none() {
        return Err(Status::SUBDOC_XATTR_UNKNOWN_MACRO.into());
    }
    Ok(())
}

fn invalid(text: impl ToString) -> RequestError {
    RequestError::new(Status::EINVAL, text)
}

fn combination(text: impl ToString) -> RequestError {
    RequestError::new(Status::SUBDOC_INVALID_COMBO, text)
}
