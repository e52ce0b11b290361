//! GET_ERROR_MAP: the name and attributes of each status.

use std::collections::BTreeMap;

use mcbp::{Datatype, Status};
use serde_json::json;

use crate::client::Client;
use crate::protocol::{Request, RequestError};

/// The newest supported format of the map.
const VERSION_MAX: u16 = 2;
/// To be raised when the table below changes.
const REVISION: u16 = 4;

/// Answers with the map, in the requested format or the newest supported one.
pub(super) fn get(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    let version: [u8; 2] = request.frame.value.try_into().map_err(|_| {
        RequestError::new(Status::EINVAL, "the value of GET_ERROR_MAP is a 2-byte version")
    })?;
    let version = u16::from_be_bytes(version);
    if version == 0 {
        // As kv_engine 8.0 answers consumers, which ask for version 0.
        return Err(RequestError::new(Status::KEY_ENOENT, "error maps begin with version 1"));
    }
    let map = map(version.min(VERSION_MAX));
    client.replies.send(&request.success().datatype(Datatype::JSON).value(map.as_bytes()));
    Ok(())
}

fn map(version: u16) -> String {
    let entry = |status: &Status| {
        let name = status.name()?;
        let desc = subdoc_text(*status).unwrap_or(name);
        let entry = json!({ "name": name, "desc": desc, "attrs": attrs(*status) });
        Some((format!("{:x}", status.0), entry))
    };
    let errors: BTreeMap<_, _> = Status::NAMED.iter().filter_map(entry).collect();
    json!({ "version": version, "revision": REVISION, "errors": errors }).to_string()
}

/// The attributes of a status. Source: `docs/ErrorMap.md` of couchbase/kv_engine.
const fn attrs(status: Status) -> &'static [&'static str] {
    match status {
        Status::SUCCESS
        | Status::RANGE_SCAN_CANCELLED
        | Status::RANGE_SCAN_MORE
        | Status::RANGE_SCAN_COMPLETE => &["success"],
        Status::KEY_ENOENT | Status::KEY_EEXISTS | Status::NOT_STORED | Status::NOT_LOCKED => {
            &["item-only"]
        }
        Status::VB_UUID_NOT_EQUAL => &["invalid-input"],
        Status::WOULD_THROTTLE => &["temp", "retry-later", "rate-limit"],
        Status::CONFIG_ONLY => &["fetch-config", "retry-now"],
        Status::E2BIG | Status::DELTA_BADVAL => &["item-only", "invalid-input"],
        Status::CAS_VALUE_INVALID => &["item-only", "invalid-input"],
        Status::EINVAL | Status::ERANGE | Status::XATTR_EINVAL => &["internal", "invalid-input"],
        Status::NOT_MY_VBUCKET => &["fetch-config", "invalid-input"],
        Status::LOCKED => &["item-locked", "item-only", "retry-now"],
        Status::AUTH_STALE | Status::AUTH_ERROR => &["conn-state-invalidated", "auth"],
        Status::AUTH_CONTINUE => &["special-handling"],
        Status::EACCESS => &["support"],
        Status::ENOMEM | Status::EBUSY | Status::ETMPFAIL | Status::NOT_INITIALIZED => {
            &["temp", "retry-later"]
        }
        Status::SYNC_WRITE_IN_PROGRESS | Status::SYNC_WRITE_RE_COMMIT_IN_PROGRESS => {
            &["item-only", "retry-later"]
        }
        Status::NOT_SUPPORTED | Status::UNKNOWN_COMMAND | Status::UNKNOWN_FRAME_INFO => {
            &["support"]
        }
        Status(0xc0..=0xd8) => subdoc_attrs(status),
        _ => &["internal"],
    }
}

