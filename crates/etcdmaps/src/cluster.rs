//! The maps of all nodes of a cluster, as one file: `{"beta":{"default":{"alpha":"0-511"}}}`.

use std::collections::{BTreeMap, BTreeSet};

use desired::Entry;
use mcbp::VbId;
use replica::plan::{Connections, VbSet};

use crate::json::{Part, Unique};
use crate::keys::problem_of_name;
use crate::value;

/// The longest file: hundreds of nodes.
pub const CLUSTER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a file may be.
const ALLOWED: &str = r#"give {"NODE":{"BUCKET":{"PRODUCER":"0-511"}}}"#;

/// Maps by node and bucket.
pub type Maps = BTreeMap<(String, String), Entry>;

/// Checked maps of all nodes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cluster {
    /// The maps.
    pub maps: Maps,
}

impl Cluster {
    /// Parses a file. The map of a bucket has one of the forms of [`crate::parse`]; without a
    /// number of connections it gets one.
    ///
    /// # Errors
    /// All problems, each with node and bucket; never empty.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<String>> {
        if text.len() > CLUSTER_BYTES_MAX {
            let bytes = text.len();
            return Err(vec![format!("{bytes} bytes: give at most {CLUSTER_BYTES_MAX}")]);
        }
        let Unique(nodes): Unique<Unique<Unique<Part>>> =
            serde_json::from_slice(text).map_err(|error| {
                let error = logline::capped(error, 300);
                vec![format!("{error}: {ALLOWED}")]
            })?;
        let (mut maps, mut problems) = (Maps::new(), Vec::new());
        for (node, Unique(buckets)) in nodes {
            for (bucket, parts) in buckets {
                match checked(&node, &bucket, parts) {
                    Ok(entry) => _ = maps.insert((node.clone(), bucket), entry),
                    Err(problem) => {
                        let (node, bucket) = (logline::value(&node), logline::value(&bucket));
                        problems.push(format!("node {node}, bucket {bucket}: {problem}"));
                    }
                }
            }
        }
        if problems.is_empty() { Ok(Self { maps }) } else { Err(problems) }
    }

    /// Parses the map of one bucket, without the rules that depend on a sidecar's configuration.
    ///
    /// # Errors
    /// Why it is none, and what is allowed.
    pub fn parse_map(value: &[u8]) -> Result<Entry, String> {
        value::entry(value::parts(value)?, Connections::ONE)
    }

    /// What is allowed and probably not meant: only one node has the active copy of a vBucket, and
    /// only that node can be its producer.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let buckets: BTreeSet<&String> = self.maps.keys().map(|(_, bucket)| bucket).collect();
        buckets.into_iter().flat_map(|bucket| self.warnings_of(bucket)).collect()
    }

    fn warnings_of(&self, bucket: &str) -> Vec<String> {
        // By producer and a contradicting wish: the consumers, and the vBuckets.
        let mut found: BTreeMap<String, VbSet> = BTreeMap::new();
        let mut producers: BTreeMap<VbId, (&str, &str)> = BTreeMap::new();
        let of_bucket = || self.maps.iter().filter(|((_, its), _)| its == bucket);
        for ((node, _), entry) in of_bucket() {
            for (producer, vbs) in entry.replicate.producers() {
                let own = self.maps.get(&(producer.clone(), bucket.to_owned()));
                for vb in vbs.iter() {
                    if let Some(from) = own.and_then(|own| own.replicate.source(vb)) {
                        let text = format!(
                            "{node} wants it from {producer}, which itself wants it from {from}"
                        );
                        found.entry(text).or_default().insert(vb);
                    }
                    let (first, by) = *producers.entry(vb).or_insert((producer, node));
                    if first != producer {
                        let text = format!("{by} wants it from {first}, {node} from {producer}");
                        found.entry(text).or_default().insert(vb);
                    }
                }
            }
        }
        let lines = found.into_iter().map(|(text, vbs)| {
            format!("bucket {bucket}, vBuckets {vbs}: {text}: only one node has the active copy")
        });
        lines.collect()
    }

    /// The maps as a file, for people to edit.
    #[must_use]
    pub fn text(&self) -> String {
        let mut nodes = serde_json::Map::new();
        for ((node, bucket), entry) in &self.maps {
            let buckets = nodes.entry(node).or_insert_with(|| serde_json::json!({}));
            let Entry { connections, replicate } = entry;
            let map = match *connections {
                Connections::ONE => serde_json::json!(replicate),
                _ => serde_json::json!({ "replicate": replicate, "connections": connections }),
            };
            if let Some(buckets) = buckets.as_object_mut() {
                buckets.insert(bucket.clone(), map);
            }
        }
        format!("{:#}\n", serde_json::Value::Object(nodes))
    }
}

