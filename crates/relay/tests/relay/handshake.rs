//! The handshake with peers that behave, and with peers that do not.

use std::time::Duration;

use bytes::Bytes;
use mcbp::{Feature, FrameBuilder, FrameError, Opcode, Status};
use relay::testing::{BUCKET, FakePeer, Manner, Manners};
use relay::{
    Connection, ConnectionStep, DcpOpen, Deadlines, Endpoint, Fault, LINK_FEATURES, LinkError,
    Prepared, Reconnect, Secret, Side,
};
use tokio::io::AsyncReadExt;

const NAME: &str = "replication:alpha->beta:default";

const OPEN: DcpOpen<'_> = DcpOpen {
    connection_name: NAME,
    consumer_name: Some("beta"),
    agent: "dcp-proxy:consumer/replication:alpha->beta:default",
    features: &LINK_FEATURES,
};

/// The requests of a handshake.
const STEPS: [Opcode; 6] = [
    Opcode::SASL_LIST_MECHS,
    Opcode::SASL_AUTH,
    Opcode::SASL_STEP,
    Opcode::SELECT_BUCKET,
    Opcode::HELLO,
    Opcode::DCP_OPEN,
];

async fn open_bucket(
    endpoint: &Endpoint,
    side: Side,
    bucket: &str,
    deadlines: Deadlines,
) -> Result<Connection, LinkError> {
    Prepared::connect(endpoint, side, bucket, deadlines).await?.open(OPEN).await
}

async fn open(endpoint: &Endpoint, side: Side) -> Result<Connection, LinkError> {
    open_bucket(endpoint, side, BUCKET, Deadlines::default()).await
}

/// Opens a connection to a peer of these manners, which must fail.
async fn fails(manners: Manners) -> LinkError {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let (error, _conn) = tokio::join!(open(&endpoint, Side::Producer), peer.accept(&manners));
    error.expect_err("such a peer is of no use")
}

