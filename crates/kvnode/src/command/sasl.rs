//! SASL against the users of the configuration: PLAIN, and SCRAM in two steps. Statuses are those
//! of kv_engine, but for a second step with another nonce, which RFC 5802 has refused. Each login
//! that fails is one log line, which the log limits, and is counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, warn};
use logline::value;
use mcbp::Status;
use scram::{Mechanism, Server, WrongProof};

use crate::admission::Outcome;
use crate::client::Client;
use crate::config::Grant;
use crate::context::LoginOutcome;
use crate::protocol::{Request, RequestError};
use crate::users::random;

/// The mechanism that sends the password itself.
const PLAIN: &str = "PLAIN";
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
    if name == PLAIN.as_bytes() {
        return plain(client, request);
    }
    let Some(mechanism) = Mechanism::named(name) else {
        told(client, None, b"", "unknown-mechanism");
        let context = format!("the mechanism is none of {MECHANISMS}");
        return Err(RequestError::new(Status::AUTH_ERROR, context));
    };
    client.node.counters.auth_commands.add(1);
    let begun = Server::begin(mechanism, message).map_err(|error| {
        told(client, Some(mechanism.name()), b"", "malformed");
        RequestError::new(Status::EINVAL, error)
    })?;
    let (salt, iterations) = client.node.users.salting(mechanism, begun.user());
    let more = format!("{:032x}", u128::from_ne_bytes(random::<NONCE_BYTES>()));
    let (challenge, challenged) = begun.challenge(&salt, iterations, &more);
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
        told(client, Some(PLAIN), b"", "malformed");
        return Err(RequestError::new(
            Status::EINVAL,
            "PLAIN takes authzid, user and password, separated by zero bytes",
        ));
    };
    let node = Arc::clone(&client.node);
    node.counters.auth_commands.add(1);
    let (known, began) = (std::str::from_utf8(user).ok(), Instant::now());
    let seat = Arc::clone(&client.seat);
    let mut granted = None;
    let check = || {
        granted = known.and_then(|user| node.users.admit(user, password, || seat.log_in(user)));
        granted.is_some()
    };
    let outcome = node.logins.attempt(client.seat.network(), user, check);
    let attempt = Attempt { mechanism: PLAIN, user, began };
    concluded(client, &attempt, outcome, granted)?;
    client.replies.send(&request.success());
    Ok(())
}

/// The second step of SCRAM, which ends the exchange in any case.
pub(super) fn step(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    let Some(challenged) = client.exchange.take() else {
        return Err(RequestError::new(Status::EINVAL, "SASL_AUTH begins what SASL_STEP ends"));
    };
    let mechanism = challenged.mechanism();
    if Mechanism::named(request.frame.key) != Some(mechanism) {
        told(client, Some(mechanism.name()), challenged.user().as_bytes(), "other-mechanism");
        let context = format!("SASL_AUTH has begun {mechanism}");
        return Err(RequestError::new(Status::EINVAL, context));
    }
    let (node, seat) = (Arc::clone(&client.node), Arc::clone(&client.seat));
    let (user, began) = (challenged.user(), Instant::now());
    let mut checked = Err(WrongProof::DoesNotFit);
    let check = || {
        checked = node.users.admit_proof(&challenged, request.frame.value, || seat.log_in(user));
        checked.is_ok()
    };
    let outcome = node.logins.attempt(client.seat.network(), user.as_bytes(), check);
    let (signature, granted) = checked.ok().unzip();
    let attempt = Attempt { mechanism: mechanism.name(), user: user.as_bytes(), began };
    concluded(client, &attempt, outcome, granted)?;
    client.replies.send(&request.success().value(signature.unwrap_or_default().as_bytes()));
    Ok(())
}

/// A login whose password or proof was checked.
struct Attempt<'a> {
    mechanism: &'static str,
    user: &'a [u8],
    began: Instant,
}

fn concluded(
    client: &mut Client,
    attempt: &Attempt<'_>,
    outcome: Outcome,
    granted: Option<Arc<Grant>>,
) -> Result<(), RequestError> {
    let Attempt { mechanism, user, began } = *attempt;
    match (outcome, granted) {
        (Outcome::Success, Some(grant)) => {
            client.node.counters.logins.add(mechanism, LoginOutcome::Success);
            let user = String::from_utf8_lossy(user).into_owned();
            debug!("authenticated peer={} user={user:?} mechanism={mechanism}", client.peer);
            client.log_in(user, grant);
            Ok(())
        }
        (Outcome::Success, None) => Err(Status::AUTH_ERROR.into()),
        (Outcome::Wrong(delay), _) => {
            told(client, Some(mechanism), user, "wrong-credentials");
            // How long the check took would tell whether there is such a user.
            let delay = delay.saturating_sub(began.elapsed());
            Err(RequestError { delay, ..RequestError::from(Status::AUTH_ERROR) })
        }
        (Outcome::NotTried(delay), _) => Err(not_tried(client, mechanism, user, delay)),
    }
}

/// Tells of a login that failed; `mechanism` is none of ours where it is `None`.
fn told(client: &Client, mechanism: Option<&'static str>, user: &[u8], reason: &str) {
    let counters = &client.node.counters;
    counters.auth_errors.add(1);
    let mechanism = mechanism.unwrap_or("other");
    counters.logins.add(mechanism, LoginOutcome::Failure);
    warn!(
        "authentication failed peer={} user={} mechanism={mechanism} reason={reason}",
        client.peer,
        value(String::from_utf8_lossy(user))
    );
}

/// The status says that the password may be right.
fn not_tried(client: &Client, mechanism: &str, user: &[u8], delay: Duration) -> RequestError {
    let counters = &client.node.counters;
    counters.auth_errors.add(1);
    counters.logins.add(mechanism, LoginOutcome::NotTried);
    let (peer, user) = (client.peer, String::from_utf8_lossy(user));
    warn!(
        "login refused without a look at its password, too many failed before peer={peer} user={} \
         mechanism={mechanism}",
        value(user)
    );
    let context = "too many logins of this user or from this address failed: try again in a minute";
    RequestError { delay, ..RequestError::new(Status::ETMPFAIL, context) }
}
