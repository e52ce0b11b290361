//! A second sidecar with the same connection name, and peers whose errors or closes need a reason.

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

use bytes::Bytes;
use common::{Link, Nodes, brisk, calm};
use dcp_actors::LinkPhase;
use mcbp::{FrameBuilder, Opcode, Status};
use relay::testing::{FakeConn, Manners, view};

const NAME: &str = "replication:alpha->beta:default";

async fn opened(nodes: &Nodes) -> Link {
    let (set_up, mut link) = nodes.begin(&[1]).await;
    let stream = link.request().await;
    link.open(&stream).await;
    assert_eq!(set_up.await.unwrap(), Ok(1));
    link
}

/// Answers STAT dcp: one connection of this name, with this field.
async fn list(conn: &mut FakeConn, request: &Bytes, field: &str, value: &str) {
    let opaque = view(request).header.opaque;
    let answer = || FrameBuilder::response(Opcode::STAT, Status::SUCCESS).opaque(opaque);
    for (key, value) in [
        (format!("eq_dcpq:{NAME}/1:created"), "7"),
        (format!("eq_dcpq:{NAME}:{field}"), value),
        ("ep_dcp_count".to_owned(), "2"),
    ] {
        conn.send(answer().key(key.as_bytes()).value(value.as_bytes())).await;
    }
    conn.send(answer()).await;
}

/// Logs both connections of the next attempt in. Returns the consumer's with its next request, and
/// the producer's.
async fn next_attempt(nodes: &Nodes) -> (FakeConn, Bytes, FakeConn) {
    let manners = Manners::for_client();
    let (mut consumer, producer) =
        tokio::join!(nodes.beta.accept(&manners), nodes.alpha.accept(&manners));
    let request = consumer.recv().await.unwrap();
    (consumer, request, producer)
}

/// clusterio#350, java-dcp-client#13: two sidecars displaced each other ten times a second.
#[tokio::test]
async fn a_rival_of_the_same_name_is_named_and_left_alone_for_a_long_pause() {
    let nodes = Nodes::start(brisk()).await;
    let mut link = opened(&nodes).await;
    link.producer.hang_up();
    let mut seen = 0;
    let _after_the_pause = loop {
        let (mut consumer, request, mut producer) = next_attempt(&nodes).await;
        if view(&request).opcode() == Opcode::HELLO {
            break producer;
        }
        consumer.answer(&request, Status::SUCCESS).await;
        let request = producer.expect(Opcode::STAT).await;
        list(&mut producer, &request, "pending_disconnect", "false").await;
        producer.expect_close().await;
        assert!(producer.opened.is_none() && consumer.opened.is_none(), "nobody is displaced");
        seen += 1;
        if seen == 6 {
            let status = nodes.status_until(|bucket| bucket.links[0].broken.is_some()).await;
            let link = &status.links[0];
            assert_eq!(link.broken.as_ref().unwrap().kind.name(), "rival");
            let error = link.last_error.clone().unwrap();
            assert_eq!(error.reason().name(), "rival");
            let text = error.to_string();
            assert!(text.contains("producer alpha") && text.contains(NAME), "{text}");
            let count = status.link_failures.iter().find(|kind| kind.reason.name() == "rival");
            assert!(count.unwrap().count >= 5, "{:?}", status.link_failures);
        }
    };
    assert!(seen >= 6, "{seen} attempts left it alone");
}

#[tokio::test]
async fn a_connection_that_is_about_to_end_is_no_rival() {
    let nodes = Nodes::start(brisk()).await;
    let mut link = opened(&nodes).await;
    link.producer.hang_up();
    let (mut consumer, request, mut producer) = next_attempt(&nodes).await;
    assert_eq!(view(&request).opcode(), Opcode::STAT);
    consumer.answer(&request, Status::UNKNOWN_COMMAND).await;
    let request = producer.expect(Opcode::STAT).await;
    list(&mut producer, &request, "pending_disconnect", "true").await;
    consumer.expect(Opcode::HELLO).await;
}

#[tokio::test]
async fn a_rival_is_seen_beside_the_connection_that_it_displaced() {
    let nodes = Nodes::start(brisk()).await;
    let mut link = opened(&nodes).await;
    link.producer.hang_up();
    let (mut consumer, request, mut producer) = next_attempt(&nodes).await;
    consumer.answer(&request, Status::SUCCESS).await;
    let request = producer.expect(Opcode::STAT).await;
    let opaque = view(&request).header.opaque;
    let answer = || FrameBuilder::response(Opcode::STAT, Status::SUCCESS).opaque(opaque);
    let key = format!("eq_dcpq:{NAME}:pending_disconnect");
    for value in ["false", "true"] {
        producer.send(answer().key(key.as_bytes()).value(value.as_bytes())).await;
    }
    producer.send(answer()).await;
    producer.expect_close().await;
    assert!(producer.opened.is_none());
}

/// A node with many connections may take longer for its list than a request may.
#[tokio::test]
async fn a_node_that_does_not_list_its_connections_in_time_gets_its_link_without() {
    let mut limits = brisk();
    limits.handshake.request = Duration::from_millis(500);
    let nodes = Nodes::start(limits).await;
    let mut link = opened(&nodes).await;
    link.producer.hang_up();
    let (mut consumer, request, mut producer) = next_attempt(&nodes).await;
    consumer.answer(&request, Status::SUCCESS).await;
    producer.expect(Opcode::STAT).await;
    let _producer = nodes.alpha.accept(&Manners::for_client()).await;
    let request = consumer.recv().await.unwrap();
    assert_eq!(view(&request).opcode(), Opcode::HELLO, "what is unknown is no rival");
}

#[tokio::test]
async fn an_error_answer_of_a_producer_passes_and_explains_why_the_link_was_lost() {
    let nodes = Nodes::start(calm()).await;
    let mut link = opened(&nodes).await;
    let refused = FrameBuilder::response(Opcode::DCP_BUFFER_ACK, Status::EINVAL).build();
    link.producer.send_raw(&refused).await;
    assert_eq!(link.consumer.expect(Opcode::DCP_BUFFER_ACK).await, refused);
    link.consumer.hang_up();
    let status = nodes.status_until(|b| b.links[0].phase == LinkPhase::Waiting).await;
    let reason = status.links[0].last_error.clone().unwrap().to_string();
    assert!(reason.contains("consumer beta"), "{reason}");
    assert!(reason.contains("the producer answered DCP_BUFFER_ACK with"), "{reason}");
}