#[tokio::test]
async fn both_sides_open_with_their_flags_and_names() {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("beta");
    for (side, flags, value) in
        [(Side::Consumer, 0x124, r#"{"consumer_name":"beta"}"#), (Side::Producer, 0x125, "")]
    {
        let manners = Manners::default();
        let (connection, conn) = tokio::join!(open(&endpoint, side), peer.accept(&manners));
        let opened = conn.opened.expect("DCP_OPEN came");
        assert_eq!((opened.flags, opened.name.as_str()), (flags, NAME));
        assert_eq!(opened.value, value);
        let connection = connection.unwrap();
        assert_eq!(connection.peer.side, Some(side));
        let features = [Feature::XATTR, Feature::COLLECTIONS, Feature::SNAPPY, Feature::JSON];
        assert_eq!(connection.features, features);
        assert!(connection.leftover.is_empty());
    }
}

#[tokio::test]
async fn mb_27855_only_snappy_may_be_missing_in_the_answer_to_hello() {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let features = vec![Feature::JSON, Feature::COLLECTIONS, Feature::XATTR];
    let manners = Manners { features, ..Manners::default() };
    let (connection, _conn) = tokio::join!(open(&endpoint, Side::Producer), peer.accept(&manners));
    assert!(!connection.unwrap().features.contains(&Feature::SNAPPY));

    for side in [Side::Consumer, Side::Producer] {
        let features = vec![Feature::JSON, Feature::SNAPPY];
        let manners = Manners { features, last: Opcode::HELLO, ..Manners::default() };
        let (error, _conn) = tokio::join!(open(&endpoint, side), peer.accept(&manners));
        let error = error.unwrap_err();
        let text = format!(
            "{side} alpha at {}: does not support [Xattr, Collections], which replication needs at \
             both nodes; enable them at this node or use a version that has them",
            endpoint.address
        );
        assert_eq!((error.to_string(), error.retry()), (text, Reconnect::Slowly));
    }
}

#[tokio::test]
async fn only_what_the_other_side_can_take_is_asked_for() {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let deadlines = Deadlines::default();
    // As a consumer grants it: in ascending order, and with something that no link needs.
    let features = [Feature::XATTR, Feature::JSON, Feature::XERROR, Feature::COLLECTIONS];
    let opening = async {
        let prepared = Prepared::connect(&endpoint, Side::Producer, BUCKET, deadlines).await?;
        prepared.open(DcpOpen { features: &features, ..OPEN }).await
    };
    let manners = Manners::default();
    let (connection, conn) = tokio::join!(opening, peer.accept(&manners));
    let asked = [Feature::XATTR, Feature::COLLECTIONS, Feature::JSON];
    assert_eq!((conn.asked, connection.unwrap().features), (asked.to_vec(), asked.to_vec()));
}

#[tokio::test]
async fn a_feature_that_was_not_asked_for_is_not_accepted() {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let features = [Feature::XATTR, Feature::COLLECTIONS, Feature::JSON];
    let opening = async {
        let deadlines = Deadlines::default();
        let prepared = Prepared::connect(&endpoint, Side::Producer, BUCKET, deadlines).await?;
        prepared.open(DcpOpen { features: &features, ..OPEN }).await
    };
    let granting = async {
        let mut conn = peer.accept(&Manners::for_client()).await;
        let hello = conn.expect(Opcode::HELLO).await;
        conn.answer_with(&hello, Status::SUCCESS, &[], &Feature::encode_list(&LINK_FEATURES)).await;
        conn.expect_close().await;
    };
    let (error, ()) = tokio::join!(opening, granting);
    let error = error.unwrap_err();
    assert!(error.to_string().contains("granted [Snappy] in its answer to HELLO"), "{error}");
    assert_eq!(error.retry(), Reconnect::Slowly);
}

#[tokio::test]
async fn bytes_right_after_the_last_answer_are_kept() {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let behind = FrameBuilder::request(Opcode::DCP_NOOP).build();
    let rude = async {
        let manners = Manners { last: Opcode::HELLO, ..Manners::default() };
        let mut conn = peer.accept(&manners).await;
        let open = conn.expect(Opcode::DCP_OPEN).await;
        let opaque = relay::testing::view(&open).header.opaque;
        let answer = FrameBuilder::response(Opcode::DCP_OPEN, Status::SUCCESS).opaque(opaque);
        conn.send_raw(&[answer.build(), behind.clone()].concat()).await;
        conn
    };
    let (connection, _conn) = tokio::join!(open(&endpoint, Side::Producer), rude);
    let mut connection = connection.unwrap();
    // The two may have been received in one segment or in two.
    let mut got = connection.leftover.to_vec();
    while got.len() < behind.len() {
        got.push(connection.reader.read_u8().await.unwrap());
    }
    assert_eq!(Bytes::from(got), behind);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_bucket_say_so_and_hide_the_password() {
    let peer = FakePeer::bind().await;
    let mut endpoint = peer.endpoint("alpha");
    let manners = Manners::default();
    let (error, _conn) = tokio::join!(
        open_bucket(&endpoint, Side::Producer, "absent", Deadlines::default()),
        peer.accept(&manners)
    );
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "producer alpha at {}: has no bucket \"absent\" that this user may open (KeyNotFound)",
            endpoint.address
        )
    );
    assert_eq!(error.retry(), Reconnect::Slowly);

    endpoint.password = Secret::new("not the word");
    let (error, _conn) = tokio::join!(open(&endpoint, Side::Producer), peer.accept(&manners));
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "producer alpha at {}: refused user \"dcp-proxy\" (AuthError), \
             check username and password",
            endpoint.address
        )
    );
    assert_eq!(error.retry(), Reconnect::Slowly);
    assert_eq!(error.status(), Some(Status::AUTH_ERROR));
    assert!(!format!("{endpoint:?} {error:?}").contains("not the word"));
}

