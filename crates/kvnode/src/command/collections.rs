//! COLLECTIONS_SET_MANIFEST, COLLECTIONS_GET_MANIFEST, COLLECTIONS_GET_ID,
//! COLLECTIONS_GET_SCOPE_ID.

use std::sync::Arc;

use mcbp::{Datatype, Status};
use vbucket::collections::{Manifest, PathError};

use crate::bucket::{Bucket, ManifestError};
use crate::client::Client;
use crate::protocol::{Request, RequestError, check_ready};

/// Puts a manifest in force. It is on disk, with the system events of all active vBuckets, when
/// this is answered.
pub(super) async fn set_manifest(
    client: &mut Client,
    bucket: &Arc<Bucket>,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    check_ready(bucket)?;
    request.without_cas()?;
    if !(request.frame.key.is_empty() && request.frame.extras.is_empty()) {
        let context = "COLLECTIONS_SET_MANIFEST has neither key nor extras";
        return Err(RequestError::new(Status::EINVAL, context));
    }
    let manifest = Manifest::parse(request.frame.value);
    let manifest = manifest.map_err(|error| RequestError::new(Status::EINVAL, error))?;
    bucket.set_manifest(manifest).await.map_err(|error| match error {
        ManifestError::Refused(status, text) => RequestError::new(status, text),
        ManifestError::Vb(error) => error.into(),
    })?;
    client.replies.send(&request.success());
    Ok(())
}

/// Answers with the manifest.
pub(super) fn manifest(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    if !(request.frame.key.is_empty() && request.frame.value.is_empty()) {
        let context = "COLLECTIONS_GET_MANIFEST has neither key nor value";
        return Err(RequestError::new(Status::EINVAL, context));
    }
    let datatype = if client.features.json { Datatype::JSON } else { Datatype::RAW };
    let text = bucket.manifest().to_json();
    if client.may_answer_with(text.len()) {
        client.replies.send(&request.success().datatype(datatype).value(text.as_bytes()));
    }
    Ok(())
}

/// Answers with the uid of the manifest and the id of the collection in a path such as
/// `_default._default`; an empty name is the default one.
pub(super) fn collection_id(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let manifest = bucket.manifest();
    let id = manifest.collection_id(path(request)?)?;
    answer_with_id(client, request, &manifest, id);
    Ok(())
}

/// Answers with the uid of the manifest and the id of the scope in a path, which may go on with a
/// collection.
pub(super) fn scope_id(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let manifest = bucket.manifest();
    let id = manifest.scope_id(path(request)?)?;
    answer_with_id(client, request, &manifest, id);
    Ok(())
}

fn answer_with_id(client: &mut Client, request: &Request<'_>, manifest: &Manifest, id: u32) {
    let uid = manifest.uid().to_be_bytes();
    let extras = [uid.as_slice(), &id.to_be_bytes()].concat();
    client.replies.send(&request.success().extras(&extras));
}

/// The path is the value; the key in an older form.
fn path<'a>(request: &Request<'a>) -> Result<&'a str, RequestError> {
    let bytes = match request.frame.value {
        [] => request.frame.key,
        value => value,
    };
    std::str::from_utf8(bytes).map_err(|_| PathError::Malformed.into())
}
