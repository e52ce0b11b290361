//! MB-53445: a producer ends a stream before the consumer has answered ADD_STREAM. The call returns
//! an error, the neighbours are open, and late frames have no effect.

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

use common::{Nodes, brisk, calm, failures, within_a_second};
use dcp_actors::{ControlLimits, LinkPhase};
use mcbp::{Opaque, Opcode, Status, StreamEndStatus, VbId};
use relay::testing::view;
use replica::backoff::Backoff;

const FAILING: [(StreamEndStatus, &str); 3] = [
    (StreamEndStatus::BACKFILL_FAIL, "BackfillFail (5)"),
    (StreamEndStatus::STATE_CHANGED, "StateChanged (2)"),
    (StreamEndStatus::DISCONNECTED, "Disconnected (3)"),
];

fn ended(vb: u16, status: &str) -> (u16, String, Option<String>) {
    (vb, "stream-end".to_owned(), Some(status.to_owned()))
}

#[tokio::test]
async fn mb_53445_the_call_fails_with_the_status_and_the_neighbours_are_open() {
    for (status, text) in FAILING {
        let nodes = Nodes::start(calm()).await;
        let (set_up, mut link) = nodes.begin(&[1, 2, 3]).await;
        let [first, second, third] = link.requests().await;
        link.open(&first).await;
        link.accept(&second).await;
        link.end(second.vb, second.opaque, status).await;
        link.open(&third).await;
        assert_eq!(failures(within_a_second(set_up).await), [ended(2, text)]);
        let status = nodes.status_until(|bucket| bucket.links[0].open == 2).await;
        assert_eq!(status.links[0].streams[1].vbucket, 2);
        // The late answer is withheld, and the stream it claims is closed on the consumer.
        link.added(&second, Status::SUCCESS).await;
        let close = link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
        assert_eq!(view(&close).header.vbucket(), VbId(2));
        link.consumer.answer(&close, Status::DCP_STREAM_NOT_FOUND).await;
        link.settle().await;
        let status = nodes.status_until(|bucket| bucket.links[0].open == 2).await;
        assert_eq!(status.links[0].phase, LinkPhase::Up);
    }
}

#[tokio::test]
async fn mb_53445_the_stream_request_is_refused_and_the_consumer_never_answers() {
    let nodes = Nodes::start(brisk()).await;
    let (set_up, mut link) = nodes.begin(&[7]).await;
    let stream = link.request().await;
    link.producer.answer(&stream.request, Status::NOT_MY_VBUCKET).await;
    link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    let refused = (7, "refused".to_owned(), Some("NotMyVbucket (0x07)".to_owned()));
    assert_eq!(failures(within_a_second(set_up).await), [refused]);
}

#[tokio::test]
async fn mb_53445_two_pending_both_end() {
    let nodes = Nodes::start(brisk()).await;
    let (set_up, mut link) = nodes.begin(&[1, 2, 3]).await;
    let [first, second, third] = link.requests().await;
    link.open(&third).await;
    link.end(second.vb, second.opaque, StreamEndStatus::BACKFILL_FAIL).await;
    link.end(first.vb, first.opaque, StreamEndStatus::STATE_CHANGED).await;
    let want = [ended(1, "StateChanged (2)"), ended(2, "BackfillFail (5)")];
    assert_eq!(failures(within_a_second(set_up).await), want);
}

#[tokio::test]
async fn mb_53445_all_pending_end_before_any_answer() {
    let nodes = Nodes::start(brisk()).await;
    let ids: Vec<u16> = (0..16).collect();
    let (set_up, mut link) = nodes.begin(&ids).await;
    let streams: [_; 16] = link.requests().await;
    for stream in &streams {
        link.end(stream.vb, stream.opaque, StreamEndStatus::STATE_CHANGED).await;
    }
    let want: Vec<_> = ids.iter().map(|&vb| ended(vb, "StateChanged (2)")).collect();
    assert_eq!(failures(within_a_second(set_up).await), want);
}

#[tokio::test]
async fn mb_34951_the_end_of_an_older_stream_is_ignored() {
    let nodes = Nodes::start(brisk()).await;
    let (set_up, mut link) = nodes.begin(&[5]).await;
    let stream = link.request().await;
    link.end(stream.vb, Opaque(0x7700_0000), StreamEndStatus::STATE_CHANGED).await;
    link.accept(&stream).await;
    link.added(&stream, Status::SUCCESS).await;
    assert_eq!(within_a_second(set_up).await, Ok(1));
}

#[tokio::test]
async fn mb_53445_status_ok_is_no_error_and_the_answer_is_awaited() {
    let nodes = Nodes::start(brisk()).await;
    let (set_up, mut link) = nodes.begin(&[5, 6]).await;
    let [stream, other] = link.requests().await;
    link.accept(&stream).await;
    link.end(stream.vb, stream.opaque, StreamEndStatus::OK).await;
    link.open(&other).await;
    assert!(!set_up.is_finished(), "the answer is still awaited");
    link.added(&stream, Status::SUCCESS).await;
    assert_eq!(within_a_second(set_up).await, Ok(1), "finished, not open");
}

#[tokio::test]
async fn mb_53445_an_end_after_the_answer_is_healed() {
    let nodes = Nodes::start(brisk()).await;
    let (set_up, mut link) = nodes.begin(&[5]).await;
    let stream = link.request().await;
    link.open(&stream).await;
    assert_eq!(within_a_second(set_up).await, Ok(1));
    link.end(stream.vb, stream.opaque, StreamEndStatus::SLOW).await;
    let again = link.request().await;
    link.open(&again).await;
    assert_eq!(again.vb, VbId(5));
    assert_ne!(again.add, stream.add, "opaques are unique to the attempt");
    nodes.status_until(|bucket| bucket.links[0].open == 1).await;
}

#[tokio::test]
async fn an_end_right_behind_the_answer_does_not_overtake_it() {
    let backoff = Backoff { min: Duration::from_millis(1), max: Duration::from_millis(1) };
    let nodes = Nodes::start(ControlLimits { backoff, ..brisk() }).await;
    let (set_up, mut link) = nodes.begin(&[5]).await;
    for _ in 0..50 {
        let stream = link.request().await;
        link.open(&stream).await;
        link.end(stream.vb, stream.opaque, StreamEndStatus::SLOW).await;
    }
    // The first answer shows whether the stream was open for a moment.
    _ = within_a_second(set_up).await;
    let stream = link.request().await;
    link.open(&stream).await;
    nodes.status_until(|bucket| bucket.links[0].open == 1).await;
}
