//! From a TCP connect to an open DCP connection: SASL PLAIN, SELECT_BUCKET, HELLO, DCP_OPEN.
//!
//! The order is fixed: a bucket cannot be selected after DCP_OPEN (MB-35904), nor can one log in
//! again (MB-35928). Every step has a deadline, and the error says which step it was.

use bytes::Bytes;
use mcbp::dcp::{Open, open_flags};
use mcbp::{Feature, Frame, FrameBuilder, Opaque, Opcode, Status};

use crate::exchange::{Exchange, parse, refused, step_of};
use crate::{Connection, Deadlines, Endpoint, Fault, LinkError, Peer, Side, socket};

/// What replication asks for, in the order in which Couchbase's own proxy asks.
const LINK_FEATURES: [Feature; 4] =
    [Feature::XATTR, Feature::COLLECTIONS, Feature::SNAPPY, Feature::JSON];
/// The longest agent name that a data node takes, in bytes.
const AGENT_BYTES_MAX: usize = 250;

/// What kind of DCP connection to open.
#[derive(Clone, Copy, Debug)]
pub struct DcpOpen<'a> {
    /// Which end of the link it will be: decides the flags.
    pub side: Side,
    /// The bucket.
    pub bucket: &'a str,
    /// The name of the connection, at most 200 bytes; the node closes an older one of this name.
    pub connection_name: &'a str,
    /// For a consumer: its node's name as topologies spell it. Ignored for a producer.
    pub consumer_name: Option<&'a str>,
    /// Who we say we are; cut to 250 bytes.
    pub agent: &'a str,
}

/// Connects to `endpoint` and opens a DCP connection there.
///
/// # Errors
/// A [`LinkError`] that names the side and the step.
pub async fn open_dcp(
    endpoint: &Endpoint,
    open: DcpOpen<'_>,
    deadlines: Deadlines,
) -> Result<Connection, LinkError> {
    let peer = Peer::of(Some(open.side), endpoint);
    match try_open(endpoint, open, deadlines).await {
        Ok((exchange, features)) => {
            let (reader, writer, leftover) = exchange.into_parts();
            Ok(Connection { peer, reader, writer, leftover, features })
        }
        Err(fault) => Err(fault.at(peer)),
    }
}

async fn try_open(
    endpoint: &Endpoint,
    open: DcpOpen<'_>,
    deadlines: Deadlines,
) -> Result<(Exchange, Vec<Feature>), Fault> {
    let mut exchange = log_in(endpoint, deadlines).await?;
    select_bucket(&mut exchange, open.bucket).await?;
    let features = hello(&mut exchange, open.agent, &LINK_FEATURES).await?;
    let granted = |feature: &Feature| features.contains(feature) || *feature == Feature::SNAPPY;
    let missing: Vec<_> = LINK_FEATURES.into_iter().filter(|f| !granted(f)).collect();
    if !missing.is_empty() {
        return Err(Fault::Features { missing });
    }
    dcp_open(&mut exchange, open).await?;
    Ok((exchange, features))
}

/// Connects and logs in. A client certificate does not spare SASL: it may stand for nobody on the
/// other side (MB-47905, MB-51962).
pub(crate) async fn log_in(endpoint: &Endpoint, deadlines: Deadlines) -> Result<Exchange, Fault> {
    let halves = socket::connect(endpoint, deadlines.connect).await?;
    let mut exchange = Exchange::new(halves, deadlines.request);
    let proof = ["", endpoint.username.as_str(), endpoint.password.expose()].join("\0");
    let request = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN").value(proof.as_bytes());
    accepted(&mut exchange, request, |frame| match frame.header.status() {
        status @ (Status::AUTH_ERROR | Status::KEY_ENOENT | Status::EACCESS) => {
            Fault::Login { username: endpoint.username.clone(), status }
        }
        _ => refused(frame),
    })
    .await?;
    Ok(exchange)
}

/// Selects the bucket that later requests are about.
pub(crate) async fn select_bucket(exchange: &mut Exchange, bucket: &str) -> Result<(), Fault> {
    let request = FrameBuilder::request(Opcode::SELECT_BUCKET).key(bucket.as_bytes());
    accepted(exchange, request, |frame| match frame.header.status() {
        status @ (Status::KEY_ENOENT | Status::EACCESS | Status::NO_BUCKET) => {
            Fault::NoBucket { bucket: bucket.to_owned(), status }
        }
        _ => refused(frame),
    })
    .await
    .map(drop)
}

/// Says who we are and asks for `features`; returns those that were granted.
pub(crate) async fn hello(
    exchange: &mut Exchange,
    agent: &str,
    features: &[Feature],
) -> Result<Vec<Feature>, Fault> {
    let agent = agent.get(..agent.floor_char_boundary(AGENT_BYTES_MAX)).unwrap_or(agent);
    let asked = Feature::encode_list(features);
    let request = FrameBuilder::request(Opcode::HELLO).key(agent.as_bytes()).value(&asked);
    let response = accepted(exchange, request, refused).await?;
    let step = step_of(&response);
    let granted = Feature::decode_list(&parse(&response, step)?);
    granted.map_err(|source| Fault::Garbage { step, source })
}

async fn dcp_open(exchange: &mut Exchange, open: DcpOpen<'_>) -> Result<(), Fault> {
    let (flags, value) = match (open.side, open.consumer_name) {
        (Side::Producer, _) => (open_flags::REPLICATION_PRODUCER, String::new()),
        (Side::Consumer, None) => (open_flags::REPLICATION_CONSUMER, String::new()),
        (Side::Consumer, Some(name)) => {
            let value = serde_json::json!({ "consumer_name": name }).to_string();
            (open_flags::REPLICATION_CONSUMER, value)
        }
    };
    let name = open.connection_name.as_bytes();
    open_connection(exchange, Open { flags, name, value: value.as_bytes() }).await
}

/// Turns the connection into a DCP connection.
pub(crate) async fn open_connection(exchange: &mut Exchange, open: Open<'_>) -> Result<(), Fault> {
    let frame = open.build(Opaque(0));
    let request = FrameBuilder::from_frame(&parse(&frame, step_of(&frame))?);
    accepted(exchange, request, |frame| match frame.header.status() {
        Status::ETMPFAIL => Fault::WarmingUp,
        _ => refused(frame),
    })
    .await
    .map(drop)
}

/// Sends a request; any status but success becomes the fault that `or` makes of it.
pub(crate) async fn accepted(
    exchange: &mut Exchange,
    request: FrameBuilder<'_>,
    or: impl FnOnce(&Frame<'_>) -> Fault,
) -> Result<Bytes, Fault> {
    let response = exchange.call(request).await?;
    let frame = parse(&response, step_of(&response))?;
    if frame.header.status().is_success() { Ok(response) } else { Err(or(&frame)) }
}