/// The attributes of the statuses of sub-document operations.
const fn subdoc_attrs(status: Status) -> &'static [&'static str] {
    match status {
        Status::SUBDOC_PATH_ENOENT
        | Status::SUBDOC_PATH_MISMATCH
        | Status::SUBDOC_DOC_NOTJSON
        | Status::SUBDOC_NUM_ERANGE
        | Status::SUBDOC_DELTA_EINVAL
        | Status::SUBDOC_PATH_EEXISTS
        | Status::SUBDOC_CAN_ONLY_REVIVE_DELETED_DOCUMENTS
        | Status::SUBDOC_DELETED_DOCUMENT_CANT_HAVE_VALUE
        | Status::SUBDOC_FIELD_NOT_BINARY_VALUE => &["subdoc", "item-only"],
        Status::SUBDOC_VALUE_ETOODEEP => &["subdoc", "invalid-input", "item-only"],
        Status::SUBDOC_MULTI_PATH_FAILURE => &["subdoc", "special-handling"],
        Status::SUBDOC_SUCCESS_DELETED => &["item-deleted", "success", "subdoc"],
        Status::SUBDOC_MULTI_PATH_FAILURE_DELETED => {
            &["item-deleted", "subdoc", "special-handling"]
        }
        _ => &["subdoc", "invalid-input"],
    }
}

/// What a status of sub-document operations means; `None` for another one.
const fn subdoc_text(status: Status) -> Option<&'static str> {
    Some(match status {
        Status::SUBDOC_PATH_ENOENT => "Nothing is at the path",
        Status::SUBDOC_PATH_MISMATCH => "The path goes through a value of another kind",
        Status::SUBDOC_PATH_EINVAL => "The path is malformed, or not one for this operation",
        Status::SUBDOC_PATH_E2BIG => "The path has too many parts",
        Status::SUBDOC_PATH_E2DEEP => "The document has too many levels",
        Status::SUBDOC_VALUE_CANTINSERT => "The value is not JSON, or cannot be at the path",
        Status::SUBDOC_DOC_NOTJSON => "The document is not JSON",
        Status::SUBDOC_NUM_ERANGE => "The stored number does not fit 64 bits",
        Status::SUBDOC_DELTA_EINVAL => "The change of a counter is 0, or no integer of 64 bits",
        Status::SUBDOC_PATH_EEXISTS => "Something is at the path already",
        Status::SUBDOC_VALUE_ETOODEEP => "With the value the document has too many levels",
        Status::SUBDOC_INVALID_COMBO => "These operations cannot be in one request",
        Status::SUBDOC_MULTI_PATH_FAILURE => "At least one operation failed",
        Status::SUBDOC_SUCCESS_DELETED => "Success on a deleted document",
        Status::SUBDOC_XATTR_INVALID_FLAG_COMBO => "The path flags exclude each other",
        Status::SUBDOC_XATTR_INVALID_KEY_COMBO => "These attributes cannot be in one request",
        Status::SUBDOC_XATTR_UNKNOWN_MACRO => "The macro is unknown",
        Status::SUBDOC_XATTR_UNKNOWN_VATTR => "The virtual attribute is unknown",
        Status::SUBDOC_XATTR_CANT_MODIFY_VATTR => "Virtual attributes cannot be changed",
        Status::SUBDOC_MULTI_PATH_FAILURE_DELETED => {
            "At least one operation on a deleted document failed"
        }
        Status::SUBDOC_INVALID_XATTR_ORDER => "Operations on attributes must come first",
        Status::SUBDOC_XATTR_UNKNOWN_VATTR_MACRO => "The macro names no virtual attribute",
        Status::SUBDOC_CAN_ONLY_REVIVE_DELETED_DOCUMENTS => "The document is not deleted",
        Status::SUBDOC_DELETED_DOCUMENT_CANT_HAVE_VALUE => "A deleted document has no body",
        Status::SUBDOC_FIELD_NOT_BINARY_VALUE => "The attribute does not hold encoded bytes",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn sub_document_statuses_are_those_of_a_real_node() {
        for version in [1, 2] {
            let recorded = recordings::stats(&format!("error-map-v{version}.json"));
            let recorded: Value = serde_json::from_str(&recorded).unwrap();
            let ours: Value = serde_json::from_str(&map(version)).unwrap();
            let mut compared = 0;
            for (code, expected) in recorded["errors"].as_object().unwrap() {
                if expected["attrs"].as_array().unwrap().contains(&"subdoc".into()) {
                    let found = &ours["errors"][code];
                    assert_eq!(found["name"], expected["name"]);
                    assert_eq!(found["attrs"], expected["attrs"], "{code}");
                    assert_ne!(found["desc"], found["name"], "{code}");
                    compared += 1;
                }
            }
            assert_eq!(compared, 25);
        }
    }
}
