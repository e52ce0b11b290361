//! Logs in: asks a node for its SASL mechanisms and takes the best of them. With SCRAM the node
//! never gets the password, and must show that it knows it.

use invariant::broken;
use mcbp::{FrameBuilder, Opcode, Status};
use scram::{Client as Scram, ClientError, Mechanism};
use tokio::time::timeout;

use crate::exchange::Exchange;
use crate::mechanism::{Choice, PLAIN, choose};
use crate::response::shown;
use crate::{ConnectionStep, Deadlines, Endpoint, Fault, PeerRecorder, Response, socket};

/// The bytes of a nonce, in hexadecimal digits.
const NONCE_BYTES: usize = 16;

/// Connects and logs in. A client certificate does not replace SASL: the node may map it to no user
/// (MB-47905, MB-51962).
pub(crate) async fn log_in(endpoint: &Endpoint, deadlines: Deadlines) -> Result<Exchange, Fault> {
    log_in_recorded(endpoint, deadlines, None).await
}

/// The same; the login goes to `recorder`, which masks what is secret of it.
pub(crate) async fn log_in_recorded(
    endpoint: &Endpoint,
    deadlines: Deadlines,
    recorder: Option<PeerRecorder>,
) -> Result<Exchange, Fault> {
    let connected = socket::connect(endpoint, deadlines.connect).await?;
    let is_plain_allowed = connected.is_private || endpoint.allow_plain;
    let mut exchange = Exchange::new(connected.halves, deadlines.request).recorded(recorder);
    let offered = mechanisms(&mut exchange).await?;
    match choose(&offered, is_plain_allowed)? {
        Choice::Plain => plain(&mut exchange, endpoint).await?,
        Choice::Scram(mechanism) => scram(&mut exchange, endpoint, mechanism).await?,
    }
    Ok(exchange)
}

/// The list of mechanisms; empty where the node refuses to tell.
async fn mechanisms(exchange: &mut Exchange) -> Result<String, Fault> {
    let response = exchange.call(FrameBuilder::request(Opcode::SASL_LIST_MECHS)).await?;
    Ok(if response.status.is_success() { shown(&response.value) } else { String::new() })
}

async fn plain(exchange: &mut Exchange, endpoint: &Endpoint) -> Result<(), Fault> {
    let password = endpoint.password.refreshed().await;
    let login = ["", endpoint.username.as_str(), &password].join("\0");
    let request = FrameBuilder::request(Opcode::SASL_AUTH).key(PLAIN.as_bytes());
    let response = exchange.call(request.value(login.as_bytes())).await?;
    if response.status.is_success() { Ok(()) } else { Err(refusal(&response, endpoint)) }
}

async fn scram(
    exchange: &mut Exchange,
    endpoint: &Endpoint,
    mechanism: Mechanism,
) -> Result<(), Fault> {
    let wrong = |error: ClientError| Fault::Scram { mechanism, error };
    let (user, password) = (endpoint.username.as_str(), endpoint.password.refreshed().await);
    let login = Scram::new(mechanism, user, password.as_bytes(), &nonce()?);
    let name = mechanism.name().as_bytes();
    let first = login.first();
    let request = FrameBuilder::request(Opcode::SASL_AUTH).key(name).value(first.as_bytes());
    let response = exchange.call(request).await?;
    if response.status != Status::AUTH_CONTINUE {
        // A node that accepts without a proof has shown nothing either.
        return Err(match response.status.is_success() {
            true => wrong(ClientError::NotTheNode),
            false => refusal(&response, endpoint),
        });
    }
    let asked = login.hear(&response.value).map_err(wrong)?;
    let salt = (asked.salt(), asked.iterations());
    let salted = endpoint.salted.get(mechanism, user, &password, salt);
    // A node may ask for many iterations on several connections.
    let (step, after) = (ConnectionStep::Request(Opcode::SASL_STEP), exchange.deadline());
    let salted = timeout(after, salted).await.map_err(|_| Fault::TimedOut { step, after })?;
    let (last, proven) = asked.prove(&salted);
    let request = FrameBuilder::request(Opcode::SASL_STEP).key(name).value(last.as_bytes());
    let response = exchange.call(request).await?;
    if !response.status.is_success() {
        return Err(refusal(&response, endpoint));
    }
    proven.accept(&response.value).map_err(wrong)
}

fn refusal(response: &Response, endpoint: &Endpoint) -> Fault {
    let status = response.status;
    match status {
        Status::AUTH_ERROR | Status::KEY_ENOENT | Status::EACCESS => {
            Fault::Login { username: endpoint.username.clone(), status }
        }
        _ => response.refusal(),
    }
}

/// Text that nobody can foresee.
fn nonce() -> Result<String, Fault> {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| broken!("the system has no random bytes: {error}"))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
