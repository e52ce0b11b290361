//! HELLO, SELECT_BUCKET, VERSION, ENABLE_TRAFFIC.

use log::debug;
use mcbp::{Feature, Status};

use crate::bucket::Bucket;
use crate::client::Client;
use crate::cluster::NAME_OF_NO_BUCKET;
use crate::context::VERSION;
use crate::protocol::{Features, Request, RequestError, check_ready};

/// Grants the features that were asked for and are supported; earlier grants end.
pub(super) fn hello(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    if !request.frame.extras.is_empty() {
        return Err(RequestError::new(Status::EINVAL, "HELLO has no extras"));
    }
    let asked: Vec<_> = Feature::decode_list(&request.frame)?.into_iter().collect();
    let refused = |missing| RequestError::new(Status::EINVAL, missing);
    let (features, granted) = Features::negotiate(&asked).map_err(refused)?;
    client.negotiated(features);
    // The answer already has the form that it grants.
    client.replies.begin(features.tracing, features.unordered);
    let agent = String::from_utf8_lossy(request.frame.key);
    debug!("hello peer={} agent={:?} granted={granted:?}", client.peer, agent);
    client.replies.send(&request.success().value(&Feature::encode_list(&granted)));
    Ok(())
}

/// Selects a bucket. A failure leaves the connection without one.
pub(super) fn select_bucket(
    client: &mut Client,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    client.forget_maps();
    let Some(login) = &mut client.login else {
        return Err(RequestError::new(Status::EACCESS, "authenticate first"));
    };
    login.leave_bucket();
    if request.frame.key != NAME_OF_NO_BUCKET {
        let name = std::str::from_utf8(request.frame.key).map_err(|_| Status::KEY_ENOENT)?;
        login.select(&client.node, name)?;
    }
    client.replies.send(&request.success());
    Ok(())
}

/// Answers with the names of the buckets that the user may use, between blanks.
pub(super) fn list_buckets(client: &mut Client, request: &Request<'_>) {
    let names = client.node.buckets.iter().map(|served| served.bucket.name());
    let knows = |name: &&str| client.login.as_ref().is_some_and(|login| login.knows(name));
    let names: Vec<_> = names.filter(knows).collect();
    let names = names.join(" ");
    client.replies.send(&request.success().value(names.as_bytes()));
}

/// Answers with the version of this program.
pub(super) fn version(client: &mut Client, request: &Request<'_>) {
    client.replies.send(&request.success().value(VERSION.as_bytes()));
}

/// Traffic is enabled once warm-up has succeeded, and cannot be forced before.
pub(super) fn enable_traffic(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    check_ready(bucket)?;
    client.replies.send(&request.success());
    Ok(())
}
