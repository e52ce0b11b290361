//! The sidecar as a process between data nodes that misbehave: a failure of one vBucket is reported
//! with producer, vBucket and status, and does not affect others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use common::{
    Config, DataNode, FakeConsumer, FakeNode, FakeProducer, Sidecar, StreamRequest, compare,
    contents, document, until,
};
use mcbp::{Opaque, Seqno, Status, StreamEndStatus, VbId};
use relay::testing::mutation;
use tempfile::TempDir;

/// A sidecar between a producer that the test plays and a real consumer.
struct Producing {
    alpha: FakeNode,
    producer: FakeProducer,
    sidecar: Sidecar,
    beta: DataNode,
    _folder: TempDir,
}

impl Producing {
    async fn start(vbuckets: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let beta = DataNode::start(folder.path(), "beta", "replica", 8).await;
        let mut alpha = FakeNode::start("alpha").await;
        let config = Config::new(&beta.endpoint(), &alpha.endpoint, vbuckets);
        let sidecar = Sidecar::start(folder.path(), &config);
        let producer = FakeProducer(alpha.dcp().await);
        Self { alpha, producer, sidecar, beta, _folder: folder }
    }

    /// Waits for the warning about a vBucket.
    async fn warns(&self, vb: VbId, status: &str) {
        self.sidecar.process.logs(&["WARN", "alpha", &format!("{vb}:"), status]).await;
    }

    /// Sends a change and waits until the consumer has it.
    async fn passes(&mut self, stream: &StreamRequest, seqno: u64) {
        self.producer.marker(stream, seqno - 1).await;
        self.producer.change(stream, seqno).await;
        self.producer.change(stream, seqno + 1).await;
        let mut client = self.beta.client().await;
        let goal = (stream.vb, Seqno(seqno + 1));
        until("a change arrives", async || {
            let seqnos = client.get_all_vb_seqnos().await.unwrap();
            seqnos.contains(&goal).then_some(())
        })
        .await;
    }

