//! One side of a lane: the changes of one vBucket after the other, over one connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comparison::{Change, Failure, Side};
use mcbp::dcp::{FailoverEntry, SnapshotMarker, marker_flags, stream_flags};
use mcbp::{Frame, FrameError, Seqno, Status, StreamEndStatus, VbId};
use relay::{
    Client, DcpReader, Deadlines, Endpoint, LinkError, Login, ReaderOptions, StreamEvent,
    StreamRange,
};
use tokio::time::timeout;

use super::Progress;
use super::limiter::Limiter;
use crate::watch::SEQNO_FEATURES;

/// How often a node shows that it is there while it sends no changes.
const NOOP: Duration = Duration::from_secs(5);
/// How long a stream may send nothing: a node with many backfills has them wait for each other.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How many bytes a node may send unacknowledged where the rate is limited.
const WINDOW_BYTES_LIMITED: u32 = 1024 * 1024;

/// Why a pass cannot go on.
pub(super) enum Trouble {
    /// The stream, and with it what was read of the vBucket.
    Stream(Failure),
    /// The connection.
    Link(LinkError),
}

impl From<LinkError> for Trouble {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// How to reach a node.
pub(super) struct Access {
    pub(super) side: Side,
    pub(super) endpoint: Endpoint,
    pub(super) bucket: String,
    /// The name of the connection, but for a number.
    pub(super) name: String,
    pub(super) limiter: Arc<Limiter>,
    pub(super) progress: Progress,
}

/// The connection to one node, which streams one vBucket at a time.
pub(super) struct NodeReader {
    access: Access,
    /// Connections opened so far. Each has a name of its own, so that none closes another one that
    /// the node has not noticed the end of.
    opened: u32,
    reader: Option<DcpReader>,
    /// For what is no stream.
    client: Option<Client>,
    stream: Stream,
    /// Events that were received, and how many of them are done with.
    events: Vec<StreamEvent>,
    taken: usize,
    /// The frame of the change that is compared next.
    front: Option<Bytes>,
}

/// What is known of the stream of the current vBucket.
#[derive(Default)]
struct Stream {
    vb: VbId,
    log: Option<Vec<FailoverEntry>>,
    /// The end of the snapshot that its marker announces.
    announced: Option<Seqno>,
    /// The last seqno that was received.
    last: Seqno,
    has_ended: bool,
}

impl NodeReader {
    /// Nothing is opened yet.
    pub(super) fn new(access: Access) -> Self {
        Self {
            access,
            opened: 0,
            reader: None,
            client: None,
            stream: Stream { has_ended: true, ..Stream::default() },
            events: Vec::new(),
            taken: 0,
            front: None,
        }
    }

    pub(super) const fn side(&self) -> Side {
        self.access.side
    }

    /// Leaves a stream that was not read to its end: with it goes the connection.
    pub(super) fn abandon(&mut self) {
        if !self.stream.has_ended {
            self.reset();
        }
    }

    /// Connects again when it is needed.
    pub(super) fn reset(&mut self) {
        (self.reader, self.client, self.front) = (None, None, None);
        self.events.clear();
        (self.taken, self.stream.has_ended) = (0, true);
    }

    /// Opens the stream of a vBucket, and waits until the node has opened its snapshot.
    pub(super) async fn open(&mut self, vb: VbId) -> Result<(), Trouble> {
        self.abandon();
        if self.reader.is_none() {
            self.opened += 1;
            let Access { endpoint, bucket, name, limiter, .. } = &self.access;
            let name = format!("{name}:{}", self.opened);
            let mut options = ReaderOptions::new(bucket, &name);
            options.noop_interval = Some(NOOP);
            if limiter.is_limited() {
                options.window_bytes = WINDOW_BYTES_LIMITED;
            }
            self.reader = Some(DcpReader::open(endpoint, options).await?);
        }
        self.stream = Stream { vb, ..Stream::default() };
        // From disk: there each key has its newest change only, up to the end of one snapshot.
        let flags = stream_flags::DISK_ONLY;
        if let Some(reader) = &mut self.reader {
            reader.stream(StreamRange { flags, ..StreamRange::all(vb, Seqno::MAX) });
        }
        while self.stream.announced.is_none() && !self.stream.has_ended {
            self.receive_more().await?;
        }
        Ok(())
    }

    /// The failover log that came with the stream.
    pub(super) fn log(&self) -> Vec<FailoverEntry> {
        self.stream.log.clone().unwrap_or_default()
    }

    /// Where the snapshot ends: as announced, and once it was read, what was received. A replica
    /// within a snapshot of its producer may announce the end of that.
    pub(super) fn end(&self) -> Seqno {
        if self.stream.has_ended {
            self.stream.last
        } else {
            self.stream.announced.unwrap_or_default()
        }
    }

    /// Waits until there is a change to compare, or the stream has ended.
    pub(super) async fn fill(&mut self) -> Result<(), Trouble> {
        while self.front.is_none() && !self.stream.has_ended {
            self.receive_more().await?;
        }
        Ok(())
    }

