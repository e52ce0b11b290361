//! How a stream reader's connection is opened.

use std::time::Duration;

use bytes::BytesMut;
use mcbp::dcp::{Control, Open, control_key, open_flags};
use mcbp::{Feature, FrameBuilder, Opaque, Opcode};

use crate::exchange::Exchange;
use crate::handshake::{hello, open_connection, select_bucket};
use crate::login::log_in;
use crate::response::parse;
use crate::{ConnectionStep, Deadlines, Endpoint, Fault, Response};

/// Without snappy, so that values can be compared byte by byte.
const FEATURES: [Feature; 3] = [Feature::XATTR, Feature::COLLECTIONS, Feature::JSON];
/// How many bytes the producer may send unacknowledged: enough to keep it busy, little compared
/// with a node's cache.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// How to open a reader's connection.
#[derive(Clone, Copy, Debug)]
pub struct ReaderOptions<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The name of the connection, which must be the only one of its name at the node.
    pub name: &'a str,
    /// How long connect, each request and a silence of the node may take.
    pub deadlines: Deadlines,
    /// How many bytes the node may send unacknowledged, besides one frame that it has begun.
    pub window_bytes: u32,
    /// Whether the caller gives bytes of changes back, with [`DcpReader::acknowledge`], once it is
    /// done with them. Otherwise they are given back as they are read.
    pub acks_by_hand: bool,
    /// Whether the node sends keys without values; the datatype is sent all the same.
    pub keys_only: bool,
    /// Whether the node sends every version that it keeps of a document, instead of the newest one
    /// alone. A node without change streams refuses that.
    pub change_streams: bool,
    /// How often the node sends NOOP on a connection without changes, in whole seconds up to
    /// 10,800. With it, a connection is lost once nothing came for twice as long and the deadline
    /// of a request. Without it, it is lost once nothing came for that deadline alone, which suits
    /// streams that end.
    pub noop_interval: Option<Duration>,
}

impl<'a> ReaderOptions<'a> {
    /// Streams that end, read as fast as they come.
    #[must_use]
    pub fn new(bucket: &'a str, name: &'a str) -> Self {
        Self {
            bucket,
            name,
            deadlines: Deadlines::default(),
            window_bytes: WINDOW_BYTES,
            acks_by_hand: false,
            keys_only: false,
            change_streams: false,
            noop_interval: None,
        }
    }
}

/// Connects, and opens a DCP connection.
pub(crate) async fn open(
    endpoint: &Endpoint,
    options: ReaderOptions<'_>,
) -> Result<Exchange, Fault> {
    let mut exchange = log_in(endpoint, options.deadlines).await?;
    select_bucket(&mut exchange, options.bucket).await?;
    let granted = hello(&mut exchange, options.name, &FEATURES).await?;
    let missing: Vec<_> = FEATURES.into_iter().filter(|f| !granted.contains(f)).collect();
    if !missing.is_empty() {
        return Err(Fault::Features { missing });
    }
    let without_values = if options.keys_only { open_flags::NO_VALUE_WITH_DATATYPE } else { 0 };
    let flags = open_flags::REPLICATION_PRODUCER | without_values;
    let open = Open { flags, name: options.name.as_bytes(), value: &[] };
    open_connection(&mut exchange, open).await?;
    // Streams with collections are refused before NOOP is enabled.
    control(&mut exchange, control_key::ENABLE_NOOP, "true").await?;
    if let Some(interval) = options.noop_interval {
        let seconds = interval.as_secs().to_string();
        control(&mut exchange, control_key::SET_NOOP_INTERVAL, &seconds).await?;
    }
    let window = options.window_bytes.to_string();
    control(&mut exchange, control_key::CONNECTION_BUFFER_SIZE, &window).await?;
    control(&mut exchange, control_key::ENABLE_EXPIRY_OPCODE, "true").await?;
    if options.change_streams {
        control(&mut exchange, control_key::CHANGE_STREAMS, "true").await?;
    }
    Ok(exchange)
}

async fn control(exchange: &mut Exchange, key: &str, value: &str) -> Result<(), Fault> {
    let mut frame = BytesMut::new();
    Control { key: key.as_bytes(), value: value.as_bytes() }.write(Opaque(0), &mut frame);
    let request =
        FrameBuilder::from_frame(&parse(&frame, ConnectionStep::Request(Opcode::DCP_CONTROL))?);
    exchange.call(request).await.and_then(Response::accepted).map(drop)
}
