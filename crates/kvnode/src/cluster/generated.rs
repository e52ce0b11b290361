//! The maps of a node that stands alone. Pure.

use serde_json::{Value, json};

/// What clients may rely on: they do not send what is not named here. Source: the names in the maps
/// of a real cluster, recording 11 of `tests/data/wire`; those of views and of collections that
/// belong to other services are left out.
const CAPABILITIES: [&str; 18] = [
    "collections",
    "durableWrite",
    "tombstonedUserXAttrs",
    "subdoc.ReplaceBodyWithXattr",
    "subdoc.DocumentMacroSupport",
    "subdoc.ReviveDocument",
    "subdoc.ReplicaRead",
    "subdoc.BinaryXattr",
    "subdoc.AccessDeleted",
    "dcp.IgnorePurgedTombstones",
    "preserveExpiry",
    "rangeScan",
    "dcp",
    "cbhello",
    "touch",
    "cccp",
    "nodesExt",
    "xattr",
];

/// The address of a node as its map shows it. Clients replace the host by the one that they have
/// connected to: this node does not know by which name they find it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub(super) port: u16,
    pub(super) tls: bool,
}

impl Address {
    fn nodes_ext(self) -> Value {
        let service = if self.tls { "kvSSL" } else { "kv" };
        json!([{ "services": { service: self.port }, "thisNode": true }])
    }
}

/// The map before a bucket is selected.
pub(super) fn cluster(address: Address, revision: i64) -> String {
    let map = json!({
        "rev": revision,
        "revEpoch": 1,
        "nodesExt": address.nodes_ext(),
        "clusterCapabilitiesVer": [1, 0],
        "clusterCapabilities": {},
    });
    map.to_string()
}

/// The map of a bucket; `active` says of each vBucket whether it is active here.
pub(super) fn bucket(address: Address, revision: i64, name: &str, active: &[bool]) -> String {
    let chain = |&active: &bool| if active { [0] } else { [-1] };
    let chains: Vec<_> = active.iter().map(chain).collect();
    let map = json!({
        "rev": revision,
        "revEpoch": 1,
        "name": name,
        "nodeLocator": "vbucket",
        "bucketType": "membase",
        "collectionsManifestUid": "0",
        "bucketCapabilitiesVer": "",
        "bucketCapabilities": CAPABILITIES,
        "nodes": [{ "hostname": "$HOST", "ports": { "direct": address.port } }],
        "nodesExt": address.nodes_ext(),
        "clusterCapabilitiesVer": [1, 0],
        "clusterCapabilities": {},
        "vBucketServerMap": {
            "hashAlgorithm": "CRC",
            "numReplicas": 0,
            "serverList": [format!("$HOST:{}", address.port)],
            "vBucketMap": chains,
        },
    });
    map.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_names_this_node_for_what_is_active_here() {
        let address = Address { port: 11_210, tls: false };
        let map: Value = serde_json::from_str(&bucket(address, 3, "b", &[true, false])).unwrap();
        assert_eq!(map["vBucketServerMap"]["vBucketMap"], json!([[0], [-1]]));
        assert_eq!(map["vBucketServerMap"]["serverList"], json!(["$HOST:11210"]));
        assert_eq!((&map["rev"], &map["name"]), (&json!(3), &json!("b")));
        assert_eq!(map["nodesExt"][0]["services"], json!({ "kv": 11_210 }));
    }

    #[test]
    fn a_bucket_has_what_its_clients_may_ask_for() {
        let address = Address { port: 11_210, tls: false };
        let map: Value = serde_json::from_str(&bucket(address, 1, "b", &[true])).unwrap();
        let names = map["bucketCapabilities"].as_array().unwrap();
        // Without the first two the SDK for Go has neither, whatever HELLO grants; without the
        // third one all SDKs refuse to look at parts on replicas.
        for name in ["collections", "durableWrite", "subdoc.ReplicaRead"] {
            assert!(names.contains(&json!(name)), "{name}");
        }
    }

    #[test]
    fn with_tls_the_port_is_that_of_tls() {
        let address = Address { port: 11_207, tls: true };
        let map: Value = serde_json::from_str(&cluster(address, 1)).unwrap();
        assert_eq!(map["nodesExt"][0]["services"], json!({ "kvSSL": 11_207 }));
        assert_eq!(map["nodesExt"][0]["hostname"], Value::Null);
    }
}
