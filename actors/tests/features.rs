//! A feature is granted by both nodes of a link or used by none.

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

use common::{Link, Nodes, brisk, calm, failures, within_a_second};
use mcbp::{Feature, Opcode, Status};
use relay::testing::{FakeConn, Manner, Manners, view};

/// HELLO as a link sends it to a producer whose consumer has no SNAPPY: bytes of a real pair.
const HELLO_WITHOUT_SNAPPY: [u8; 6] = [0x00, 0x06, 0x00, 0x12, 0x00, 0x0b];
/// The same where the consumer has SNAPPY.
const HELLO_WITH_SNAPPY: [u8; 8] = [0x00, 0x06, 0x00, 0x12, 0x00, 0x0a, 0x00, 0x0b];
/// What a real node with `datatype_snappy` off grants, in its order.
const GRANTED_WITHOUT_SNAPPY: [u8; 6] = [0x00, 0x06, 0x00, 0x0b, 0x00, 0x12];

/// A node that grants these features, whatever the request.
fn granting(features: &[Feature]) -> Manners {
    Manners { features: features.to_vec(), ..Manners::default() }
}

/// Answers requests with success until one of `opcode` comes, and returns that request.
async fn until(conn: &mut FakeConn, opcode: Opcode) -> bytes::Bytes {
    loop {
        let request = conn.recv().await.expect("not closed");
        if view(&request).opcode() == opcode {
            return request;
        }
        conn.answer(&request, Status::SUCCESS).await;
    }
}

#[tokio::test]
async fn a_producer_is_asked_only_for_what_the_consumer_granted() {
    let nodes = Nodes::start(brisk()).await;
    let set_up = nodes.set(&[0]);
    let (mut consumer, mut producer) =
        tokio::join!(nodes.beta.accept_raw(), nodes.alpha.accept_raw());
    let to_consumer = until(&mut consumer, Opcode::HELLO).await;
    assert_eq!(view(&to_consumer).value, HELLO_WITH_SNAPPY);
    consumer.answer_with(&to_consumer, Status::SUCCESS, &[], &GRANTED_WITHOUT_SNAPPY).await;
    let open = until(&mut consumer, Opcode::DCP_OPEN).await;
    consumer.answer(&open, Status::SUCCESS).await;
    let to_producer = until(&mut producer, Opcode::HELLO).await;
    assert_eq!(view(&to_producer).value, HELLO_WITHOUT_SNAPPY);
    producer.answer_with(&to_producer, Status::SUCCESS, &[], &GRANTED_WITHOUT_SNAPPY).await;
    let open = until(&mut producer, Opcode::DCP_OPEN).await;
    producer.answer(&open, Status::SUCCESS).await;
    let mut link = Link::of(consumer, producer);
    let stream = link.request().await;
    link.open(&stream).await;
    assert_eq!(within_a_second(set_up).await, Ok(1));
}

#[tokio::test]
async fn a_producer_without_snappy_is_fine_for_a_consumer_that_has_it() {
    let nodes = Nodes::start(brisk()).await;
    let set_up = nodes.set(&[0]);
    let (all, plain) =
        (Manners::default(), granting(&[Feature::XATTR, Feature::COLLECTIONS, Feature::JSON]));
    let (consumer, producer) = tokio::join!(nodes.beta.accept(&all), nodes.alpha.accept(&plain));
    let mut link = Link::of(consumer, producer);
    let stream = link.request().await;
    link.open(&stream).await;
    assert_eq!(within_a_second(set_up).await, Ok(1));
}

#[tokio::test]
async fn a_consumer_that_refuses_leaves_the_producer_without_hello_and_dcp_open() {
    for bad_at in [Opcode::HELLO, Opcode::DCP_OPEN] {
        let nodes = Nodes::start(calm()).await;
        let set_up = nodes.set(&[0]);
        let refuse = Manners::bad_at(bad_at, Manner::Refuse(Status::EACCESS));
        let mut producer = nodes.alpha.accept(&Manners::for_client()).await;
        let _consumer = nodes.beta.accept(&refuse).await;
        let refused = failures(within_a_second(set_up).await);
        assert_eq!(refused[0].1, "refused");
        assert_eq!(producer.recv().await, None, "closed after SELECT_BUCKET");
    }
}

#[tokio::test]
async fn a_consumer_that_lacks_a_feature_is_named_with_what_it_lacks() {
    let nodes = Nodes::start(calm()).await;
    let set_up = nodes.set(&[0]);
    let lacking = granting(&[Feature::SNAPPY, Feature::XATTR, Feature::JSON]);
    let lacking = Manners { last: Opcode::HELLO, ..lacking };
    let (_consumer, _producer) =
        tokio::join!(nodes.beta.accept(&lacking), nodes.alpha.accept_raw());
    let error = within_a_second(set_up).await.unwrap_err().to_string();
    assert!(error.contains("consumer beta at "), "{error}");
    assert!(error.contains("does not support [Collections]"), "{error}");
}
