//! What a request asks for in its framing extras. Pure.
//!
//! Source: kv_engine's `mcbp_validators.cc` and `opcode.cc`, and what a real node answered in
//! recording 14a of `tests/data/wire`.

use std::time::Duration;

use mcbp::framing::{self, FrameInfo, Level};
use mcbp::{Opcode, Status};

use super::error::RequestError;
use crate::bucket::Requirement;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Asked {
    /// Keep the expiry of the document.
    pub(super) preserve_ttl: bool,
    /// Answer once replicas have the change.
    pub(super) requirement: Option<Requirement>,
    /// Act as another user.
    impersonate: bool,
}

/// Reads the framing extras of a request. `opcode` is not quiet; `quiet` says whether that of the
/// request is.
///
/// # Errors
/// The first one that is malformed, unknown, or not for this command; then that nobody may act as
/// another user.
pub(super) fn read(opcode: Opcode, quiet: bool, framing: &[u8]) -> Result<Asked, RequestError> {
    let mut asked = Asked::default();
    for info in framing::iter(framing) {
        let info = info.map_err(|error| RequestError::new(Status::EINVAL, error))?;
        asked.add(opcode, quiet, info)?;
    }
    if asked.impersonate {
        return Err(RequestError::new(Status::EACCESS, "nobody may act as another user"));
    }
    Ok(asked)
}

impl Asked {
    fn add(
        &mut self,
        opcode: Opcode,
        quiet: bool,
        info: FrameInfo<'_>,
    ) -> Result<(), RequestError> {
        let invalid = |what| Err(RequestError::new(Status::EINVAL, what));
        match (info.id, info.value) {
            // Requests of a connection are never reordered here.
            (framing::BARRIER, []) => {}
            (framing::BARRIER, _) => return invalid("a barrier has no value"),
            (framing::DURABILITY, requirement) => {
                let requirement = requirement_of(requirement)?;
                if quiet || !takes_durability(opcode) {
                    return invalid("the command takes no durability requirement");
                }
                self.requirement = Some(requirement);
            }
            // Commands of DCP read it, others ignore it.
            (framing::DCP_STREAM_ID, [_, _]) => {}
            (framing::DCP_STREAM_ID, _) => return invalid("a stream id has 2 bytes"),
            (framing::IMPERSONATE_USER, [] | [b'^']) => return invalid("the user has no name"),
            (framing::IMPERSONATE_USER, _) => self.impersonate = true,
            (framing::PRESERVE_TTL, []) if takes_preserve_ttl(opcode) => self.preserve_ttl = true,
            (framing::PRESERVE_TTL, []) => {
                let what = "the command cannot preserve the expiry";
                return Err(RequestError::new(Status::NOT_SUPPORTED, what));
            }
            (framing::PRESERVE_TTL, _) => return invalid("preserving the expiry has no value"),
            (framing::IMPERSONATE_PRIVILEGE, []) => return invalid("the privilege has no name"),
            // Of the other user.
            (framing::IMPERSONATE_PRIVILEGE, _) => {}
            (framing::IMPERSONATE_TOKEN, [_, _]) => {
                return Err(RequestError::new(Status::EACCESS, "nobody may act as another user"));
            }
            (framing::IMPERSONATE_TOKEN, _) => return invalid("the id of a token has 2 bytes"),
            _ => return Err(Status::UNKNOWN_FRAME_INFO.into()),
        }
        Ok(())
    }
}

/// A level, and a timeout in ms that is neither 0 nor all ones.
fn requirement_of(requirement: &[u8]) -> Result<Requirement, RequestError> {
    let (level, timeout) = match *requirement {
        [level] => (level, None),
        [level, high, low] => (level, Some(u16::from_be_bytes([high, low]))),
        _ => {
            let what = "a durability requirement has 1 or 3 bytes";
            return Err(RequestError::new(Status::EINVAL, what));
        }
    };
    if let Some(level) = Level::from_wire(level)
        && !matches!(timeout, Some(0 | u16::MAX))
    {
        let timeout = timeout.map(|ms| Duration::from_millis(ms.into()));
        return Ok(Requirement { level, timeout });
    }
    let what = "the level is 1 to 3, the timeout 1 to 65534 ms";
    Err(RequestError::new(Status::DURABILITY_INVALID_LEVEL, what))
}

/// Commands whose quiet forms take no requirement: nobody would hear whether it was met.
const fn takes_durability(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::ADD | Opcode::DELETE | Opcode::TOUCH | Opcode::GAT)
        || takes_preserve_ttl(opcode)
}

