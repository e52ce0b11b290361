//! A running replication between two fake data nodes, which the test plays.

pub mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dcp_actors::{
    BucketPlan, BucketStatus, CommandError, ControlLimits, Replication, ReplicationConfig,
    ReplicationHandle,
};
use mcbp::dcp::{AddStream, SetVbucketState, StreamEnd, StreamReq};
use mcbp::{Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbState, VbUuid};
use relay::testing::{BUCKET, FakeConn, FakePeer, Manners, view};
use replica::backoff::Backoff;
use replica::plan::{Connections, Desired};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The outcome of a set-up that runs while the test plays the nodes.
pub type SetUp = JoinHandle<Result<usize, CommandError>>;

/// Limits with short deadlines and short delays.
pub fn brisk() -> ControlLimits {
    let backoff = Backoff { min: Duration::from_millis(20), max: Duration::from_millis(100) };
    ControlLimits { backoff, command: PATIENCE, lag_interval: None, ..ControlLimits::default() }
}

/// Limits with delays longer than a test, so that nothing is retried.
pub fn calm() -> ControlLimits {
    let backoff = Backoff { min: 4 * PATIENCE, max: 4 * PATIENCE };
    ControlLimits { backoff, ..brisk() }
}

/// The set of these vBuckets.
pub fn vbs(ids: &[u16]) -> BTreeSet<VbId> {
    ids.iter().copied().map(VbId).collect()
}

/// A desired map: these from `alpha`.
pub fn from_alpha(ids: &[u16]) -> BTreeMap<String, BTreeSet<VbId>> {
    BTreeMap::from([("alpha".to_owned(), vbs(ids))])
}

/// Replication from the fake `alpha` to the fake `beta`.
pub struct Nodes {
    pub alpha: FakePeer,
    pub beta: FakePeer,
    pub handle: ReplicationHandle,
}

impl Nodes {
    /// Starts with nothing desired: nothing connects yet.
    pub async fn start(limits: ControlLimits) -> Self {
        let (alpha, beta) = (FakePeer::bind().await, FakePeer::bind().await);
        let bucket = BucketPlan {
            name: BUCKET.to_owned(),
            connections: Connections::ONE,
            desired: Desired::default(),
        };
        let handle = Replication::start(ReplicationConfig {
            node: beta.endpoint("beta"),
            producers: vec![alpha.endpoint("alpha")],
            buckets: vec![bucket],
            limits,
        });
        Self { alpha, beta, handle: handle.unwrap() }
    }

    /// Sets the desired vBuckets from `alpha`.
    pub fn set(&self, ids: &[u16]) -> SetUp {
        let (handle, desired) = (self.handle.clone(), from_alpha(ids));
        tokio::spawn(async move { handle.set_desired(BUCKET, desired).await })
    }

    /// Takes the next pair of connections.
    pub async fn accept(&self) -> Link {
        let manners = Manners::default();
        let (consumer, producer) =
            tokio::join!(self.beta.accept(&manners), self.alpha.accept(&manners));
        Link::of(consumer, producer)
    }

    /// Sets the desired vBuckets and takes the connections that this opens.
    pub async fn begin(&self, ids: &[u16]) -> (SetUp, Link) {
        let set_up = self.set(ids);
        (set_up, self.accept().await)
    }

    /// Reads the status until `right` accepts it.
    pub async fn status_until(&self, right: impl Fn(&BucketStatus) -> bool) -> BucketStatus {
        status_until(&self.handle, right).await
    }
}

/// Reads the status of the only bucket until `right` accepts it.
pub async fn status_until(
    handle: &ReplicationHandle,
    right: impl Fn(&BucketStatus) -> bool,
) -> BucketStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = handle.status().await.remove(0);
        if right(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "not in time: {status:#?}");
        tokio::task::yield_now().await;
    }
}

/// Both connections of one link, played by the test.
pub struct Link {
    pub consumer: FakeConn,
    pub producer: FakeConn,
    opaque: u32,
}

