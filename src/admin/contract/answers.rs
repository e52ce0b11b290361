//! The errors that requests are answered with, one entry of `components/responses` for each status.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::{Ref, RefOr, Response};

/// A status: its name in the document, what it means, and the text of an example.
type Row = (u16, &'static str, &'static str, &'static str);

/// Every status of an error. The meanings are those of the table in `docs/admin-api.md`.
pub(in crate::admin) const STATUSES: [Row; 13] = [
    (
        400,
        "Wrong",
        "the request is wrong: not JSON, no such producer, no such vBucket, a vBucket twice",
        "unknown producer \"gamma\": give one of alpha",
    ),
    (
        401,
        "NoToken",
        "the token is missing or wrong",
        "the admin token is missing or wrong: send Authorization: Bearer TOKEN, with the token of \
         [admin]",
    ),
    (
        403,
        "Foreign",
        "the request comes from a page of another site, or uses another name for this machine",
        "requests from pages of \"https://example.com\" are refused",
    ),
    (
        404,
        "Missing",
        "there is no such path or bucket, or no such capture any more",
        "unknown bucket \"other\": give one of default",
    ),
    (
        405,
        "Method",
        "the path does not have this method; `Allow` lists those that it has",
        "the method is not allowed here: use POST",
    ),
    (408, "Slow", "the body did not arrive within 10 seconds", "the body did not arrive in time"),
    (
        409,
        "Busy",
        "other commands of this bucket are queued: too many, or without progress for too long; or \
         the vBucket is already being moved; or as many captures run as there may be",
        "bucket default: vb:7 is already being moved",
    ),
    (
        412,
        "Changed",
        "the bucket was changed since the revision that `If-Match` names",
        "bucket default has revision 8, not 7: read it again",
    ),
    (
        413,
        "Long",
        "the body is longer than 64 KiB",
        "the body is too long: give at most 65536 bytes",
    ),
    (
        422,
        "Invalid",
        "the configuration file is invalid: `problems` lists what is wrong",
        "proxy.toml:3:1: unknown key \"nane\"",
    ),
    (
        500,
        "Defect",
        "what was asked could not be written to `[state] directory`, and was not done; or a defect \
         of the sidecar: see its log, and please report it",
        "the state could not be written: No space left on device (os error 28)",
    ),
    (
        502,
        "Failed",
        "one or more vBuckets failed: see `errors`",
        "1 vBuckets failed, the first: bucket default, producer alpha: vb:7: ...",
    ),
    (
        503,
        "NotNow",
        "replication has not started yet, is being stopped, or is not ready",
        "replication has not started yet",
    ),
];

/// Defines sets of statuses, which the attributes of the handlers name.
macro_rules! sets {
    ($($(#[doc = $doc:literal])+ $name:ident: $($status:literal)+;)+) => {
        $($(#[doc = $doc])+
        pub(in crate::admin) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$($status),+].into_iter().filter_map(reference).collect()
            }
        })+
    };
}

sets! {
    /// What every request may get, but those that need no token.
    Always: 401 403 503;
    /// What requests may get that need no token.
    Probe: 403;
    /// A request with something in its path, query or headers that can be wrong.
    Request: 400;
    /// A request with a body.
    Body: 400 408 413;
    /// A request that names a bucket.
    Bucket: 404;
    /// A request that waits for a command.
    Command: 409 500 502;
    /// A request that takes one of few places.
    Occupied: 409;
    /// A request that may rest on a revision.
    Revision: 412;
    /// A request that only a defect of this program fails.
    Defect: 500;
}

fn reference(status: u16) -> Option<(String, RefOr<Response>)> {
    let (_, name, ..) = STATUSES.iter().find(|(known, ..)| *known == status)?;
    Some((status.to_string(), RefOr::Ref(Ref::from_response_name(*name))))
}

/// `components/responses`.
pub(in crate::admin) fn components() -> Value {
    let response = |(status, name, meaning, example): &Row| {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        let json = json!({ "schema": schema, "example": { "error": example } });
        let mut response =
            json!({ "description": meaning, "content": { "application/json": json } });
        if let Some((header, meaning)) = header(*status)
            && let Some(fields) = response.as_object_mut()
        {
            let text = json!({ "type": "string" });
            let header =
                json!({ header: { "description": meaning, "required": true, "schema": text } });
            fields.insert("headers".to_owned(), header);
        }
        ((*name).to_owned(), response)
    };
    STATUSES.iter().map(response).collect()
}

fn header(status: u16) -> Option<(&'static str, &'static str)> {
    match status {
        401 => Some(("WWW-Authenticate", "`Bearer`")),
        405 => Some(("Allow", "the methods that the path has, with commas between them")),
        _ => None,
    }
}
