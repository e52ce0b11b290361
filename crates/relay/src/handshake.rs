//! From a TCP connect to an open DCP connection: SASL, SELECT_BUCKET, HELLO, DCP_OPEN.
//!
//! The order is fixed: after DCP_OPEN neither SELECT_BUCKET (MB-35904) nor another login (MB-35928)
//! is possible. Every step has a deadline, and errors name the step.

use mcbp::dcp::{Open, open_flags};
use mcbp::{Feature, FrameBuilder, Opaque, Opcode, Status};

use crate::exchange::Exchange;
use crate::login::log_in_recorded;
use crate::response::parse;
use crate::{
    Connection, ConnectionStep, Deadlines, Endpoint, Fault, LinkError, Peer, PeerRecorder,
    Response, Side, name_check,
};

/// The features that replication requests of a consumer, in the order of Couchbase's own proxy. Of
/// a producer it requests those that the consumer granted.
pub const LINK_FEATURES: [Feature; 4] =
    [Feature::XATTR, Feature::COLLECTIONS, Feature::SNAPPY, Feature::JSON];
/// The only feature that a node may lack. Without it a producer sends values uncompressed, which
/// every consumer accepts. The others change the meaning of keys or values, so both sides need
/// them.
const OPTIONAL: Feature = Feature::SNAPPY;
/// The longest agent name that a data node accepts, in bytes.
const AGENT_BYTES_MAX: usize = 250;

/// What kind of DCP connection to open.
#[derive(Clone, Copy, Debug)]
pub struct DcpOpen<'a> {
    /// The name of the connection, at most 200 bytes. The node closes an older connection of this
    /// name.
    pub connection_name: &'a str,
    /// For a consumer: its node's name in topologies. Ignored for a producer.
    pub consumer_name: Option<&'a str>,
    /// The agent name in HELLO; truncated to 250 bytes.
    pub agent: &'a str,
    /// The features that the other side of the link supports. Of [`LINK_FEATURES`], only these are
    /// requested.
    pub features: &'a [Feature],
}

/// A connection that is logged in and has selected its bucket. It is not yet a DCP connection: it
/// has displaced no other connection.
pub struct Prepared {
    side: Side,
    peer: Peer,
    exchange: Exchange,
}

impl Prepared {
    /// Connects to `endpoint`, one end of a link, logs in and selects `bucket`.
    ///
    /// # Errors
    /// A [`LinkError`] with the side and the step.
    pub async fn connect(
        endpoint: &Endpoint,
        side: Side,
        bucket: &str,
        deadlines: Deadlines,
    ) -> Result<Self, LinkError> {
        Self::connect_recorded(endpoint, side, bucket, deadlines, None).await
    }

    /// The same; the handshake, from here to [`Prepared::open`], goes to `recorder`.
    ///
    /// # Errors
    /// As [`Prepared::connect`].
    pub async fn connect_recorded(
        endpoint: &Endpoint,
        side: Side,
        bucket: &str,
        deadlines: Deadlines,
        recorder: Option<PeerRecorder>,
    ) -> Result<Self, LinkError> {
        let peer = Peer::of(Some(side), endpoint);
        let selected = async {
            let mut exchange = log_in_recorded(endpoint, deadlines, recorder).await?;
            select_bucket(&mut exchange, bucket).await?;
            Ok(exchange)
        };
        match selected.await {
            Ok(exchange) => Ok(Self { side, peer, exchange }),
            Err(fault) => Err(Fault::at(fault, peer)),
        }
    }

    /// Checks that the node has no open DCP connection of this name, which opening one more would
    /// close. A node that does not list its connections passes.
    ///
    /// # Errors
    /// [`Fault::Rival`], or the loss of the connection.
    pub async fn check_name(&mut self, name: &str) -> Result<(), LinkError> {
        let fault = match name_check::is_taken(&mut self.exchange, name).await {
            Ok(false) => return Ok(()),
            Ok(true) => Fault::Rival { name: name.to_owned() },
            Err(fault) => fault,
        };
        Err(fault.at(self.peer.clone()))
    }

    /// Negotiates features and opens the DCP connection.
    ///
    /// # Errors
    /// A [`LinkError`] with the side and the step, or the missing features.
    pub async fn open(mut self, open: DcpOpen<'_>) -> Result<Connection, LinkError> {
        match self.agree_and_open(open).await {
            Ok(features) => {
                let (reader, writer, leftover) = self.exchange.into_parts();
                Ok(Connection { peer: self.peer, reader, writer, leftover, features })
            }
            Err(fault) => Err(fault.at(self.peer)),
        }
    }

    async fn agree_and_open(&mut self, open: DcpOpen<'_>) -> Result<Vec<Feature>, Fault> {
        let asked: Vec<_> =
            LINK_FEATURES.into_iter().filter(|feature| open.features.contains(feature)).collect();
        let features = hello(&mut self.exchange, open.agent, &asked).await?;
        let is_there = |feature: &Feature| features.contains(feature) || *feature == OPTIONAL;
        let missing: Vec<_> = LINK_FEATURES.into_iter().filter(|f| !is_there(f)).collect();
        if !missing.is_empty() {
            return Err(Fault::Features { missing });
        }
        dcp_open(&mut self.exchange, self.side, open).await?;
        Ok(features)
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Selects the bucket of all later requests.
pub(crate) async fn select_bucket(exchange: &mut Exchange, bucket: &str) -> Result<(), Fault> {
    let request = FrameBuilder::request(Opcode::SELECT_BUCKET).key(bucket.as_bytes());
    let response = exchange.call(request).await?;
    match response.status {
        status if status.is_success() => Ok(()),
        status @ (Status::KEY_ENOENT | Status::EACCESS | Status::NO_BUCKET) => {
            Err(Fault::NoBucket { bucket: bucket.to_owned(), status })
        }
        _ => Err(response.refusal()),
    }
}

/// Sends HELLO with `features`; returns those that were granted.
///
/// A node that grants other features is refused: it could send what this or the other end of the
/// link has not agreed to, such as compressed values.
pub(crate) async fn hello(
    exchange: &mut Exchange,
    agent: &str,
    features: &[Feature],
) -> Result<Vec<Feature>, Fault> {
    let (agent, _cut_off) = agent.split_at(agent.floor_char_boundary(AGENT_BYTES_MAX));
    let asked = Feature::encode_list(features);
    let request = FrameBuilder::request(Opcode::HELLO).key(agent.as_bytes()).value(&asked);
    let response = exchange.call(request).await.and_then(Response::accepted)?;
    let granted = response.decode(Feature::decode_list)?;
    let unasked: Vec<_> = granted.iter().copied().filter(|f| !features.contains(f)).collect();
    if unasked.is_empty() { Ok(granted) } else { Err(Fault::NotAskedFor { unasked }) }
}

async fn dcp_open(exchange: &mut Exchange, side: Side, open: DcpOpen<'_>) -> Result<(), Fault> {
    let (flags, value) = match (side, open.consumer_name) {
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

/// Sends DCP_OPEN.
pub(crate) async fn open_connection(exchange: &mut Exchange, open: Open<'_>) -> Result<(), Fault> {
    let frame = open.build(Opaque(0));
    let request =
        FrameBuilder::from_frame(&parse(&frame, ConnectionStep::Request(Opcode::DCP_OPEN))?);
    let response = exchange.call(request).await?;
    match response.status {
        Status::ETMPFAIL => Err(Fault::WarmingUp),
        _ => response.accepted().map(drop),
    }
}
