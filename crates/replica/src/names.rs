//! Names of DCP connections, byte for byte as Couchbase's cluster manager forms them.
//!
//! The names must stay the same across versions: a data node closes an older connection when a new
//! one comes with the same name (MB-15891, MB-35881, MB-49271).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcbp::Side;
use sha1::{Digest as _, Sha1};

/// The longest connection name that a data node accepts, in bytes.
pub const CONNECTION_NAME_BYTES_MAX: usize = 200;
/// The longest agent name in HELLO, in bytes.
pub const AGENT_NAME_BYTES_MAX: usize = 250;
/// The part of a node's name kept in a shortened name, in bytes.
const NODE_BYTES: usize = 35;
/// The part of a bucket's name kept in a shortened name, in bytes.
const BUCKET_BYTES: usize = 60;

/// Returns the name of connection number `connection` from `producer` to `consumer`.
///
/// The first connection, number 0, has no number in its name (MB-63169). A name of more than 200
/// bytes is shortened: the common prefix of both node names is cut, each node name is cut to 35
/// bytes and the bucket to 60, and the SHA-1 of the full name is appended. Cuts are at character
/// boundaries.
#[must_use]
pub fn connection_name(producer: &str, consumer: &str, bucket: &str, connection: u8) -> String {
    let number = if connection == 0 { String::new() } else { format!("/{connection}") };
    let full = format!("replication:{producer}->{consumer}:{bucket}{number}");
    if full.len() <= CONNECTION_NAME_BYTES_MAX {
        return full;
    }
    let same = producer.chars().zip(consumer.chars()).take_while(|(a, b)| a == b);
    let shared_bytes = same.map(|(a, _)| a.len_utf8()).sum();
    let (producer, consumer) = (node(producer, shared_bytes), node(consumer, shared_bytes));
    let (bucket, _) = bucket.split_at(bucket.floor_char_boundary(BUCKET_BYTES));
    let digest = STANDARD.encode(Sha1::digest(full.as_bytes()));
    format!("replication:{producer}->{consumer}:{bucket}:{digest}")
}

/// Returns a node's name without the common prefix, cut to its maximum. The prefix is kept as far
/// as needed to fill that maximum.
fn node(name: &str, shared_bytes: usize) -> &str {
    let start = shared_bytes.min(name.len().saturating_sub(NODE_BYTES));
    let (_, rest) = name.split_at(name.floor_char_boundary(start));
    rest.split_at(rest.floor_char_boundary(NODE_BYTES)).0
}

/// Returns the agent name for HELLO on the connection to `side` (MB-56869); at most 250 bytes.
#[must_use]
pub fn agent_name(side: Side, connection_name: &str) -> String {
    let mut agent = format!("ns_server:proxy-{side}/{connection_name}");
    agent.truncate(agent.floor_char_boundary(AGENT_NAME_BYTES_MAX));
    agent
}

#[cfg(test)]
mod tests {
    //! The public vectors, and the bounds.

    use super::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        name: Vec<Vector>,
    }

    #[derive(serde::Deserialize)]
    struct Vector {
        consumer: String,
        producer: String,
        bucket: String,
        connection: u8,
        expect: String,
    }

    #[test]
    fn mb_15891_mb_35881_mb_51458_names_are_those_of_the_public_vectors() {
        let text = recordings::vectors("connection-names.toml");
        let vectors: Vectors = toml::from_str(&text).unwrap();
        assert!(!vectors.name.is_empty());
        for v in vectors.name {
            let got = connection_name(&v.producer, &v.consumer, &v.bucket, v.connection);
            assert_eq!(got, v.expect);
        }
    }

    #[test]
    fn mb_49271_the_first_connection_of_a_long_name_is_hashed_without_a_number() {
        // The name from versions of the cluster manager without multiple connections.
        let node = |n| {
            format!(
                "ns_1@platform-couchbase-cluster-000{n}.platform-couchbase-cluster.\
                 couchbase-new-pxxxxxxx.svc"
            )
        };
        let bucket =
            "com.yyyyyy.digital.ms.shoppingcart.shoppingcart.123456789012345678901234567890";
        assert_eq!(
            connection_name(&node(1), &node(0), bucket, 0),
            "replication:1.platform-couchbase-cluster.couchb->0.platform-couchbase-cluster.couchb:\
             com.yyyyyy.digital.ms.shoppingcart.shoppingcart.123456789012:\
             TYFMH5ZD2gPLOaLgcuA2VijsZvc="
        );
    }

    proptest::proptest! {
        #[test]
        fn mb_35881_any_name_fits_and_identifies_its_link(
            producer in ".{0,120}", consumer in ".{0,120}", bucket in ".{0,120}", n in 0_u8..64,
        ) {
            let name = connection_name(&producer, &consumer, &bucket, n);
            assert!(name.starts_with("replication:"));
            assert!(name.len() <= CONNECTION_NAME_BYTES_MAX, "{} bytes", name.len());
            assert_ne!(name, connection_name(&producer, &consumer, &bucket, n + 1));
            assert!(agent_name(Side::Producer, &name).len() <= AGENT_NAME_BYTES_MAX);
        }
    }

    #[test]
    fn the_first_connection_has_the_plain_name() {
        assert_eq!(connection_name("alpha", "beta", "b", 0), "replication:alpha->beta:b");
        assert_eq!(connection_name("alpha", "beta", "b", 1), "replication:alpha->beta:b/1");
    }

    #[test]
    fn mb_56869_agent_names_are_cut_at_a_character() {
        assert_eq!(agent_name(Side::Consumer, "x"), "ns_server:proxy-consumer/x");
        let long = "\u{e4}".repeat(200);
        let agent = agent_name(Side::Producer, &long);
        assert!(agent.len() <= AGENT_NAME_BYTES_MAX && agent.len() >= AGENT_NAME_BYTES_MAX - 1);
    }
}
