//! An open connection and its two halves, for the pumps.

use bytes::Bytes;
use mcbp::Feature;

use crate::{BoxRead, BoxWrite, Peer};

/// An open DCP connection.
pub struct Connection {
    /// The other end.
    pub peer: Peer,
    /// Read half.
    pub reader: BoxRead,
    /// Write half.
    pub writer: BoxWrite,
    /// The bytes that were read after the answer to DCP_OPEN; may begin with whole frames.
    pub leftover: Bytes,
    /// The features that HELLO granted.
    pub features: Vec<Feature>,
}

impl Connection {
    /// Splits the connection into halves for the pumps of the two directions.
    #[must_use]
    pub fn split(self) -> (Source<BoxRead>, Sink<BoxWrite>) {
        let sink = Sink { peer: self.peer.clone(), writer: self.writer };
        (Source { peer: self.peer, reader: self.reader, leftover: self.leftover }, sink)
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("leftover_bytes", &self.leftover.len())
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

/// Where a pump reads.
#[derive(Debug)]
pub struct Source<R> {
    /// The peer that sends the bytes.
    pub peer: Peer,
    /// The read half.
    pub reader: R,
    /// Bytes that were read before; they are delivered first.
    pub leftover: Bytes,
}

/// Where a pump writes.
#[derive(Debug)]
pub struct Sink<W> {
    /// The peer that receives the bytes.
    pub peer: Peer,
    /// The write half; the pump is its only writer.
    pub writer: W,
}
