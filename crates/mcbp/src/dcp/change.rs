//! What the frames that carry a change have in common, whichever opcode they have.

use std::fmt;

use super::{Abort, Commit, Deletion, Expiration, Mutation};
use crate::{Frame, FrameError, Opcode, Seqno};

/// The change of a document: a MUTATION, DELETION or EXPIRATION, without key and value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DocumentChange {
    /// The sequence number of the change.
    pub seqno: Seqno,
    /// How often the document was changed.
    pub rev: u64,
    /// What became of the document.
    pub kind: ChangeKind,
}

/// What a change did to its document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// It has a value.
    Document {
        /// The user's flags.
        flags: u32,
        /// Unix time in seconds at which it expires; 0 for never.
        expiry: u32,
    },
    /// It was deleted.
    Deleted {
        /// Unix time in seconds; `None` where the frame does not say.
        at: Option<u32>,
    },
    /// It expired.
    Expired {
        /// Unix time in seconds.
        at: u32,
    },
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document { flags, expiry } => {
                write!(f, "a document with flags {flags} and expiry {expiry}")
            }
            Self::Deleted { at: Some(at) } => write!(f, "a deletion at {at}"),
            Self::Deleted { at: None } => f.write_str("a deletion without a time"),
            Self::Expired { at } => write!(f, "an expiration at {at}"),
        }
    }
}

impl DocumentChange {
    /// Reads the extras; `None` for a frame of another opcode.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] where the extras do not have the form that the opcode asks for.
    #[inline]
    pub fn decode(frame: &Frame<'_>) -> Result<Option<Self>, FrameError> {
        Ok(Some(match frame.opcode() {
            Opcode::DCP_MUTATION => {
                let Mutation { seqno, rev, flags, expiry, .. } = Mutation::decode(frame)?;
                Self { seqno, rev, kind: ChangeKind::Document { flags, expiry } }
            }
            Opcode::DCP_DELETION => {
                let Deletion { seqno, rev, delete_time: at } = Deletion::decode(frame)?;
                Self { seqno, rev, kind: ChangeKind::Deleted { at } }
            }
            Opcode::DCP_EXPIRATION => {
                let Expiration { seqno, rev, delete_time: at } = Expiration::decode(frame)?;
                Self { seqno, rev, kind: ChangeKind::Expired { at } }
            }
            _ => return Ok(None),
        }))
    }
}

/// The seqno of a frame that is a change: of a document, of a collection, or a step of a durable
/// write. `None` for any other frame, and for one whose extras are too short.
#[must_use]
pub fn change_seqno(frame: &Frame<'_>) -> Option<Seqno> {
    match frame.opcode() {
        Opcode::DCP_MUTATION
        | Opcode::DCP_DELETION
        | Opcode::DCP_EXPIRATION
        | Opcode::DCP_SYSTEM_EVENT
        | Opcode::DCP_PREPARE => {
            frame.extras.first_chunk().map(|seqno| Seqno(u64::from_be_bytes(*seqno)))
        }
        Opcode::DCP_COMMIT => Commit::decode(frame).ok().map(|commit| commit.committed),
        Opcode::DCP_ABORT => Abort::decode(frame).ok().map(|abort| abort.aborted),
        _ => None,
    }
}
