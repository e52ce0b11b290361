//! SASL: PLAIN only, against the users of the configuration.

use log::{debug, warn};
use logline::value;
use mcbp::Status;

use crate::client::{Client, Login};
use crate::protocol::{Request, RequestError};

/// Answers with the mechanisms.
pub(super) fn list(client: &mut Client, request: &Request<'_>) {
    client.replies.send(&request.success().value(b"PLAIN"));
}

/// Authenticates the connection. A failure leaves it without a user and without a bucket.
pub(super) fn authenticate(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    client.login = None;
    if request.frame.key != b"PLAIN" {
        return Err(RequestError::new(Status::AUTH_ERROR, "the only supported mechanism is PLAIN"));
    }
    let mut parts = request.frame.value.split(|&byte| byte == 0);
    let (Some(_authzid), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(RequestError::new(
            Status::EINVAL,
            "PLAIN takes authzid, user and password, separated by zero bytes",
        ));
    };
    client.node.counters.auth_commands.add(1);
    let known = std::str::from_utf8(user).ok();
    let Some(user) = known.filter(|user| client.node.users.check(user, password)) else {
        client.node.counters.auth_errors.add(1);
        let user = String::from_utf8_lossy(user);
        warn!("authentication failed peer={} user={}", client.peer, value(user));
        return Err(Status::AUTH_ERROR.into());
    };
    debug!("authenticated peer={} user={user:?}", client.peer);
    client.login = Some(Login { user: user.to_owned(), bucket: None });
    client.replies.send(&request.success());
    Ok(())
}

/// PLAIN has one step.
pub(super) fn no_step() -> RequestError {
    RequestError::new(Status::AUTH_ERROR, "no authentication is under way")
}
