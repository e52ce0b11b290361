//! The plain client: calls, pipelines, helpers.

use std::time::Duration;

use mcbp::dcp::{FailoverEntry, encode_failover_log};
use mcbp::{Feature, FrameBuilder, Opcode, Seqno, Status, VbId, VbState, VbUuid};
use relay::testing::{BUCKET, FakeConn, FakePeer, Manners, view};
use relay::{Client, Deadlines, Fault, Login};

async fn connect(deadlines: Deadlines) -> (Client, FakeConn) {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let login = Login { bucket: Some(BUCKET), agent: "test", features: &[], deadlines };
    let manners = Manners::for_client();
    let (client, conn) = tokio::join!(Client::connect(&endpoint, login), peer.accept(&manners));
    (client.unwrap(), conn)
}

#[tokio::test]
async fn a_call_gives_the_whole_response_and_an_ask_only_a_good_one() {
    let (mut client, mut conn) = connect(Deadlines::default()).await;
    let get = FrameBuilder::request(Opcode::GET).key(b"k");
    let node = async {
        for status in [Status::SUCCESS, Status::KEY_ENOENT, Status::KEY_ENOENT] {
            let request = conn.expect(Opcode::GET).await;
            assert_eq!(view(&request).key, b"k");
            conn.answer_with(&request, status, &[1, 2, 3, 4], b"value").await;
        }
    };
    let talk = async {
        let response = client.call(get).await.unwrap();
        assert_eq!(response.status, Status::SUCCESS);
        assert_eq!((&response.extras[..], &response.value[..]), (&[1, 2, 3, 4][..], &b"value"[..]));
        assert_eq!(client.call(get).await.unwrap().status, Status::KEY_ENOENT);
        let error = client.ask(get).await.unwrap_err();
        assert!(error.to_string().ends_with("answered GET with KeyNotFound: value"), "{error}");
    };
    tokio::join!(node, talk);
}

#[tokio::test]
async fn a_pipeline_fills_its_window_and_sees_every_response_in_order() {
    const WINDOW: usize = 32;
    let (mut client, mut conn) = connect(Deadlines::default()).await;
    let node = async {
        // Nothing is answered before the window is full: the client must not wait for answers.
        let mut first = Vec::new();
        for _ in 0..WINDOW {
            first.push(conn.expect(Opcode::SET).await);
        }
        for request in first {
            conn.answer(&request, Status::SUCCESS).await;
        }
        for n in WINDOW..1000 {
            let request = conn.expect(Opcode::SET).await;
            let status = if n == 500 { Status::ETMPFAIL } else { Status::SUCCESS };
            conn.answer(&request, status).await;
        }
    };
    let mut sent = 0;
    let mut failed = Vec::new();
    let value = vec![7; 10_000];
    let done = client.pipeline(
        WINDOW,
        |opaque, out| {
            let more = sent < 1000;
            if more {
                let set = FrameBuilder::request(Opcode::SET).opaque(opaque).extras(&[0; 8]);
                set.key(b"key").value(&value).write(out);
                sent += 1;
            }
            more
        },
        |n, response| {
            if !response.header.status().is_success() {
                failed.push((n, response.header.status()));
            }
        },
    );
    let (_, done) = tokio::join!(node, done);
    assert_eq!(done.unwrap(), 1000);
    assert_eq!(failed, [(500, Status::ETMPFAIL)]);

    let node = async {
        let request = conn.expect(Opcode::NOOP).await;
        conn.answer(&request, Status::SUCCESS).await;
    };
    let (_, after) = tokio::join!(node, client.ask(FrameBuilder::request(Opcode::NOOP)));
    after.expect("the connection is good for more");
}

#[tokio::test]
async fn a_pipeline_of_nothing_is_done_at_once() {
    let (mut client, _conn) = connect(Deadlines::default()).await;
    assert_eq!(client.pipeline(8, |_, _| false, |_, _| {}).await.unwrap(), 0);
}

#[tokio::test]
async fn a_pipeline_ends_when_an_answer_is_missing_or_the_node_is_gone() {
    let deadlines = Deadlines { request: Duration::from_millis(50), ..Deadlines::default() };
    for hang_up in [true, false] {
        let (mut client, mut conn) = connect(deadlines).await;
        let node = async {
            conn.expect(Opcode::SET).await;
            if hang_up {
                conn.hang_up();
            }
        };
        let endless = client.pipeline(
            8,
            |opaque, out| {
                FrameBuilder::request(Opcode::SET).opaque(opaque).write(out);
                true
            },
            |_, _| {},
        );
        let (_, error) = tokio::join!(node, endless);
        let error = error.unwrap_err();
        let right = match error.fault {
            Fault::Closed { .. } | Fault::Broken { .. } => hang_up,
            Fault::TimedOut { .. } => !hang_up,
            _ => false,
        };
        assert!(right, "{error}");
    }
}

