//! Rows that a consumer refuses: one vBucket fails and no other, its copy is rolled back before it
//! opens, and it is not taken over before that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use common::cluster::{Answer, Cluster, answer};
use common::{Link, PATIENCE, Pending, brisk, calm};
use dcp_actors::{BucketStatus, CommandError, ControlLimits, StreamPhase, StreamStatus, VbFailure};
use mcbp::dcp::{BufferAck, decode_rollback};
use mcbp::{Opaque, Opcode, Seqno, Status, VbId, VbState};
use relay::testing::{mutation, view};
use replica::backoff::Backoff;

const MUTATION: Opcode = Opcode::DCP_MUTATION;

fn stream(bucket: &BucketStatus, vb: u16) -> &StreamStatus {
    bucket.links[0].streams.iter().find(|stream| stream.vbucket == vb).unwrap()
}

/// The one failure of a command.
async fn failure<T: std::fmt::Debug>(command: Answer<T>) -> VbFailure {
    let answered = tokio::time::timeout(PATIENCE, command).await;
    match answered.expect("an answer in time").unwrap() {
        Err(CommandError::Failed(mut failures)) if failures.len() == 1 => failures.remove(0),
        other => panic!("one failure was expected: {other:?}"),
    }
}

/// The consumer refuses the next row.
async fn refuse_row(link: &mut Link, stream: &Pending, seqno: u64, status: Status) {
    link.producer.send_raw(&mutation(stream.vb, stream.opaque, seqno, 10)).await;
    link.consumer.expect(MUTATION).await;
    link.refuse(stream, MUTATION, status).await;
}

/// The sidecar answers a STREAM_REQ with ROLLBACK; the producer does not see the request.
async fn rolled_back_to(link: &mut Link, stream: &Pending) -> Seqno {
    let answer = link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    let frame = view(&answer);
    assert_eq!((frame.header.opaque, frame.header.status()), (stream.opaque, Status::ROLLBACK));
    decode_rollback(&frame).unwrap()
}

#[tokio::test]
async fn wire_19_a_refused_row_fails_its_vbucket_and_its_copy_is_rolled_back_before_it_opens() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (mut link, [one, two]) = cluster.opened([1, 2]).await;
    refuse_row(&mut link, &one, 1, Status::EINVAL).await;
    link.closes(one.vb).await;
    let status = cluster.status_until(|bucket| stream(bucket, 1).phase != StreamPhase::Open).await;
    let error = stream(&status, 1).last_error.clone().unwrap();
    assert_eq!(error.reason().name(), "row-refused");
    assert_eq!(error.answer().unwrap().to_string(), "Invalid (0x04)");
    assert_eq!(stream(&status, 1).complete_to, Some(0));
    assert_eq!(stream(&status, 2).phase, StreamPhase::Open, "its neighbour");
    let failures = &status.stream_failures;
    assert!(
        failures.iter().any(|f| f.reason.name() == "row-refused" && f.count == 1),
        "{failures:?}"
    );

    // The copy is at 3 and lacks a refused row: back to the start of the refused stream.
    let mut again = link.request_incomplete(3).await;
    assert_eq!(rolled_back_to(&mut link, &again).await, Seqno(0));
    link.ask_from(&mut again, 0).await;
    let refused = link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    assert_eq!(view(&refused).header.status(), Status::ETMPFAIL);
    link.added(&again, Status::ETMPFAIL).await;
    // Only now the STREAM_REQ reaches the producer; the neighbour was open all the time.
    let again = link.request().await;
    link.open(&again).await;
    let status = cluster.status_until(|bucket| stream(bucket, 1).phase == StreamPhase::Open).await;
    assert_eq!((stream(&status, 1).complete_to, status.links[0].failures), (None, 0));
    link.producer.send_raw(&mutation(two.vb, two.opaque, 1, 10)).await;
    link.consumer.expect(MUTATION).await;
}