/// A stream that is being set up.
pub struct Pending {
    pub vb: VbId,
    /// The ADD_STREAM of the proxy.
    pub add: Bytes,
    /// The consumer's own opaque, never that of the ADD_STREAM.
    pub opaque: Opaque,
    /// The STREAM_REQ as the producer got it.
    pub request: Bytes,
}

impl Link {
    /// The link of these connections, before any stream was requested on it.
    pub fn of(consumer: FakeConn, producer: FakeConn) -> Self {
        Self { consumer, producer, opaque: 0 }
    }

    /// Takes the next ADD_STREAM, and plays the consumer's STREAM_REQ to the producer.
    pub async fn request(&mut self) -> Pending {
        let add = self.consumer.expect(Opcode::DCP_ADD_STREAM).await;
        self.pass_request(add).await
    }

    /// The consumer requests the stream of an ADD_STREAM; not checked at the producer.
    pub async fn ask(&mut self, add: Bytes) -> Pending {
        self.opaque += 1;
        // A data node counts in its own byte order.
        let opaque = Opaque(self.opaque.swap_bytes());
        assert_ne!(view(&add).header.opaque, opaque, "realistic opaques");
        let mut stream =
            Pending { vb: view(&add).header.vbucket(), add, opaque, request: Bytes::new() };
        self.ask_from(&mut stream, 0).await;
        stream
    }

    async fn pass_request(&mut self, add: Bytes) -> Pending {
        let stream = self.ask(add).await;
        let request = self.producer.expect(Opcode::DCP_STREAM_REQ).await;
        assert_eq!(request, stream.request, "passed unchanged");
        stream
    }

    /// The consumer requests a stream from this seqno on; not checked at the producer.
    pub async fn ask_from(&mut self, stream: &mut Pending, start: u64) {
        let start = Seqno(start);
        let request = StreamReq {
            flags: AddStream::decode(&view(&stream.add)).unwrap().flags,
            start,
            end: Seqno::MAX,
            uuid: VbUuid(0),
            snapshot_start: start,
            snapshot_end: start,
            value: b"",
        };
        let mut out = BytesMut::new();
        request.write(stream.vb, stream.opaque, &mut out);
        self.consumer.send_raw(&out).await;
        stream.request = out.freeze();
    }

    /// Takes the next ADD_STREAM of an incomplete copy, and requests the stream from a seqno on.
    pub async fn request_incomplete(&mut self, start: u64) -> Pending {
        let add = self.consumer.expect(Opcode::DCP_ADD_STREAM).await;
        self.opaque += 1;
        let opaque = Opaque(self.opaque.swap_bytes());
        let vb = view(&add).header.vbucket();
        let mut stream = Pending { vb, add, opaque, request: Bytes::new() };
        self.ask_from(&mut stream, start).await;
        stream
    }

    /// The consumer refuses a frame of a stream.
    pub async fn refuse(&mut self, stream: &Pending, opcode: Opcode, status: Status) {
        let refusal = mcbp::FrameBuilder::response(opcode, status).opaque(stream.opaque);
        self.consumer.send(refusal).await;
    }

    /// The producer accepts the stream; the consumer gets the answer.
    pub async fn accept(&mut self, stream: &Pending) {
        let log = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
        self.producer.answer_with(&stream.request, Status::SUCCESS, &[], &log).await;
        self.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    }

    /// The consumer answers the ADD_STREAM.
    pub async fn added(&mut self, stream: &Pending, status: Status) {
        let number = stream.opaque.0.swap_bytes().to_be_bytes();
        self.consumer.answer_with(&stream.add, status, &number, &[]).await;
    }

    /// As [`Link::request`], for so many streams of one set-up.
    pub async fn requests<const N: usize>(&mut self) -> [Pending; N] {
        let mut streams = Vec::new();
        let mut adds = Vec::new();
        for _ in 0..N {
            adds.push(self.consumer.expect(Opcode::DCP_ADD_STREAM).await);
        }
        for add in adds {
            streams.push(self.pass_request(add).await);
        }
        streams.try_into().ok().expect("so many")
    }

    /// The producer accepts the stream, and the consumer answers ADD_STREAM.
    pub async fn open(&mut self, stream: &Pending) {
        self.accept(stream).await;
        self.added(stream, Status::SUCCESS).await;
    }

