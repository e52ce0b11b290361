//! One client connection: frames in, answers out, in order.

mod features;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

pub use features::Features;

use crate::bucket::Bucket;

/// A connection that has sent DCP_OPEN, on its way to [`crate::dcp::serve`].
pub(crate) struct DcpHandover {
    /// The socket; nothing is owed to the peer on it but the answer to `open`.
    pub(crate) stream: TcpStream,
    /// What was read behind `open`.
    pub(crate) buffer: BytesMut,
    /// The whole DCP_OPEN frame, not yet answered.
    pub(crate) open: Bytes,
    /// The bucket that was selected; warm-up has ended.
    pub(crate) bucket: Arc<Bucket>,
    /// What HELLO negotiated.
    pub(crate) features: Features,
    /// Who authenticated.
    pub(crate) user: String,
    /// Who it is, for the log.
    pub(crate) peer: SocketAddr,
    /// Cancelled when the node stops.
    pub(crate) shutdown: CancellationToken,
}
