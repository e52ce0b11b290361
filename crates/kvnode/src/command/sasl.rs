//! SASL against the users of the configuration: PLAIN, and SCRAM in two steps. Statuses are those
//! of kv_engine, but for a second step with another nonce, which RFC 5802 has refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, warn};
use logline::value;
use mcbp::Status;
use scram::{ITERATIONS, Mechanism, Server, WrongProof};

use crate::admission::Outcome;
use crate::client::Client;
use crate::protocol::{Request, RequestError};
use crate::users::random;

/// In the order of kv_engine.
const MECHANISMS: &str = "PLAIN SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1";
/// The bytes that the node adds to a client's nonce, in hexadecimal digits.
const NONCE_BYTES: usize = 16;

/// Answers with the mechanisms.
pub(super) fn list(client: &mut Client, request: &Request<'_>) {
    client.replies.send(&request.success().value(MECHANISMS.as_bytes()));
}

/// Authenticates the connection, or begins to. A failure leaves it without a user and without a
/// bucket.
pub(super) fn authenticate(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    client.log_out();
    let (name, message) = (request.frame.key, request.frame.value);
    if client.exchange.is_some() {
        return Err(RequestError::new(Status::EINVAL, "SASL_STEP must end what was begun first"));
    }
    if name.is_empty() || message.is_empty() {
        let context = "SASL_AUTH has a mechanism as its key and a message as its value";
        return Err(RequestError::new(Status::EINVAL, context));
    }
    if name == b"PLAIN" {
        return plain(client, request);
    }
    let mechanism = Mechanism::named(name).ok_or_else(|| {
        let context = format!("the mechanism is none of {MECHANISMS}");
        RequestError::new(Status::AUTH_ERROR, context)
    })?;
    client.node.counters.auth_commands.add(1);
    let malformed = |error| RequestError::new(Status::EINVAL, error);
    let begun = Server::begin(mechanism, message).map_err(malformed)?;
    let salt = client.node.users.salt(mechanism, begun.user());
    let more = format!("{:032x}", u128::from_ne_bytes(random::<NONCE_BYTES>()));
    let (challenge, challenged) = begun.challenge(&salt, ITERATIONS, &more);
    client.exchange = Some(Box::new(challenged));
    let answer = request.answer(Status::AUTH_CONTINUE);
    client.replies.send(&answer.value(challenge.as_bytes()));
    Ok(())
}

fn plain(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
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
    let outcome = node.logins.attempt(client.seat.network(), user, check);
    concluded(client, user, outcome)?;
    client.replies.send(&request.success());
    Ok(())
}

/// The second step of SCRAM, which ends the exchange in any case.
pub(super) fn step(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    let Some(challenged) = client.exchange.take() else {
        return Err(RequestError::new(Status::EINVAL, "SASL_AUTH begins what SASL_STEP ends"));
    };
    if Mechanism::named(request.frame.key) != Some(challenged.mechanism()) {
        let context = format!("SASL_AUTH has begun {}", challenged.mechanism());
        return Err(RequestError::new(Status::EINVAL, context));
    }
    let (node, seat) = (Arc::clone(&client.node), Arc::clone(&client.seat));
    let (user, began) = (challenged.user(), Instant::now());
    let mut checked = Err(WrongProof::DoesNotFit);
    let check = || {
        checked = node.users.admit_proof(&challenged, request.frame.value, || seat.log_in(user));
        checked.is_ok()
    };
    let outcome = match node.logins.attempt(client.seat.network(), user.as_bytes(), check) {
        // How long the check took would tell whether there is such a user.
        Outcome::Wrong(delay) => Outcome::Wrong(delay.saturating_sub(began.elapsed())),
        outcome => outcome,
    };
    concluded(client, user.as_bytes(), outcome)?;
    let signature = checked.unwrap_or_default();
    client.replies.send(&request.success().value(signature.as_bytes()));
    Ok(())
}

fn concluded(client: &mut Client, user: &[u8], outcome: Outcome) -> Result<(), RequestError> {
    match outcome {
        Outcome::Success => {
            let user = String::from_utf8_lossy(user).into_owned();
            debug!("authenticated peer={} user={user:?}", client.peer);
            client.log_in(user);
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
