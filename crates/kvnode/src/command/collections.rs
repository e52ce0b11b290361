//! COLLECTIONS_GET_MANIFEST, COLLECTIONS_GET_ID, COLLECTIONS_GET_SCOPE_ID: the default collection
//! in the default scope, and nothing else. The manifest never changes, so that its uid is 0.

use mcbp::{Datatype, Status};

use crate::client::Client;
use crate::protocol::{Request, RequestError};

/// The name of the default collection, and of the default scope.
const DEFAULT: &str = "_default";

/// The longest name of a collection or scope. Source: kv_engine.
const NAME_BYTES_MAX: usize = 251;

/// The longest path: two names and a dot.
const PATH_BYTES_MAX: usize = 2 * NAME_BYTES_MAX + 1;

/// The manifest, with its keys in kv_engine's order.
const MANIFEST: &str = concat!(
    r#"{"scopes":[{"collections":[{"name":"_default","uid":"0"}],"#,
    r#""name":"_default","uid":"0"}],"uid":"0"}"#,
);

/// The uid of the manifest (8 bytes), and the id of the default collection or scope (4 bytes).
const DEFAULT_ID: [u8; 12] = [0; 12];

/// Answers with the manifest.
pub(super) fn manifest(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    if !(request.frame.key.is_empty() && request.frame.value.is_empty()) {
        let context = "COLLECTIONS_GET_MANIFEST has neither key nor value";
        return Err(RequestError::new(Status::EINVAL, context));
    }
    let datatype = if client.features.json { Datatype::JSON } else { Datatype::RAW };
    client.replies.send(&request.success().datatype(datatype).value(MANIFEST.as_bytes()));
    Ok(())
}

/// Answers with the id of the collection in a path such as `_default._default`; an empty name is
/// the default one.
pub(super) fn collection_id(
    client: &mut Client,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let path = path(request)?;
    let (scope, collection) = path.split_once('.').ok_or_else(|| no_path(path))?;
    check_name(scope)?;
    check_name(collection)?;
    if !is_default(scope) {
        return Err(Status::UNKNOWN_SCOPE.into());
    }
    if !is_default(collection) {
        return Err(Status::UNKNOWN_COLLECTION.into());
    }
    client.replies.send(&request.success().extras(&DEFAULT_ID));
    Ok(())
}

/// Answers with the id of the scope in a path, which may go on with a collection.
pub(super) fn scope_id(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    let path = path(request)?;
    let (scope, collection) = path.split_once('.').unwrap_or((path, ""));
    check_name(scope)?;
    check_name(collection)?;
    if !is_default(scope) {
        return Err(Status::UNKNOWN_SCOPE.into());
    }
    client.replies.send(&request.success().extras(&DEFAULT_ID));
    Ok(())
}

/// The path is the value; the key in an older form.
fn path<'a>(request: &Request<'a>) -> Result<&'a str, RequestError> {
    let bytes = match request.frame.value {
        [] => request.frame.key,
        value => value,
    };
    let path = std::str::from_utf8(bytes).ok().filter(|path| path.len() <= PATH_BYTES_MAX);
    path.ok_or_else(|| no_path("a longer one"))
}

fn is_default(name: &str) -> bool {
    name.is_empty() || name == DEFAULT
}

/// Refuses what no collection or scope may be called.
fn check_name(name: &str) -> Result<(), RequestError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-%".contains(&byte);
    if name.len() <= NAME_BYTES_MAX && name.bytes().all(is_allowed) {
        return Ok(());
    }
    Err(no_path(name))
}

fn no_path(found: &str) -> RequestError {
    let context = format!("expected scope.collection, of letters, digits, _ - %; found {found:?}");
    RequestError::new(Status::EINVAL, context)
}