    /// Fails unless the consumer has exactly the changes that were sent up to this seqno.
    async fn holds(&self, vb: VbId, seqno: u64) {
        let sent = (1..=seqno).map(|seqno| document(&mutation(vb, Opaque(0), seqno, 10)));
        let (sent, held) = (sent.collect(), contents(&self.beta.endpoint(), vb).await);
        let found = compare(vb, ("alpha", &sent), ("beta", &held));
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[tokio::test]
async fn mb_53445_a_producer_ends_a_stream_at_every_step_of_its_set_up() {
    let mut test = Producing::start("0-2").await;
    let producer = &mut test.producer;
    let [first, mut stream, last] =
        [producer.request().await, producer.request().await, producer.request().await];
    assert_eq!([first.vb, stream.vb, last.vb], [VbId(0), VbId(1), VbId(2)]);
    producer.accept(&first).await;
    producer.accept(&last).await;

    // Instead of an answer.
    producer.refuse(&stream, Status::NOT_MY_VBUCKET).await;
    test.warns(stream.vb, "NotMyVbucket").await;
    // Before the answer.
    stream = test.asked_again(&stream).await;
    test.producer.end(&stream, StreamEndStatus::BACKFILL_FAIL).await;
    test.warns(stream.vb, "BackfillFail").await;
    // After the answer.
    stream = test.asked_again(&stream).await;
    test.producer.accept(&stream).await;
    test.producer.end(&stream, StreamEndStatus::STATE_CHANGED).await;
    test.warns(stream.vb, "StateChanged").await;
    // After a snapshot marker.
    stream = test.asked_again(&stream).await;
    test.producer.accept(&stream).await;
    test.producer.marker(&stream, 0).await;
    test.producer.end(&stream, StreamEndStatus::DISCONNECTED).await;
    test.warns(stream.vb, "Disconnected").await;
    // Within a snapshot.
    stream = test.asked_again(&stream).await;
    test.producer.accept(&stream).await;
    test.producer.marker(&stream, 0).await;
    test.producer.change(&stream, 1).await;
    test.producer.end(&stream, StreamEndStatus::SLOW).await;
    test.warns(stream.vb, "Slow").await;

    stream = test.asked_again(&stream).await;
    test.producer.accept(&stream).await;
    for (stream, seqno) in [(&first, 1), (&last, 1), (&stream, 2)] {
        test.passes(stream, seqno).await;
        test.holds(stream.vb, seqno + 1).await;
    }
    test.beta.process.assert_quiet(&[]);
    test.sidecar.stop().await;
}

impl Producing {
    /// The next request, which must be for the same vBucket: others are not affected.
    async fn asked_again(&mut self, before: &StreamRequest) -> StreamRequest {
        let again = self.producer.request().await;
        assert_eq!(again.vb, before.vb);
        again
    }
}

#[tokio::test]
async fn a_producer_that_hangs_up_during_set_up_is_connected_to_again() {
    let mut test = Producing::start("0-2").await;
    for _ in 0..2 {
        let stream = test.producer.request().await;
        test.producer.accept(&stream).await;
        test.producer.0.hang_up();
        test.sidecar.process.logs(&["WARN", "link down", "producer alpha"]).await;
        test.producer = FakeProducer(test.alpha.dcp().await);
    }
    for _ in 0..3 {
        let stream = test.producer.request().await;
        test.producer.accept(&stream).await;
        test.passes(&stream, 1).await;
        test.holds(stream.vb, 2).await;
    }
    test.sidecar.stop().await;
}

#[tokio::test]
async fn streams_that_end_at_once_are_a_few_lines_and_a_number() {
    let mut test = Producing::start("0-7").await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let stream = test.producer.request().await;
        test.producer.accept(&stream).await;
        streams.push(stream);
    }
    test.sidecar.process.logs(&["streams settled", "open=8"]).await;
    for stream in &streams {
        test.producer.end(stream, StreamEndStatus::DISCONNECTED).await;
    }
    test.sidecar.process.logs(&["WARN", "stream ended", "more=3"]).await;
    let log = test.sidecar.process.log();
    let told = log.lines().filter(|line| line.contains("stream ended") && line.contains("vb:"));
    assert_eq!(told.count(), 5);
}

/// A sidecar between two nodes that the test plays, asked for three streams: the first and the
/// last are open, the one between was asked for.
struct Consuming {
    producer: FakeProducer,
    _consumer: FakeConsumer,
    request: StreamRequest,
    sidecar: Sidecar,
    _nodes: (FakeNode, FakeNode),
    _folder: TempDir,
}

impl Consuming {
    async fn start(limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut alpha, mut beta) = (FakeNode::start("alpha").await, FakeNode::start("beta").await);
        let config = Config::new(&beta.endpoint, &alpha.endpoint, "0-2").limits(limits);
        let sidecar = Sidecar::start(folder.path(), &config);
        let (producer, consumer) = tokio::join!(alpha.dcp(), beta.dcp());
        let (mut producer, mut consumer) = (FakeProducer(producer), FakeConsumer(consumer));
        let [first, stream, last] =
            [consumer.asked().await, consumer.asked().await, consumer.asked().await];
        for stream in [&first, &last] {
            consumer.request(stream).await;
            let request = producer.request().await;
            producer.accept(&request).await;
            consumer.added(stream).await;
        }
        consumer.request(&stream).await;
        let request = producer.request().await;
        let _nodes = (alpha, beta);
        Self { producer, _consumer: consumer, request, sidecar, _nodes, _folder: folder }
    }
}

#[tokio::test]
async fn mb_53445_a_consumer_never_answers_for_a_stream_that_has_ended() {
    let mut test = Consuming::start("").await;
    let ended = Instant::now();
    test.producer.accept(&test.request).await;
    test.producer.end(&test.request, StreamEndStatus::STATE_CHANGED).await;
    let process = &test.sidecar.process;
    process.logs(&["WARN", "alpha", "vb:1:", "StateChanged"]).await;
    process.logs(&["streams settled", "opened=2", "open=2", "failed=1"]).await;
    assert!(ended.elapsed() < Duration::from_secs(1), "the deadline of a minute is not waited for");
}

#[tokio::test]
async fn a_consumer_that_never_answers_add_stream_is_given_up_at_the_deadline() {
    let mut test = Consuming::start("setup_ms = 300\nshutdown_ms = 300").await;
    test.producer.accept(&test.request).await;
    let process = &mut test.sidecar.process;
    process.logs(&["WARN", "vb:1:", "consumer did not finish add-stream in time"]).await;
    process.logs(&["streams settled", "opened=2", "open=2", "failed=1"]).await;
    assert!(process.is_running());
    test.sidecar.stop().await;
}
