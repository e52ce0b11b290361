//! GET_ERROR_MAP: the name and attributes of each status.

use std::collections::BTreeMap;

use mcbp::{Datatype, Status};
use serde_json::json;

use crate::client::Client;
use crate::protocol::{Request, RequestError};

/// The newest supported format of the map.
const VERSION_MAX: u16 = 2;
/// To be raised when the table below changes.
const REVISION: u16 = 2;

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
        let entry = json!({ "name": name, "desc": name, "attrs": attrs(*status) });
        Some((format!("{:x}", status.0), entry))
    };
    let errors: BTreeMap<_, _> = Status::NAMED.iter().filter_map(entry).collect();
    json!({ "version": version, "revision": REVISION, "errors": errors }).to_string()
}

/// The attributes of a status. Source: `docs/ErrorMap.md` of couchbase/kv_engine.
const fn attrs(status: Status) -> &'static [&'static str] {
    match status {
        Status::SUCCESS => &["success"],
        Status::KEY_ENOENT | Status::KEY_EEXISTS | Status::NOT_STORED => &["item-only"],
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
        _ => &["internal"],
    }
}
