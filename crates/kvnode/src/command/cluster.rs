//! GET_CLUSTER_CONFIG, SET_CLUSTER_CONFIG.

use mcbp::{MapRevision, Status};

use crate::client::Client;
use crate::protocol::{Request, RequestError};

/// The largest map that may be pushed: some ten times that of a large cluster.
const MAP_BYTES_MAX: usize = 2 * 1024 * 1024;

fn invalid(context: impl ToString) -> RequestError {
    RequestError::new(Status::EINVAL, context)
}

/// Answers with the map of the selected bucket, or with that of the cluster; with nothing if the
/// client has told that it knows one which is not older.
pub(super) fn get(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    if client.login.is_none() {
        return Err(RequestError::new(Status::EACCESS, "authenticate first"));
    }
    request.without_cas()?;
    if !request.frame.key.is_empty() || !request.frame.value.is_empty() {
        return Err(invalid("GET_CLUSTER_CONFIG has no key and no value"));
    }
    let known = match request.frame.extras {
        [] => None,
        extras => Some(MapRevision::decode(extras).map_err(invalid)?),
    };
    let map = client.current_map().ok_or(Status::KEY_ENOENT)?;
    if known.is_some_and(|known| known >= map.revision) {
        client.replies.send(&request.success());
        return Ok(());
    }
    let (text, datatype) = map.shown(&client.features);
    if client.may_answer_with(text.len()) {
        if client.served().is_some() {
            client.knows_map(map.revision);
        }
        client.replies.send(&request.success().datatype(datatype).value(text));
    }
    Ok(())
}

/// Takes a map for the bucket that the key names, or for the cluster. An older one is taken too:
/// whoever pushes it knows why.
pub(super) fn set(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    request.without_cas()?;
    if request.frame.value.is_empty() {
        return Err(invalid("SET_CLUSTER_CONFIG has a map as its value"));
    }
    let revision = MapRevision::decode(request.frame.extras).map_err(invalid)?;
    let text = request.value();
    if text.len() > MAP_BYTES_MAX {
        let context =
            format!("a map has at most {MAP_BYTES_MAX} bytes, this one has {}", text.len());
        return Err(RequestError::new(Status::E2BIG, context));
    }
    let name = std::str::from_utf8(request.frame.key).map_err(|_| Status::KEY_ENOENT)?;
    let bucket = Some(name).filter(|name| !name.is_empty());
    if !client.node.maps.push(bucket, revision, text) {
        let context = format!("no bucket {name:?} on this node");
        return Err(RequestError::new(Status::KEY_ENOENT, context));
    }
    let shown = bucket.unwrap_or("-");
    log::info!("cluster map set bucket={shown} epoch={} rev={}", revision.epoch, revision.number);
    client.replies.send(&request.success());
    Ok(())
}