fn checked(node: &str, bucket: &str, parts: Unique<Part>) -> Result<Entry, String> {
    if let Some(problem) = problem_of_name(node).or_else(|| problem_of_name(bucket)) {
        return Err(problem);
    }
    let entry = value::entry(parts, Connections::ONE)?;
    if let Some(vbs) = entry.replicate.producers().get(node) {
        return Err(format!("vBuckets {vbs} are wanted from the node itself: give another node"));
    }
    let length = value::text(&entry).len();
    if length > value::VALUE_BYTES_MAX {
        return Err(value::too_long(length));
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    //! Files that are read, refused and warned of.

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        Cluster::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_file_is_read_and_written_alike() {
        let text = r#"{"beta":{"default":{"alpha":"0-511"},"other":{}},
            "gamma":{"default":{"replicate":{"alpha":"512-1023"},"connections":4}}}"#;
        let cluster = Cluster::parse(text.as_bytes()).unwrap();
        assert_eq!(cluster.maps.len(), 3);
        assert_eq!(Cluster::parse(cluster.text().as_bytes()), Ok(cluster));
        assert_eq!(Cluster::parse(b"{}"), Ok(Cluster::default()));
    }

    #[test]
    fn all_problems_are_reported_each_with_its_place() {
        let found = problems(
            r#"{"beta":{"default":{"beta":"5-7"},"other":{"alpha":"1024"}},
                "a/b":{"default":{}},"gamma":{"x y":{},"z":{"connections":2}}}"#,
        );
        let starts = [
            "node a/b, bucket default: a/b is not a name: give 1 to 100",
            "node beta, bucket default: vBuckets 5-7 are wanted from the node itself",
            "node beta, bucket other: producer \"alpha\": vbucket 1024 is out of range",
            "node gamma, bucket \"x y\": \"x y\" is not a name",
            "node gamma, bucket z: replicate is missing: give {",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (found, start) in found.iter().zip(starts) {
            assert!(found.starts_with(start), "{found}");
        }
        for text in ["", "[]", r#"{"a":{},"a":{}}"#, r#"{"a":{"b":{},"b":{}}}"#, r#"{"a":"b"}"#] {
            assert_eq!(problems(text).len(), 1, "{text}");
        }
        assert!(problems(r#"{"a":{},"a":{}}"#)[0].starts_with("duplicate key \"a\" at line 1"));
        assert!(problems(&" ".repeat(CLUSTER_BYTES_MAX + 1))[0].starts_with("16777217 bytes"));
    }

    #[test]
    fn wishes_that_contradict_each_other_are_warned_of() {
        for (text, expected) in [
            (r#"{"b":{"x":{"a":"0-5"}},"c":{"x":{"a":"0-9"}},"a":{"y":{"b":"0"}}}"#, &[][..]),
            (
                r#"{"b":{"x":{"a":"0-5"}},"a":{"x":{"b":"4-7"}}}"#,
                &[
                    "bucket x, vBuckets 4-5: a wants it from b, b from a: only one",
                    "bucket x, vBuckets 4-5: a wants it from b, which itself wants it from a: only",
                    "bucket x, vBuckets 4-5: b wants it from a, which itself wants it from b: only",
                ],
            ),
            (
                r#"{"b":{"x":{"a":"1"}},"c":{"x":{"d":"1-2"}}}"#,
                &["bucket x, vBuckets 1: b wants it from a, c from d: only one node has the"],
            ),
        ] {
            let found = Cluster::parse(text.as_bytes()).unwrap().warnings();
            assert_eq!(found.len(), expected.len(), "{found:#?}");
            for (found, start) in found.iter().zip(expected) {
                assert!(found.starts_with(start), "{found}");
            }
        }
    }
}