/// Commands that change a document which may have an expiry already, quiet or not.
const fn takes_preserve_ttl(opcode: Opcode) -> bool {
    let is_lookup = matches!(
        opcode,
        Opcode::SUBDOC_GET
            | Opcode::SUBDOC_EXISTS
            | Opcode::SUBDOC_GET_COUNT
            | Opcode::SUBDOC_MULTI_LOOKUP
    );
    (opcode.is_subdoc() && !is_lookup)
        || matches!(
            opcode,
            Opcode::SET
                | Opcode::REPLACE
                | Opcode::INCREMENT
                | Opcode::DECREMENT
                | Opcode::APPEND
                | Opcode::PREPEND
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(opcode: Opcode, quiet: bool, framing: &[u8]) -> Status {
        read(opcode, quiet, framing).map_or_else(|error| error.status, |_| Status::SUCCESS)
    }

    #[test]
    fn each_info_has_its_form() {
        for (framing, expected) in [
            (&[0x00][..], Status::SUCCESS),
            (&[0x01, 0], Status::EINVAL),
            (&[0x11, 1], Status::SUCCESS),
            (&[0x13, 3, 0xff, 0xfe], Status::SUCCESS),
            (&[0x11, 0], Status::DURABILITY_INVALID_LEVEL),
            (&[0x11, 4], Status::DURABILITY_INVALID_LEVEL),
            (&[0x13, 1, 0, 0], Status::DURABILITY_INVALID_LEVEL),
            (&[0x13, 1, 0xff, 0xff], Status::DURABILITY_INVALID_LEVEL),
            (&[0x10], Status::EINVAL),
            (&[0x12, 1, 0], Status::EINVAL),
            (&[0x13, 1], Status::EINVAL),
            (&[0x11, 1, 0x11, 2], Status::SUCCESS),
            (&[0x11, 1, 0x11, 4], Status::DURABILITY_INVALID_LEVEL),
            (&[0x22, 0, 1], Status::SUCCESS),
            (&[0x21, 1], Status::EINVAL),
            (&[0x30], Status::UNKNOWN_FRAME_INFO),
            (&[0x40], Status::EINVAL),
            (&[0x41, b'^'], Status::EINVAL),
            (&[0x41, b'u'], Status::EACCESS),
            (&[0x41, b'u', 0x51, 0], Status::EINVAL),
            (&[0x50], Status::SUCCESS),
            (&[0x51, 0], Status::EINVAL),
            (&[0x60], Status::EINVAL),
            (&[0x61, b'p'], Status::SUCCESS),
            (&[0x71, 1], Status::EINVAL),
            (&[0x72, 0, 1], Status::EACCESS),
            (&[0x80], Status::UNKNOWN_FRAME_INFO),
            (&[0xf0, 0], Status::UNKNOWN_FRAME_INFO),
            (&[0xf0], Status::EINVAL),
        ] {
            assert_eq!(status(Opcode::SET, false, framing), expected, "{framing:?}");
        }
    }

    #[test]
    fn a_requirement_and_an_expiry_to_preserve_are_for_changes() {
        let (ok, invalid, no) = (Status::SUCCESS, Status::EINVAL, Status::NOT_SUPPORTED);
        for (opcode, durable, quietly, preserving) in [
            (Opcode::SET, ok, invalid, ok),
            (Opcode::REPLACE, ok, invalid, ok),
            (Opcode::INCREMENT, ok, invalid, ok),
            (Opcode::APPEND, ok, invalid, ok),
            (Opcode::ADD, ok, invalid, no),
            (Opcode::DELETE, ok, invalid, no),
            (Opcode::GAT, ok, invalid, no),
            (Opcode::TOUCH, ok, invalid, no),
            (Opcode::SUBDOC_DICT_UPSERT, ok, invalid, ok),
            (Opcode::SUBDOC_MULTI_MUTATION, ok, invalid, ok),
            (Opcode::SUBDOC_REPLACE_BODY_WITH_XATTR, ok, invalid, ok),
            (Opcode::SUBDOC_MULTI_LOOKUP, invalid, invalid, no),
            (Opcode::SUBDOC_GET, invalid, invalid, no),
            (Opcode::GET, invalid, invalid, no),
            (Opcode::GET_REPLICA, invalid, invalid, no),
            (Opcode::GET_LOCKED, invalid, invalid, no),
            (Opcode::UNLOCK_KEY, invalid, invalid, no),
            (Opcode::GET_META, invalid, invalid, no),
            (Opcode::SET_WITH_META, invalid, invalid, no),
            (Opcode::OBSERVE, invalid, invalid, no),
            (Opcode::EVICT_KEY, invalid, invalid, no),
            (Opcode::RANGE_SCAN_CREATE, invalid, invalid, no),
            (Opcode::NOOP, invalid, invalid, no),
        ] {
            assert_eq!(status(opcode, false, &[0x11, 1]), durable, "{opcode}");
            assert_eq!(status(opcode, true, &[0x11, 1]), quietly, "{opcode}");
            assert_eq!(status(opcode, false, &[0x50]), preserving, "{opcode}");
            assert_eq!(status(opcode, true, &[0x50]), preserving, "{opcode}");
        }
    }
}