    /// The change that is compared next; `None` once the stream has ended.
    #[inline]
    pub(super) fn front(&self) -> Result<Option<Change<'_>>, Trouble> {
        let Some(bytes) = &self.front else { return Ok(None) };
        let change = Frame::parse(bytes).and_then(|frame| {
            let change = Change::decode(&frame)?;
            change.map_or_else(|| Err(frame.malformed("not a change that is compared")), Ok)
        });
        change.map(Some).map_err(|error| self.malformed(&error))
    }

    /// Goes on to the next change, where it was received already.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<(), Trouble> {
        self.front = None;
        self.take_events()
    }

    /// Whether [`NodeReader::fill`] has to wait.
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.front.is_none() && !self.stream.has_ended
    }

    async fn receive_more(&mut self) -> Result<(), Trouble> {
        self.take_events()?;
        if self.front.is_some() || self.stream.has_ended || self.taken < self.events.len() {
            return Ok(());
        }
        self.events.clear();
        self.taken = 0;
        let Some(reader) = &mut self.reader else { return Err(self.failure("no connection")) };
        let received = timeout(SILENCE_MAX, reader.next_events(&mut self.events)).await;
        let Ok(received) = received else {
            return Err(self.failure(format!("its stream sent nothing for {SILENCE_MAX:?}")));
        };
        if !received? {
            return Err(self.failure("its stream is gone"));
        }
        let (mut rows, mut bytes) = (0, 0);
        for event in &self.events {
            if let StreamEvent::Change { frame, .. } = event {
                rows += 1;
                bytes += frame.len() as u64;
            }
        }
        self.access.progress.read(rows, bytes);
        self.access.limiter.take(bytes).await;
        self.take_events()
    }

    /// Takes events up to the next change, marker included.
    fn take_events(&mut self) -> Result<(), Trouble> {
        while self.front.is_none() && !self.stream.has_ended {
            let Some(event) = self.events.get_mut(self.taken) else { return Ok(()) };
            self.taken += 1;
            match event {
                StreamEvent::Change { seqno, frame, .. } => {
                    self.stream.last = *seqno;
                    self.front = Some(std::mem::take(frame));
                }
                StreamEvent::Opened { failover_log, .. } => {
                    self.stream.log = Some(std::mem::take(failover_log));
                }
                StreamEvent::Marker { marker, .. } => {
                    let marker = *marker;
                    self.announced(marker)?;
                }
                StreamEvent::Advanced { seqno, .. } => {
                    self.stream.last = self.stream.last.max(*seqno);
                }
                StreamEvent::Ended { status: StreamEndStatus::OK, .. } => {
                    self.stream.has_ended = true;
                }
                other => {
                    let (absent, what) = ended_early(other);
                    self.stream.has_ended = true;
                    let side = self.access.side;
                    return Err(Trouble::Stream(Failure { side, absent, what }));
                }
            }
        }
        Ok(())
    }

    fn announced(&mut self, marker: SnapshotMarker) -> Result<(), Trouble> {
        if marker.flags & marker_flags::MAY_CONTAIN_DUPLICATES != 0 {
            return Err(self.failure("its snapshot may have several changes of a key"));
        }
        if self.stream.announced.replace(marker.end).is_some() {
            return Err(self.failure("it sent more than one snapshot of its disk"));
        }
        Ok(())
    }

    /// The purge seqno of the vBucket now.
    pub(super) async fn purge_seqno(&mut self) -> Result<Seqno, Trouble> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => connect(&self.access.endpoint, &self.access.bucket).await?,
        };
        let vb = self.stream.vb.0;
        let stats = client.stats(&format!("vbucket-details {vb}")).await?;
        self.client = Some(client);
        let name = format!("vb_{vb}:purge_seqno");
        let purge = stats.iter().find(|(stat, _)| *stat == name);
        let purge = purge.and_then(|(_, value)| value.parse().ok());
        purge.map(Seqno).ok_or_else(|| {
            self.failure(format!("its statistics have no {name}, so missing deletions say nothing"))
        })
    }

    fn malformed(&self, error: &FrameError) -> Trouble {
        self.failure(format!("it sent a malformed change: {error}"))
    }

    fn failure(&self, what: impl Into<String>) -> Trouble {
        Trouble::Stream(Failure { side: self.access.side, absent: false, what: what.into() })
    }
}

/// Opens a connection for requests that are no streams.
pub(super) async fn connect(endpoint: &Endpoint, bucket: &str) -> Result<Client, LinkError> {
    let login = Login {
        bucket: Some(bucket),
        agent: "dcp-proxy/verify",
        features: &SEQNO_FEATURES,
        deadlines: Deadlines::default(),
    };
    let client = Client::connect(endpoint, login).await?;
    client.require(&SEQNO_FEATURES)?;
    Ok(client)
}

/// Whether the node does not have the vBucket, and why the stream ended.
fn ended_early(event: &StreamEvent) -> (bool, String) {
    match event {
        StreamEvent::Refused { status, .. } => {
            (*status == Status::NOT_MY_VBUCKET, format!("the stream was refused with {status}"))
        }
        StreamEvent::RolledBack { to, .. } => {
            (false, format!("the stream was rolled back to {to}"))
        }
        StreamEvent::Ended { status, .. } => (false, format!("the stream ended with {status}")),
        other => (false, format!("the stream went wrong: {other:?}")),
    }
}