#[tokio::test]
async fn mb_32577_a_node_that_warms_up_is_asked_again_soon() {
    let refuse = Manner::Refuse(Status::ETMPFAIL);
    let error = fails(Manners::bad_at(Opcode::DCP_OPEN, refuse)).await;
    assert!(matches!(error.fault, Fault::WarmingUp), "{error}");
    assert_eq!(error.retry(), Reconnect::Soon);
}

#[tokio::test]
async fn any_other_refusal_names_request_and_status_and_says_when_to_retry() {
    for (status, retry) in
        [(Status::EACCESS, Reconnect::Slowly), (Status::EINTERNAL, Reconnect::AfterBackoff)]
    {
        let manners = Manners::bad_at(Opcode::DCP_OPEN, Manner::Refuse(status));
        let error = fails(manners).await;
        let text = format!("answered DCP_OPEN with {status}");
        assert!(error.to_string().ends_with(&text), "{error}");
        assert_eq!((error.status(), error.retry()), (Some(status), retry));
    }
}

#[tokio::test]
async fn nobody_listening_is_a_refused_connection() {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    drop(peer);
    let error = open(&endpoint, Side::Consumer).await.unwrap_err();
    let text = error.to_string().to_lowercase();
    assert!(text.contains("could not connect: connection refused"), "{error}");
    assert_eq!((error.side(), error.retry()), (Some(Side::Consumer), Reconnect::AfterBackoff));
}

#[tokio::test]
async fn every_step_may_meet_an_end_or_garbage() {
    for step in STEPS {
        let error = fails(Manners::bad_at(step, Manner::HangUp)).await;
        // A close with unread bytes may be received as a reset.
        let at = match error.fault {
            Fault::Closed { step, .. } | Fault::Broken { step, .. } => step,
            _ => panic!("{error}"),
        };
        assert_eq!(at, ConnectionStep::Request(step), "{error}");

        let junk = Manner::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
        let error = fails(Manners::bad_at(step, junk)).await;
        let Fault::Garbage { step: at, source } = error.fault else { panic!("{error}") };
        assert_eq!(
            (at, source),
            (ConnectionStep::Request(step), FrameError::UnknownMagic { magic: b'H' })
        );

        let stray = FrameBuilder::response(step, Status::SUCCESS).opaque(mcbp::Opaque(0xdead));
        let error = fails(Manners::bad_at(step, Manner::Raw(stray.build().to_vec()))).await;
        assert!(matches!(error.fault, Fault::Unexpected { .. }), "{error}");

        let claim = [0x81, step.0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff].to_vec();
        let claim = [claim, vec![0; 12]].concat();
        let error = fails(Manners::bad_at(step, Manner::Raw(claim))).await;
        assert!(error.to_string().contains("claims a body of 4294967295 bytes"), "{error}");
    }
}

/// The header alone is enough: nothing of such an answer is buffered.
#[tokio::test]
async fn no_step_waits_for_an_answer_that_exceeds_the_limit() {
    for step in STEPS {
        let header = [0x81, step.0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0].to_vec();
        let error = fails(Manners::bad_at(step, Manner::Raw([header, vec![0; 12]].concat()))).await;
        let text = format!("sent {step} of 2097176 bytes, the limit is 1048576");
        assert!(error.to_string().ends_with(&text), "{error}");
    }
}

#[tokio::test]
async fn every_step_has_a_deadline() {
    let deadlines = Deadlines { request: Duration::from_millis(300), ..Deadlines::default() };
    for step in STEPS {
        let peer = FakePeer::bind().await;
        let endpoint = peer.endpoint("alpha");
        let manners = Manners::bad_at(step, Manner::Silence);
        let (error, _conn) = tokio::join!(
            open_bucket(&endpoint, Side::Producer, BUCKET, deadlines),
            peer.accept(&manners)
        );
        let error = error.unwrap_err();
        let text = format!("{step} had no answer within 300ms");
        assert!(error.to_string().ends_with(&text), "{error}");
        assert_eq!(error.retry(), Reconnect::AfterBackoff);
    }
}
