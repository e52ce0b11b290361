//! GET_ERROR_MAP: the name and attributes of each status.

use std::collections::BTreeMap;

use mcbp::{Datatype, Status};
use serde_json::json;

use crate::client::Client;
use crate::protocol::{Request, RequestError};

/// The newest supported format of the map.
const VERSION_MAX: u16 = 2;
/// To be raised when the table below changes.
const REVISION: u16 = 5;

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
        // The first version has no attribute of this name.
        let is_known = |it: &&&str| version > 1 || **it != "rate-limit";
        let attrs: Vec<_> = attrs(*status).iter().filter(is_known).collect();
        let entry = json!({ "name": name, "desc": desc, "attrs": attrs });
        Some((format!("{:x}", status.0), entry))
    };
    let errors: BTreeMap<_, _> = Status::NAMED.iter().filter_map(entry).collect();
    json!({ "version": version, "revision": REVISION, "errors": errors }).to_string()
}

/// The attributes of a status, by which a client decides what to do. Source: `docs/ErrorMap.md` of
/// couchbase/kv_engine, and the recorded map of a real node.
const fn attrs(status: Status) -> &'static [&'static str] {
    match status {
        Status::SUCCESS
        | Status::RANGE_SCAN_CANCELLED
        | Status::RANGE_SCAN_MORE
        | Status::RANGE_SCAN_COMPLETE => &["success"],
        Status::KEY_ENOENT
        | Status::KEY_EEXISTS
        | Status::NOT_LOCKED
        | Status::CAS_VALUE_INVALID
        | Status::SYNC_WRITE_AMBIGUOUS => &["item-only"],
        Status::NOT_STORED => &["internal", "item-only"],
        Status::ERANGE
        | Status::XATTR_EINVAL
        | Status::UNKNOWN_COLLECTION
        | Status::UNKNOWN_SCOPE
        | Status::CANNOT_APPLY_MANIFEST
        | Status::STREAM_ID_INVALID
        | Status::DURABILITY_INVALID_LEVEL
        | Status::VB_UUID_NOT_EQUAL => &["invalid-input"],
        Status::WOULD_THROTTLE => &["temp", "retry-later", "rate-limit"],
        Status::CONFIG_ONLY => &["fetch-config", "retry-now"],
        Status::E2BIG | Status::DELTA_BADVAL | Status::DURABILITY_IMPOSSIBLE => {
            &["item-only", "invalid-input"]
        }
        Status::EINVAL => &["internal", "invalid-input"],
        Status::NOT_MY_VBUCKET => &["fetch-config", "invalid-input"],
        Status::LOCKED => &["item-locked", "item-only", "retry-now"],
        Status::AUTH_STALE | Status::AUTH_ERROR => &["conn-state-invalidated", "auth"],
        Status::AUTH_CONTINUE => &["special-handling"],
        Status::ROLLBACK => &["dcp", "special-handling"],
        Status::EACCESS => &["support"],
        Status::ENOMEM => &["temp", "retry-later"],
        Status::EBUSY | Status::ETMPFAIL => &["temp", "retry-now"],
        Status::SYNC_WRITE_IN_PROGRESS | Status::SYNC_WRITE_RE_COMMIT_IN_PROGRESS => {
            &["item-only", "retry-later"]
        }
        Status::NOT_SUPPORTED | Status::UNKNOWN_COMMAND | Status::UNKNOWN_FRAME_INFO => {
            &["support"]
        }
        Status::NO_BUCKET
        | Status::NOT_INITIALIZED
        | Status::DCP_STREAM_NOT_FOUND
        | Status::OPAQUE_NO_MATCH => &["conn-state-invalidated"],
        Status::EINTERNAL => &["internal", "conn-state-invalidated"],
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
    fn statuses_have_the_attributes_of_a_real_node() {
        for version in [1, 2] {
            let recorded = recordings::stats(&format!("error-map-v{version}.json"));
            let recorded: Value = serde_json::from_str(&recorded).unwrap();
            let ours: Value = serde_json::from_str(&map(version)).unwrap();
            let mut of_subdoc = 0;
            for (code, found) in ours["errors"].as_object().unwrap() {
                let expected = &recorded["errors"][code];
                assert_eq!(found["attrs"], expected["attrs"], "version {version}, status {code}");
                if expected["attrs"].as_array().unwrap().contains(&"subdoc".into()) {
                    assert_eq!(found["name"], expected["name"]);
                    assert_ne!(found["desc"], found["name"], "{code}");
                    of_subdoc += 1;
                }
            }
            assert_eq!(of_subdoc, 25);
        }
    }
}
