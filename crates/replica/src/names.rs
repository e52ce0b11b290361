//! What DCP connections call themselves, byte for byte as Couchbase's cluster manager does.
//!
//! Both ends of an upgrade must agree on these names: a data node displaces an older connection by
//! its name (MB-15891, MB-35881, MB-49271).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcbp::Side;
use sha1::{Digest as _, Sha1};

/// The longest name that a data node takes, in bytes.
pub const CONNECTION_NAME_BYTES_MAX: usize = 200;
/// The longest agent name in HELLO, in bytes.
pub const AGENT_NAME_BYTES_MAX: usize = 250;
/// How much of a node's name is kept in a shortened name, in characters.
const NODE_CHARS: usize = 35;
/// How much of a bucket's name is kept in a shortened name, in characters.
const BUCKET_CHARS: usize = 60;

/// The name of connection number `connection` from `producer` to `consumer`.
///
/// The first connection, number 0, has the plain name (MB-63169). A name of more than 200 bytes is
/// shortened: the prefix that both node names share is cut, each is cut to 35 characters, the
/// bucket to 60, and the SHA-1 of the full name stands at the end.
#[must_use]
pub fn connection_name(producer: &str, consumer: &str, bucket: &str, connection: u8) -> String {
    let number = if connection == 0 { String::new() } else { format!("/{connection}") };
    let full = format!("replication:{producer}->{consumer}:{bucket}{number}");
    if full.len() <= CONNECTION_NAME_BYTES_MAX {
        return full;
    }
    let shared = producer.chars().zip(consumer.chars()).take_while(|(a, b)| a == b).count();
    let node = |name: &str| {
        let cut = shared.min(name.chars().count().saturating_sub(NODE_CHARS));
        name.chars().skip(cut).take(NODE_CHARS).collect::<String>()
    };
    let bucket: String = bucket.chars().take(BUCKET_CHARS).collect();
    let digest = STANDARD.encode(Sha1::digest(full.as_bytes()));
    format!("replication:{}->{}:{bucket}:{digest}", node(producer), node(consumer))
}

/// Who the proxy says it is in HELLO on its connection to `side` (MB-56869); at most 250 bytes.
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
    fn mb_35881_names_are_those_of_the_public_vectors() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/connection-names.toml");
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("skipped: no {path}");
            return;
        };
        let vectors: Vectors = toml::from_str(&text).unwrap();
        assert!(!vectors.name.is_empty());
        for v in vectors.name {
            let got = connection_name(&v.producer, &v.consumer, &v.bucket, v.connection);
            assert_eq!(got, v.expect);
        }
    }

    #[test]
    fn the_first_connection_has_the_plain_name() {
        assert_eq!(connection_name("alpha", "beta", "b", 0), "replication:alpha->beta:b");
        assert_eq!(connection_name("alpha", "beta", "b", 1), "replication:alpha->beta:b/1");
    }

    #[test]
    fn agent_names_are_cut_at_a_character() {
        assert_eq!(agent_name(Side::Consumer, "x"), "ns_server:proxy-consumer/x");
        let long = "\u{e4}".repeat(200);
        let agent = agent_name(Side::Producer, &long);
        assert!(agent.len() <= AGENT_NAME_BYTES_MAX && agent.len() >= AGENT_NAME_BYTES_MAX - 1);
    }
}
