//! Reads one node: the changes of one vBucket after the other, over one connection.

use bytes::Bytes;
use mcbp::dcp::stream_flags;
use mcbp::{Frame, Seqno, StreamEndStatus, VbId, VbUuid};
use relay::{DcpReader, Deadlines, Endpoint, StreamEvent, StreamRange};

use super::VerifyError;
use crate::compare::Change;

/// The connection to one node, which streams one vBucket at a time.
pub(super) struct NodeReader {
    node: String,
    reader: DcpReader,
    /// Why the stream of the current vBucket ended early; `None` if it did not.
    refusal: Option<String>,
    /// The frame of the change that is compared next.
    front: Option<Bytes>,
}

impl NodeReader {
    /// Opens a connection with this name; no vBucket is streamed yet.
    pub(super) async fn open(
        endpoint: &Endpoint,
        bucket: &str,
        name: &str,
    ) -> Result<Self, VerifyError> {
        let reader = DcpReader::open(endpoint, bucket, name, Deadlines::default()).await?;
        Ok(Self { node: endpoint.name.clone(), reader, refusal: None, front: None })
    }

    /// The name of the node.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// Takes why the stream ended early, if it did.
    pub(super) fn take_refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    pub(super) fn start(&mut self, vb: VbId, high: Seqno) {
        self.refusal = None;
        // An empty vBucket is not streamed: a stream with an empty range would never end.
        if high > Seqno::ZERO {
            let (after, uuid) = (Seqno::ZERO, VbUuid(0));
            // A stream from memory may contain changes that later ones have replaced. The rows on
            // disk are the same whenever they are read.
            let flags = stream_flags::DISK_ONLY;
            self.reader.stream(StreamRange { vb, after, to: high, uuid, flags });
        }
    }

    pub(super) async fn advance_if(&mut self, wanted: bool) -> Result<(), VerifyError> {
        if wanted { self.advance().await } else { Ok(()) }
    }

    pub(super) async fn advance(&mut self) -> Result<(), VerifyError> {
        self.front = loop {
            match self.reader.next().await? {
                Some(StreamEvent::Change { frame, .. }) => break Some(frame),
                Some(StreamEvent::Ended { status: StreamEndStatus::OK, .. }) | None => break None,
                Some(StreamEvent::Ended { status, .. }) => {
                    self.refusal = Some(format!("the stream ended with {status}"));
                    break None;
                }
                Some(StreamEvent::Refused { status, .. }) => {
                    self.refusal = Some(format!("the stream was refused with {status}"));
                    break None;
                }
                Some(StreamEvent::RolledBack { to, .. }) => {
                    self.refusal = Some(format!("the stream was rolled back to {to}"));
                    break None;
                }
                Some(
                    StreamEvent::Opened { .. }
                    | StreamEvent::Marker { .. }
                    | StreamEvent::Advanced { .. },
                ) => {}
            }
        };
        Ok(())
    }

    pub(super) fn change(&self) -> Result<Option<Change<'_>>, VerifyError> {
        let malformed = |source| VerifyError::Malformed { node: self.node.clone(), source };
        let Some(bytes) = &self.front else { return Ok(None) };
        let frame = Frame::parse(bytes).map_err(malformed)?;
        let change = Change::decode(&frame).map_err(malformed)?;
        let unknown = || malformed(frame.malformed("neither a document nor a deletion"));
        change.map(Some).ok_or_else(unknown)
    }
}
