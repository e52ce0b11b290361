//! Maps that real nodes sent, maps of other networks, and maps that are refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use clustermap::{MAP_BYTES_MAX, Map, MapError, Network, Revision, Wanted};
use mcbp::Frame;

/// The maps of a recording, pushed by a manager, answered or pushed by a node; without those that
/// are compressed.
fn recorded(name: &str) -> Vec<Vec<u8>> {
    let mut maps = Vec::new();
    for line in recordings::capture(name) {
        let frame = Frame::parse(&line.bytes).unwrap();
        if frame.value.starts_with(b"{\"rev\"") {
            maps.push(frame.value.to_vec());
        }
    }
    maps
}

fn text(wanted: &Wanted) -> Vec<String> {
    let sets = wanted.desired.producers().iter();
    sets.map(|(name, set)| format!("{name} {}", set.iter().count())).collect()
}

#[test]
fn every_map_of_real_nodes_is_read() {
    let (mut of_buckets, mut of_clusters) = (0, 0);
    for name in ["10a-sdk-bootstrap", "10d-sdk-map-change", "11-cluster-config"] {
        for map in recorded(name) {
            match Map::parse(&map, "asked") {
                Ok(map) => {
                    of_buckets += 1;
                    let wanted = map.wanted(Network::of(&map.nodes, "127.0.0.1"), false).unwrap();
                    let count: usize =
                        wanted.desired.producers().values().map(|set| set.iter().count()).sum();
                    assert_eq!(count, map.active.len(), "{name}");
                    assert!(wanted.producers.iter().all(|it| it.host == "127.0.0.1"), "{name}");
                }
                // A map of the cluster.
                Err(MapError::NoVbuckets) => of_clusters += 1,
                // One that was refused by the node too.
                Err(error) => {
                    assert_eq!(error, MapError::Revision(Revision { epoch: 0, number: 50 }));
                }
            }
        }
    }
    assert!(of_buckets > 5 && of_clusters > 1, "{of_buckets} of buckets, {of_clusters}");
}

#[test]
fn a_recorded_change_moves_vbuckets() {
    let maps = recorded("10d-sdk-map-change");
    let maps = maps.iter().filter_map(|map| Map::parse(map, "asked").ok());
    let map = maps.max_by_key(|map| map.revision).unwrap();
    assert_eq!(map.revision, Revision { epoch: 1, number: 6 });
    let sets = text(&map.wanted(Network::Default, false).unwrap());
    assert_eq!(
        sets,
        ["127.0.0.1:11950 7", "127.0.0.1:11951 1"],
        "a vBucket has moved to the second node"
    );
}

const TWO: &str = r#"{"rev":7,"revEpoch":2,"name":"b","nodesExt":[
    {"services":{"kv":11210,"kvSSL":11207,"mgmt":8091},"hostname":"a.lan",
     "alternateAddresses":{"external":{"hostname":"a.example.org","ports":{"kv":1,"kvSSL":2}}}},
    {"services":{"kv":11210,"kvSSL":11207},"thisNode":true,
     "alternateAddresses":{"external":{"hostname":"b.example.org"}}},
    {"services":{"n1ql":8093},"hostname":"q.lan"}],
    "vBucketServerMap":{"serverList":["$HOST:11210","a.lan:11210"],
     "vBucketMap":[[0,1],[1,0],[-1,1],[],[0]]}}"#;

#[test]
fn each_vbucket_comes_from_its_active_node() {
    let map = Map::parse(TWO.as_bytes(), "b.lan").unwrap();
    assert_eq!(map.revision, Revision { epoch: 2, number: 7 });
    assert_eq!(map.active, [Some(1), Some(0), None, None, Some(1)]);
    for (network, tls, sets) in [
        (Network::Default, false, ["a.lan:11210 1", "b.lan:11210 2"]),
        (Network::Default, true, ["a.lan:11207 1", "b.lan:11207 2"]),
        (Network::External, false, ["a.example.org:1 1", "b.example.org:11210 2"]),
        (Network::External, true, ["a.example.org:2 1", "b.example.org:11207 2"]),
    ] {
        assert_eq!(text(&map.wanted(network, tls).unwrap()), sets, "{network:?} {tls}");
    }
    let others = map.addresses(Network::Default, false);
    let others: Vec<_> = others.iter().map(ToString::to_string).collect();
    assert_eq!(others, ["a.lan:11210", "b.lan:11210"], "the sender is the last");
}

