//! HELLO, SELECT_BUCKET, VERSION, ENABLE_TRAFFIC.

use log::debug;
use mcbp::{Feature, Status};

use super::{ready, success};
use crate::bucket::Bucket;
use crate::session::{Fail, Features, Request, Session};

/// What VERSION and the statistics say.
pub(crate) const VERSION: &str = concat!("dcp-proxy-", env!("CARGO_PKG_VERSION"));

/// Grants what was asked for and is done here; earlier grants end.
pub(super) fn hello(session: &mut Session, request: &Request<'_>) -> Result<(), Fail> {
    if !request.frame.extras.is_empty() {
        return Err(Fail::new(Status::EINVAL, "HELLO has no extras"));
    }
    let asked = Feature::decode_list(&request.frame)?;
    let mut features = Features::default();
    let mut granted: Vec<Feature> = Vec::new();
    for feature in asked {
        if !granted.contains(&feature) && features.grant(feature) {
            granted.push(feature);
        }
    }
    session.features = features;
    let agent = String::from_utf8_lossy(request.frame.key);
    debug!("hello peer={} agent={:?} granted={granted:?}", session.peer, agent);
    session.replies.send(&success(request).value(&Feature::encode_list(&granted)));
    Ok(())
}

/// Binds the connection to a bucket, and leaves the one before in any case.
pub(super) fn select_bucket(session: &mut Session, request: &Request<'_>) -> Result<(), Fail> {
    session.bucket = None;
    if session.user.is_none() {
        return Err(Fail::new(Status::EACCESS, "authenticate first"));
    }
    let name = std::str::from_utf8(request.frame.key).map_err(|_| Status::KEY_ENOENT)?;
    let bucket = session.node.bucket(name).ok_or(Status::KEY_ENOENT)?;
    session.bucket = Some(bucket);
    session.replies.send(&success(request));
    Ok(())
}

pub(super) fn version(session: &mut Session, request: &Request<'_>) {
    session.replies.send(&success(request).value(VERSION.as_bytes()));
}

/// Traffic is on when warm-up has ended well, and cannot be forced before.
pub(super) fn enable_traffic(
    session: &mut Session,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), Fail> {
    ready(bucket)?;
    session.replies.send(&success(request));
    Ok(())
}