#[tokio::test]
async fn a_consumer_that_dropped_the_stream_at_the_refused_row_is_not_rolled_back_nor_asked_hotly()
{
    let backoff = Backoff { min: Duration::from_millis(1), max: 4 * PATIENCE };
    let mut cluster = Cluster::start(ControlLimits { backoff, ..brisk() }, &["alpha"]).await;
    let (mut link, [mut one]) = cluster.opened([1]).await;
    for _ in 0..5 {
        refuse_row(&mut link, &one, 1, Status::UNKNOWN_COLLECTION).await;
        let close = link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
        link.consumer.answer(&close, Status::DCP_STREAM_NOT_FOUND).await;
        let close = link.producer.expect(Opcode::DCP_CLOSE_STREAM).await;
        link.producer.answer(&close, Status::SUCCESS).await;
        let is_broken = |bucket: &BucketStatus| !bucket.broken.is_empty();
        if is_broken(&cluster.status_until(|b| stream(b, 1).phase != StreamPhase::Open).await) {
            break;
        }
        one = link.request().await;
        link.open(&one).await;
        let status =
            cluster.status_until(|bucket| stream(bucket, 1).phase == StreamPhase::Open).await;
        assert_eq!(stream(&status, 1).complete_to, None);
    }
    // At the fifth time in a row the vBucket is in a loop, and its backoff is longer than the test.
    let status =
        cluster.status_until(|bucket| stream(bucket, 1).phase == StreamPhase::Waiting).await;
    assert_eq!(status.broken.len(), 1);
    link.settle().await;
}

#[tokio::test]
async fn wire_21_a_consumer_without_the_stream_is_asked_anew_on_both_sides() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (mut link, [one]) = cluster.opened([1]).await;
    // All of them are refused, and one is enough.
    for seqno in 1..50 {
        link.producer.send_raw(&mutation(one.vb, one.opaque, seqno, 10)).await;
        link.consumer.expect(MUTATION).await;
    }
    for _ in 1..50 {
        link.refuse(&one, MUTATION, Status::DCP_STREAM_NOT_FOUND).await;
    }
    link.closes(one.vb).await;
    let again = link.request().await;
    link.open(&again).await;
    let status = cluster.status_until(|bucket| stream(bucket, 1).phase == StreamPhase::Open).await;
    assert_eq!(stream(&status, 1).complete_to, None, "no row was refused");
    let gone = status.stream_failures.iter().find(|failure| failure.reason.name() == "stream-gone");
    assert_eq!(gone.unwrap().count, 1);
}

#[tokio::test]
async fn a_takeover_or_move_of_a_copy_that_misses_rows_is_refused_and_says_why() {
    let mut cluster = Cluster::start(calm(), &["alpha"]).await;
    let (mut link, [one, _]) = cluster.opened([1, 2]).await;
    refuse_row(&mut link, &one, 1, Status::EINVAL).await;
    link.closes(one.vb).await;
    // The vBucket is asked for at once, to be rolled back; the consumer is slow.
    let stuck = link.request_incomplete(3).await;
    assert_eq!(rolled_back_to(&mut link, &stuck).await, Seqno(0));
    let refused = failure(cluster.takeover(1, "alpha")).await;
    assert_eq!((refused.cause.reason().name(), refused.vb.0), ("incomplete", 1));
    assert!(refused.detail().contains("complete only up to seqno 0"), "{refused}");
    let status = cluster.status_until(|bucket| bucket.moves.is_empty()).await;
    assert_eq!(stream(&status, 2).phase, StreamPhase::Open);
}