#[test]
fn the_network_is_that_of_the_host_that_was_asked() {
    let map = Map::parse(TWO.as_bytes(), "b.lan").unwrap();
    for (asked, network) in [
        ("a.lan", Network::Default),
        ("b.lan", Network::Default),
        ("a.example.org", Network::External),
        ("b.example.org", Network::External),
        ("another.name", Network::Default),
    ] {
        assert_eq!(Network::of(&map.nodes, asked), network, "{asked}");
    }
}

#[test]
fn a_map_of_one_node_of_ipv6_is_read() {
    let map = r#"{"rev":1,"name":"b","nodesExt":[{"services":{"kv":5}}],
        "vBucketServerMap":{"serverList":["[$HOST]:5"],"vBucketMap":[[0]]}}"#;
    let map = Map::parse(map.as_bytes(), "::1").unwrap();
    assert_eq!(text(&map.wanted(Network::Default, false).unwrap()), ["[::1]:5 1"]);
}

#[test]
fn a_node_without_the_service_is_refused_where_it_has_active_vbuckets() {
    let map = r#"{"rev":1,"name":"b","nodesExt":[{"services":{"kv":5},"hostname":"a"}],
        "vBucketServerMap":{"serverList":["a:5"],"vBucketMap":[[0]]}}"#;
    let map = Map::parse(map.as_bytes(), "a").unwrap();
    for (network, says) in [
        (
            Network::Default,
            "node a has active vBuckets and no port with TLS (kvSSL): use the other",
        ),
        (Network::External, "no port with TLS (kvSSL): give it an alternate address"),
    ] {
        let error = map.wanted(network, true).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_map_is_said() {
    let with = |nodes: &str, servers: &str, chains: &str| {
        format!(
            r#"{{"rev":1,"name":"b","nodesExt":{nodes},
            "vBucketServerMap":{{"serverList":{servers},"vBucketMap":{chains}}}}}"#
        )
    };
    let node = r#"[{"services":{"kv":5},"hostname":"a"}]"#;
    let many = |text: &str, count: usize| format!("[{}]", vec![text; count].join(","));
    for (map, says) in [
        (String::new(), "malformed map: EOF"),
        ("[]".to_owned(), "malformed map: invalid"),
        ("{}".to_owned(), "missing field `rev`"),
        (r#"{"rev":"1"}"#.to_owned(), "malformed map: invalid type: string"),
        (r#"{"rev":0}"#.to_owned(), "has the revision 1:0"),
        (r#"{"rev":1,"revEpoch":-1}"#.to_owned(), "has the revision -1:1"),
        (r#"{"rev":1,"name":"b"}"#.to_owned(), "has no vBuckets"),
        (with(node, r#"["a:5"]"#, "[]"), "has 0 vBuckets"),
        (with(node, r#"["a:5"]"#, &many("[0]", 1025)), "has 1025 vBuckets"),
        (with(node, r#"["a:5"]"#, "[[0],[1]]"), "vBucket 1 is on server 1, and serverList has 1"),
        (with(node, r#"["a:5"]"#, "[[-2]]"), "vBucket 0 is on server -2"),
        (with(node, r#"["c:5"]"#, "[[0]]"), "server c:5 of serverList is no node"),
        (with(node, r#"["a:6"]"#, "[[0]]"), "server a:6 of serverList is no node"),
        (with("[]", r#"["a:6"]"#, "[[0]]"), "server a:6 of serverList is no node"),
        (with(&many("{}", 1025), "[]", "[[]]"), "has 1025 nodes"),
        (with(r#"[{"services":{"kv":70000}}]"#, "[]", "[[]]"), "malformed map: invalid value"),
        (" ".repeat(MAP_BYTES_MAX + 1), "a map of 1048577 bytes"),
    ] {
        let error = Map::parse(map.as_bytes(), "a").unwrap_err().to_string();
        assert!(error.contains(says), "{map:.100}: {error}");
    }
    let map = with(r#"[{"services":{"kv":5},"hostname":"a b"}]"#, r#"["a b:5"]"#, "[[0]]");
    let map = Map::parse(map.as_bytes(), "a").unwrap();
    let error = map.wanted(Network::Default, false).unwrap_err().to_string();
    assert!(error.contains("is not a host"), "{error}");
}
