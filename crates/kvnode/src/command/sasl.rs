//! SASL: PLAIN only, against the users of the configuration.

use log::{debug, warn};
use mcbp::Status;

use super::success;
use crate::session::{Fail, Request, Session};

/// Says which mechanisms there are.
pub(super) fn list(session: &mut Session, request: &Request<'_>) {
    session.replies.send(&success(request).value(b"PLAIN"));
}

/// Authenticates the connection. A failure leaves it without a user and without a bucket.
pub(super) fn authenticate(session: &mut Session, request: &Request<'_>) -> Result<(), Fail> {
    session.user = None;
    session.bucket = None;
    if request.frame.key != b"PLAIN" {
        return Err(Fail::new(Status::AUTH_ERROR, "the only mechanism here is PLAIN"));
    }
    let mut parts = request.frame.value.split(|&byte| byte == 0);
    let (Some(_authzid), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fail::new(Status::EINVAL, "PLAIN is authzid, user and password"));
    };
    let user = String::from_utf8_lossy(user).into_owned();
    session.node.counters.auth_commands.add(1);
    if !session.node.users.check(&user, password) {
        session.node.counters.auth_errors.add(1);
        warn!("authentication failed peer={} user={user:?}", session.peer);
        return Err(Status::AUTH_ERROR.into());
    }
    debug!("authenticated peer={} user={user:?}", session.peer);
    session.user = Some(user);
    session.replies.send(&success(request));
    Ok(())
}

/// PLAIN has one step.
pub(super) fn no_step() -> Fail {
    Fail::new(Status::AUTH_ERROR, "no authentication is under way")
}
