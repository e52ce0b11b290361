//! What is told while other nodes do not answer.

use mcbp::Magic;
use relay::Secret;
use relay::testing::{BUCKET, CREDENTIALS, FakeConn, FakePeer, Manners};

use super::*;

/// ClustermapChangeNotification, which is no opcode of a client.
const NOTIFICATION: Opcode = Opcode(0x01);

/// The map of this revision, in which both nodes are.
fn map(rev: i64, nodes: [&FakePeer; 2]) -> String {
    let addresses = nodes.map(|node| node.endpoint("").address);
    let port = |address: &String| address.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let host = |it| serde_json::json!({ "hostname": "127.0.0.1", "services": { "kv": port(it) } });
    serde_json::json!({
        "rev": rev, "revEpoch": 1, "name": BUCKET, "nodesExt": addresses.each_ref().map(host),
        "vBucketServerMap": { "serverList": addresses, "vBucketMap": [[0]] },
    })
    .to_string()
}

async fn answer(conn: &mut FakeConn, map: &str) {
    let request = conn.expect(Opcode::GET_CLUSTER_CONFIG).await;
    conn.answer_with(&request, Status::SUCCESS, &[], map.as_bytes()).await;
}

#[tokio::test]
async fn a_node_is_heard_until_another_one_answers() {
    let (node, silent) = (FakePeer::bind().await, FakePeer::bind().await);
    let cluster = Cluster {
        address: format!("couchbase://{}", node.endpoint("").address).parse().unwrap(),
        resolver: None,
        username: CREDENTIALS.0.to_owned(),
        password: Secret::new(CREDENTIALS.1),
        tls: None,
        has_server_name: false,
        network: None,
    };
    let limit = Duration::from_secs(60);
    let mut watch = Watch::new(cluster, BUCKET.to_owned(), Vec::new(), limit);
    watch.stay = Duration::ZERO;
    let maps = async {
        let first = watch.next().await;
        let Watched::Map { revision, .. } = first else { panic!("no map") };
        assert_eq!(revision.number, 1);
        let Watched::Map { revision, .. } = watch.next().await else { panic!("no map") };
        assert_eq!(revision.number, 2);
    };
    let nodes = async {
        let mut manners = Manners::for_client();
        manners.features = vec![Feature::DUPLEX, Feature::CLUSTERMAP_NOTIFICATION];
        let mut conn = node.accept(&manners).await;
        answer(&mut conn, &map(1, [&node, &silent])).await;
        let _connected = silent.accept_raw().await;
        conn.send(FrameBuilder::new(Magic::ServerRequest, NOTIFICATION, 0)).await;
        answer(&mut conn, &map(2, [&node, &silent])).await;
    };
    let both = async { tokio::join!(maps, nodes) };
    timeout(limit / 4, both).await.expect("the map before the node that does not answer");
}
