//! An open connection and its two halves, as the pumps take them.

use bytes::Bytes;
use mcbp::Feature;

use crate::{BoxRead, BoxWrite, Peer};

/// An open DCP connection, ready for a pump.
pub struct Connection {
    /// Whose it is.
    pub peer: Peer,
    /// Read half.
    pub reader: BoxRead,
    /// Write half.
    pub writer: BoxWrite,
    /// What came behind the answer to DCP_OPEN; may begin with whole frames.
    pub leftover: Bytes,
    /// What HELLO granted.
    pub features: Vec<Feature>,
}

impl Connection {
    /// The two halves, for the pumps of the two directions.
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
    /// Whose bytes these are.
    pub peer: Peer,
    /// The read half.
    pub reader: R,
    /// Bytes that were read before.
    pub leftover: Bytes,
}

/// Where a pump writes.
#[derive(Debug)]
pub struct Sink<W> {
    /// Who gets the bytes.
    pub peer: Peer,
    /// The write half; nobody else writes to it.
    pub writer: W,
}
