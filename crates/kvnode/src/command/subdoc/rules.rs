//! What each operation may carry. Source: the recordings 15a and 15b, and the behaviour of
//! kv_engine 8.0.2.

use mcbp::Opcode;
use mcbp::subdoc::doc_flags::{
    ACCESS_DELETED, ADD, CREATE_AS_DELETED, MKDOC, REPLICA_READ, REVIVE,
};
use mcbp::subdoc::path_flags::{BINARY, EXPAND_MACROS, MKDIR_P, XATTR};
use subdoc::{Lookup, Mutation};

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// Looks something up at the path.
    Look(Lookup),
    /// Returns the body.
    GetBody,
    /// Changes what is at the path.
    Change(Mutation),
    /// Replaces the body.
    SetBody,
    /// Deletes the document; system attributes stay.
    Delete,
    /// Replaces the body by what an attribute has at the path.
    BodyFromXattr,
}

impl Action {
    pub(super) const fn is_mutation(self) -> bool {
        !matches!(self, Self::Look(_) | Self::GetBody)
    }

    /// Whether it is on the whole body, and has no path.
    pub(super) const fn is_whole(self) -> bool {
        matches!(self, Self::GetBody | Self::SetBody | Self::Delete)
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) action: Action,
    /// Allowed bits of `mcbp::subdoc::path_flags`.
    pub(super) path_flags: u8,
    /// Bits of these that it must have.
    pub(super) path_flags_needed: u8,
    /// Allowed bits of `mcbp::subdoc::doc_flags`.
    pub(super) doc_flags: u8,
    /// Whether it has a value; if so, never an empty one.
    pub(super) has_value: bool,
    /// Whether its path may be empty.
    pub(super) may_be_root: bool,
}

const LOOKS: u8 = ACCESS_DELETED | REPLICA_READ;
const CHANGES: u8 = ACCESS_DELETED | REVIVE;
const CREATES: u8 = CHANGES | MKDOC | ADD | CREATE_AS_DELETED;
/// What does not make a document, and may be in a request that does.
const ADDS: u8 = CHANGES | ADD | CREATE_AS_DELETED;
const INSERTS: u8 = XATTR | EXPAND_MACROS | BINARY;

/// The rule of an opcode; `None` if it is no operation.
pub(super) const fn rule(opcode: Opcode) -> Option<Rule> {
    use Action::{BodyFromXattr, Change, Delete, GetBody, Look, SetBody};
    let (action, path_flags, doc_flags) = match opcode {
        Opcode::GET => (GetBody, 0, LOOKS),
        Opcode::SET => (SetBody, 0, MKDOC | ADD),
        Opcode::DELETE => (Delete, 0, ACCESS_DELETED),
        Opcode::SUBDOC_GET => (Look(Lookup::Get), XATTR | BINARY, LOOKS),
        Opcode::SUBDOC_EXISTS => (Look(Lookup::Exists), XATTR, LOOKS),
        Opcode::SUBDOC_GET_COUNT => (Look(Lookup::Count), XATTR, LOOKS),
        Opcode::SUBDOC_DICT_ADD => (Change(Mutation::DictAdd), INSERTS | MKDIR_P, CREATES),
        Opcode::SUBDOC_DICT_UPSERT => (Change(Mutation::DictUpsert), INSERTS | MKDIR_P, CREATES),
        Opcode::SUBDOC_DELETE => (Change(Mutation::Delete), XATTR, CHANGES),
        Opcode::SUBDOC_REPLACE => (Change(Mutation::Replace), INSERTS, ADDS),
        Opcode::SUBDOC_ARRAY_PUSH_LAST => (Change(Mutation::PushLast), INSERTS | MKDIR_P, CREATES),
        Opcode::SUBDOC_ARRAY_PUSH_FIRST => {
            (Change(Mutation::PushFirst), INSERTS | MKDIR_P, CREATES)
        }
        Opcode::SUBDOC_ARRAY_INSERT => (Change(Mutation::Insert), INSERTS, ADDS),
        Opcode::SUBDOC_ARRAY_ADD_UNIQUE => (Change(Mutation::AddUnique), XATTR | MKDIR_P, CREATES),
        Opcode::SUBDOC_COUNTER => (Change(Mutation::Counter), XATTR | MKDIR_P, CREATES),
        Opcode::SUBDOC_REPLACE_BODY_WITH_XATTR => (BodyFromXattr, XATTR | BINARY, CHANGES),
        _ => return None,
    };
    Some(Rule {
        action,
        path_flags,
        path_flags_needed: if matches!(action, BodyFromXattr) { XATTR } else { 0 },
        doc_flags,
        has_value: matches!(action, SetBody | Change(_))
            && !matches!(action, Change(Mutation::Delete)),
        may_be_root: action.is_whole()
            || matches!(
                action,
                Look(Lookup::Count)
                    | Change(Mutation::PushLast | Mutation::PushFirst | Mutation::AddUnique)
            ),
    })
}
