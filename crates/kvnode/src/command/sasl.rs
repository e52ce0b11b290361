//! SASL: PLAIN only, against the users of the configuration.

use std::sync::Arc;
use std::time::Duration;

use log::{debug, warn};
use logline::value;
use mcbp::Status;

use crate::admission::Outcome;
use crate::client::Client;
use crate::protocol::{Request, RequestError};

/// Answers with the mechanisms.
pub(super) fn list(client: &mut Client, request: &Request<'_>) {
    client.replies.send(&request.success().value(b"PLAIN"));
}

/// Authenticates the connection. A failure leaves it without a user and without a bucket.
pub(super) fn authenticate(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    client.log_out();
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
    let node = Arc::clone(&client.node);
    node.counters.auth_commands.add(1);
    let known = std::str::from_utf8(user).ok();
    let seat = Arc::clone(&client.seat);
    let check = || known.is_some_and(|user| node.users.admit(user, password, || seat.log_in(user)));
    match node.logins.attempt(client.seat.network(), user, check) {
        Outcome::Success => {
            let user = String::from_utf8_lossy(user).into_owned();
            debug!("authenticated peer={} user={user:?}", client.peer);
            client.log_in(user);
            client.replies.send(&request.success());
            Ok(())
        }
        Outcome::Wrong(delay) => Err(failed(client, user, delay)),
        Outcome::NotTried(delay) => Err(not_tried(client, user, delay)),
    }
}

fn failed(client: &Client, user: &[u8], delay: Duration) -> RequestError {
    client.node.counters.auth_errors.add(1);
    let user = String::from_utf8_lossy(user);
    warn!("authentication failed peer={} user={}", client.peer, value(user));
    RequestError { delay, ..RequestError::from(Status::AUTH_ERROR) }
}

/// The status says that the password may be right.
fn not_tried(client: &Client, user: &[u8], delay: Duration) -> RequestError {
    client.node.counters.auth_errors.add(1);
    let (peer, user) = (client.peer, String::from_utf8_lossy(user));
    warn!(
        "login refused without a look at its password, too many failed before peer={peer} user={}",
        value(user)
    );
    let context = "too many logins of this user or from this address failed: try again in a minute";
    RequestError { delay, ..RequestError::new(Status::ETMPFAIL, context) }
}

/// PLAIN has one step.
pub(super) fn no_step() -> RequestError {
    RequestError::new(Status::AUTH_ERROR, "no authentication is under way")
}