    /// The producer ends a stream; the consumer gets the end unchanged.
    pub async fn end(&mut self, vb: VbId, opaque: Opaque, status: StreamEndStatus) {
        let mut out = BytesMut::new();
        StreamEnd { status }.write(vb, opaque, &mut out);
        self.producer.send_raw(&out).await;
        assert_eq!(self.consumer.expect(Opcode::DCP_STREAM_END).await, out);
    }

    /// The producer orders a state; not checked at the consumer.
    pub async fn ask_state(&mut self, stream: &Pending, state: VbState) {
        let mut out = BytesMut::new();
        SetVbucketState { state }.write(stream.vb, stream.opaque, &mut out);
        self.producer.send_raw(&out).await;
    }

    /// The producer orders a state; the consumer gets the frame unchanged. Before the order to
    /// become active it has to answer a NOOP, which the producer does not see.
    pub async fn state(&mut self, stream: &Pending, state: VbState) -> Bytes {
        let mut out = BytesMut::new();
        SetVbucketState { state }.write(stream.vb, stream.opaque, &mut out);
        self.producer.send_raw(&out).await;
        if state == VbState::Active {
            let noop = self.consumer.expect(Opcode::DCP_NOOP).await;
            self.consumer.answer(&noop, Status::SUCCESS).await;
        }
        let asked = self.consumer.expect(Opcode::DCP_SET_VBUCKET_STATE).await;
        assert_eq!(asked, out);
        asked
    }

    /// The consumer answers the order; the producer gets the answer.
    pub async fn state_answered(&mut self, asked: &Bytes, status: Status) {
        self.consumer.answer(asked, status).await;
        let answer = self.producer.expect(Opcode::DCP_SET_VBUCKET_STATE).await;
        assert_eq!(view(&answer).header.status(), status);
    }

    /// The vBucket takes a state.
    pub async fn take_state(&mut self, stream: &Pending, state: VbState) {
        let asked = self.state(stream, state).await;
        self.state_answered(&asked, Status::SUCCESS).await;
    }

    /// Both sides get CLOSE_STREAM and close the stream.
    pub async fn closes(&mut self, vb: VbId) {
        for conn in [&mut self.consumer, &mut self.producer] {
            let close = conn.expect(Opcode::DCP_CLOSE_STREAM).await;
            assert_eq!(view(&close).header.vbucket(), vb);
            conn.answer(&close, Status::SUCCESS).await;
        }
    }

    /// Returns the flags of the next ADD_STREAM, after the consumer's STREAM_REQ.
    pub async fn request_with_flags(&mut self) -> (Pending, u32) {
        let stream = self.request().await;
        let flags = AddStream::decode(&view(&stream.add)).unwrap().flags;
        (stream, flags)
    }

    /// Waits until every frame that was sent before has its verdict.
    pub async fn settle(&mut self) {
        let noop = mcbp::FrameBuilder::request(Opcode::DCP_NOOP);
        self.consumer.send(noop).await;
        self.producer.expect(Opcode::DCP_NOOP).await;
    }
}

/// The outcome of a set-up, which must come within a second.
pub async fn within_a_second(set_up: SetUp) -> Result<usize, CommandError> {
    timeout(Duration::from_secs(1), set_up).await.expect("an answer within a second").unwrap()
}

/// What a data node answered, as in the status.
pub fn words(failure: &dcp_actors::VbFailure) -> Option<String> {
    failure.cause.answer().map(|answer| answer.to_string())
}

/// The failures of a set-up: vBucket, reason, status.
pub fn failures(result: Result<usize, CommandError>) -> Vec<(u16, String, Option<String>)> {
    let Err(CommandError::Failed(failures)) = result else { panic!("no failure: {result:?}") };
    let named = |f: &dcp_actors::VbFailure| f.producer == "alpha" && f.bucket == BUCKET;
    assert!(failures.iter().all(named), "producer and bucket are named: {failures:?}");
    failures.into_iter().map(|f| (f.vb.0, f.cause.reason().name().to_owned(), words(&f))).collect()
}