#[tokio::test]
async fn a_row_refused_in_a_takeover_leaves_the_vbucket_with_its_producer() {
    let mut cluster = Cluster::start(calm(), &["alpha"]).await;
    let takeover = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    refuse_row(&mut link, &stream, 1, Status::EINVAL).await;
    link.closes(stream.vb).await;
    cluster.producers["alpha"].control.copy(1, VbState::Active, 9);
    cluster.beta.control.copy(1, VbState::Replica, 9);
    let failure = failure(takeover).await;
    assert_eq!((failure.cause.reason().name(), failure.vb.0), ("row-refused", 1));
    assert!(failure.detail().contains("refused DCP_MUTATION"), "{failure}");
}

#[tokio::test]
async fn a_row_refused_after_the_producer_gave_up_does_not_become_an_active_copy() {
    let mut cluster = Cluster::start(calm(), &["alpha"]).await;
    let takeover = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    link.producer.send_raw(&mutation(VbId(1), stream.opaque, 2, 10)).await;
    link.consumer.expect(MUTATION).await;
    link.ask_state(&stream, VbState::Active).await;
    let noop = link.consumer.expect(Opcode::DCP_NOOP).await;
    cluster.producers["alpha"].control.copy(1, VbState::Dead, 2);
    cluster.beta.control.copy(1, VbState::Pending, 2);
    // The row is refused before the NOOP is answered, for a node answers in order.
    link.refuse(&stream, MUTATION, Status::EINVAL).await;
    link.consumer.answer(&noop, Status::SUCCESS).await;
    link.closes(stream.vb).await;
    let failure = failure(takeover).await;
    assert_eq!(failure.cause.reason().name(), "row-refused");
    assert!(failure.detail().contains("continues from this state"), "{failure}");
    assert_eq!(cluster.beta.control.set_active(), [0_u16; 0], "equal seqnos, other documents");

    // The producer has the rows that are missing here: its copy is activated again, and the vBucket
    // moves once the copy here is complete.
    let again = answer(cluster.takeover(1, "alpha")).await.unwrap_err();
    assert!(again.to_string().contains("complete only up to seqno 0"), "{again}");
}

#[tokio::test]
async fn a_refusal_while_a_stream_is_set_up_fails_it_and_the_other_opens() {
    let mut limits = brisk();
    limits.backoff.min = Duration::from_secs(40);
    limits.backoff.max = Duration::from_secs(40);
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let set_up = cluster.set(&[("alpha", &[1, 2])]);
    let mut link = cluster.accept().await;
    let [one, two] = link.requests().await;
    link.accept(&one).await;
    refuse_row(&mut link, &one, 1, Status::ENOMEM).await;
    link.closes(one.vb).await;
    link.open(&two).await;
    let failure = failure(set_up).await;
    assert_eq!((failure.vb.0, failure.cause.reason().name()), (1, "row-refused"));
    assert_eq!(failure.cause.answer().unwrap().to_string(), "NoMemory (0x82)");
}

#[tokio::test]
async fn a_row_refused_just_as_the_producer_is_lost_is_known_to_the_next_link() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (link, [one]) = cluster.opened([1]).await;
    let Link { mut consumer, mut producer, .. } = link;
    for seqno in 1..4 {
        producer.send_raw(&mutation(one.vb, one.opaque, seqno, 10)).await;
        consumer.expect(MUTATION).await;
    }
    // The consumer takes 1 and 3 and refuses 2. Its answers come after the producer is gone, after
    // acknowledgements that cannot be delivered any more, and it closes when it sees the end.
    drop(producer);
    consumer.expect_close().await;
    for _ in 0..3 {
        let mut ack = bytes::BytesMut::new();
        BufferAck { bytes: 100 }.write(VbId(0), Opaque(77), &mut ack);
        consumer.send_raw(&ack).await;
    }
    let refusal = mcbp::FrameBuilder::response(MUTATION, Status::EINVAL).opaque(one.opaque);
    consumer.send(refusal).await;
    drop(consumer);
    let mut link = cluster.accept().await;
    let again = link.request_incomplete(3).await;
    assert_eq!(rolled_back_to(&mut link, &again).await, Seqno(0));
}