#[tokio::test]
async fn the_helpers_read_what_real_nodes_answer() {
    let (mut client, mut conn) = connect(Deadlines::default()).await;
    let log = [(7, 5), (3, 0)];
    let log = log.map(|(uuid, seqno)| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) });
    let node = async {
        let request = conn.expect(Opcode::GET_ALL_VB_SEQNOS).await;
        let value = b"\0\x05\0\0\0\0\0\0\0\x0a\0\x06\0\0\0\0\0\0\0\x02";
        conn.answer_with(&request, Status::SUCCESS, &[], value).await;

        let request = conn.expect(Opcode::GET_FAILOVER_LOG).await;
        assert_eq!(view(&request).header.vbucket(), VbId(5));
        conn.answer_with(&request, Status::SUCCESS, &[], &encode_failover_log(&log)).await;

        let request = conn.expect(Opcode::STAT).await;
        assert_eq!(view(&request).key, b"vbucket");
        let opaque = view(&request).header.opaque;
        for (key, value) in [("vb_0", "active"), ("vb_1", "replica"), ("", "")] {
            let stat = FrameBuilder::response(Opcode::STAT, Status::SUCCESS).opaque(opaque);
            conn.send(stat.key(key.as_bytes()).value(value.as_bytes())).await;
        }
        let request = conn.expect(Opcode::STAT).await;
        conn.answer(&request, Status::KEY_ENOENT).await;

        let request = conn.expect(Opcode::SET_VBUCKET).await;
        assert_eq!((view(&request).header.vbucket(), view(&request).extras), (VbId(9), &[2][..]));
        conn.answer(&request, Status::SUCCESS).await;
    };
    let talk = async {
        let seqnos = client.get_all_vb_seqnos().await.unwrap();
        assert_eq!(seqnos, [(VbId(5), Seqno(10)), (VbId(6), Seqno(2))]);
        assert_eq!(client.failover_log(VbId(5)).await.unwrap(), log);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let stats = client.stats("vbucket").await.unwrap();
        assert_eq!(stats, [pair("vb_0", "active"), pair("vb_1", "replica")]);
        let error = client.stats("nonsense").await.unwrap_err();
        assert_eq!(error.status(), Some(Status::KEY_ENOENT));
        client.set_vbucket(VbId(9), VbState::Replica).await.unwrap();
    };
    tokio::join!(node, talk);
}

#[tokio::test]
async fn a_client_without_a_login_asks_what_anybody_may() {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let (client, mut conn) =
        tokio::join!(Client::unauthenticated(&endpoint, Deadlines::default()), peer.accept_raw());
    let mut client = client.unwrap();
    let node = async {
        let request = conn.expect(Opcode::SASL_LIST_MECHS).await;
        conn.answer_with(&request, Status::SUCCESS, &[], b"SCRAM-SHA1 PLAIN").await;
    };
    let talk = client.ask(FrameBuilder::request(Opcode::SASL_LIST_MECHS));
    let ((), response) = tokio::join!(node, talk);
    assert_eq!(&response.unwrap().value[..], b"SCRAM-SHA1 PLAIN");
}

#[tokio::test]
async fn statistics_of_dcp_connections_are_asked_for_without_streams() {
    let (mut client, mut conn) = connect(Deadlines::default()).await;
    let node = async {
        let request = conn.expect(Opcode::STAT).await;
        assert_eq!(view(&request).key, b"dcp");
        assert_eq!(view(&request).value, br#"{"stream_format":"skip"}"#);
        conn.answer(&request, Status::SUCCESS).await;
    };
    let ((), stats) = tokio::join!(node, client.dcp_stats());
    assert_eq!(stats.unwrap(), []);
}

#[tokio::test]
async fn a_node_without_a_required_feature_is_named_with_what_it_lacks() {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let features = [Feature::COLLECTIONS, Feature::JSON];
    let deadlines = Deadlines::default();
    let login = Login { bucket: Some(BUCKET), agent: "test", features: &features, deadlines };
    let manners = Manners { features: vec![Feature::JSON], ..Manners::for_client() };
    let (client, _conn) = tokio::join!(Client::connect(&endpoint, login), peer.accept(&manners));
    let client = client.unwrap();
    client.require(&[Feature::JSON]).unwrap();
    let error = client.require(&features).unwrap_err();
    let text = format!("alpha at {}: does not support [Collections]", endpoint.address);
    assert!(error.to_string().starts_with(&text), "{error}");
}

/// An endless answer during a move took 3.3 GiB and the sidecar with it.
#[tokio::test]
async fn statistics_without_an_end_are_an_error() {
    let (mut client, mut conn) = connect(Deadlines::default()).await;
    let node = async {
        let request = conn.expect(Opcode::STAT).await;
        let opaque = view(&request).header.opaque;
        let stat = FrameBuilder::response(Opcode::STAT, Status::SUCCESS).opaque(opaque);
        let stat = stat.key(b"k").value(&[b'v'; 64 * 1024]).build();
        conn.flood(&stat).await;
    };
    let talk = async {
        let error = client.stats("vbucket-details").await.unwrap_err();
        assert!(error.to_string().contains("sent STAT of"), "{error}");
        assert!(error.to_string().ends_with("the limit is 16777216"), "{error}");
        drop(client);
    };
    tokio::join!(node, talk);
}

/// A document may be as large as a frame can be; only other answers have the lower limit.
#[tokio::test]
async fn a_large_document_is_no_large_answer() {
    let (mut client, mut conn) = connect(Deadlines::default()).await;
    let value = vec![b'v'; 20 * 1024 * 1024];
    let node = async {
        let request = conn.expect(Opcode::GET).await;
        conn.answer_with(&request, Status::SUCCESS, &[0; 4], &value).await;
    };
    let talk = client.ask(FrameBuilder::request(Opcode::GET).key(b"k"));
    let ((), response) = tokio::join!(node, talk);
    assert_eq!(response.unwrap().value.len(), value.len());
}
