//! What writing a cluster's maps changes, and in which transactions.

use std::collections::BTreeMap;

use desired::{Diff, Entry};
use replica::plan::Desired;

use crate::cluster::Cluster;
use crate::keys::{Key, Keys};
use crate::value;

/// The most keys of a transaction: etcd's default limit is 128 (`--max-txn-ops`).
const KEYS_MAX: usize = 100;
/// The most bytes of values of a transaction: etcd's default limit is 1.5 MiB
/// (`--max-request-bytes`).
const BYTES_MAX: usize = 1024 * 1024;

/// What etcd has under the maps of all nodes, at one revision.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Present {
    /// That revision.
    pub revision: i64,
    /// By key.
    pub stored: BTreeMap<Vec<u8>, Stored>,
}

/// A value in etcd.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The value.
    pub value: Vec<u8>,
    /// The revision that wrote it (`mod_revision`).
    pub revision: i64,
}

/// One key that is written or deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The node.
    pub node: String,
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// What etcd has now: a map, why it is none, or no such key.
    pub before: Option<Result<Entry, String>>,
    /// What is written; `None` where the key is deleted.
    pub after: Option<Entry>,
    /// The revision of what etcd has now; 0 for no such key. Written only if it still has it.
    pub expected: i64,
}

/// Changes that are written at once or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// The changes; not empty.
    pub changes: Vec<Change>,
}

impl Present {
    /// The maps that are good, and of the others why they are not.
    #[must_use]
    pub fn read(&self, keys: &Keys) -> (Cluster, BTreeMap<String, String>) {
        let (mut cluster, mut bad) = (Cluster::default(), BTreeMap::new());
        for (key, Stored { value, .. }) in &self.stored {
            match (keys.parse(key), Cluster::parse_map(value)) {
                (Some(Key::Map { node, bucket }), Ok(entry)) => {
                    cluster.maps.insert((node, bucket), entry);
                }
                (Some(Key::Map { .. }), Err(problem)) => {
                    bad.insert(String::from_utf8_lossy(key).into_owned(), problem);
                }
                (Some(Key::Status { .. }) | None, _) => {
                    let problem = format!("not the key of a map: give {}NODE/BUCKET", keys.maps());
                    bad.insert(String::from_utf8_lossy(key).into_owned(), problem);
                }
            }
        }
        (cluster, bad)
    }
}

/// What it takes to make etcd have these maps. Keys of other nodes and buckets are deleted if
/// `others_go`, else they stay.
#[must_use]
pub fn changes(wanted: &Cluster, present: &Present, keys: &Keys, others_go: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    for ((node, bucket), entry) in &wanted.maps {
        let key = keys.map(node, bucket);
        let stored = present.stored.get(key.as_bytes());
        let before = stored.map(|stored| Cluster::parse_map(&stored.value));
        if before.as_ref() != Some(&Ok(entry.clone())) {
            let (node, bucket, after) = (node.clone(), bucket.clone(), Some(entry.clone()));
            let expected = stored.map_or(0, |stored| stored.revision);
            changes.push(Change { node, bucket, key, before, after, expected });
        }
    }
    for (key, stored) in present.stored.iter().filter(|_| others_go) {
        let Some(Key::Map { node, bucket }) = keys.parse(key) else { continue };
        if !wanted.maps.contains_key(&(node.clone(), bucket.clone())) {
            let (key, before) = (keys.map(&node, &bucket), Some(Cluster::parse_map(&stored.value)));
            let expected = stored.revision;
            changes.push(Change { node, bucket, key, before, after: None, expected });
        }
    }
    changes
}

/// Divides changes into transactions that etcd takes with its default limits.
#[must_use]
pub fn batches(changes: Vec<Change>) -> Vec<Batch> {
    let mut batches: Vec<(Batch, usize)> = Vec::new();
    for change in changes {
        let size = change.value().map_or(0, |value| value.len()) + change.key.len();
        match batches.last_mut() {
            Some((batch, bytes))
                if batch.changes.len() < KEYS_MAX && *bytes + size <= BYTES_MAX =>
            {
                batch.changes.push(change);
                *bytes += size;
            }
            _ => batches.push((Batch { changes: vec![change] }, size)),
        }
    }
    batches.into_iter().map(|(batch, _)| batch).collect()
}

impl Change {
    /// The value that is written; `None` where the key is deleted.
    #[must_use]
    pub fn value(&self) -> Option<String> {
        self.after.as_ref().map(value::text)
    }

    /// The streams that open, close and stay.
    #[must_use]
    pub fn streams(&self) -> Diff {
        let none = Desired::default();
        let before = match &self.before {
            Some(Ok(entry)) => &entry.replicate,
            Some(Err(_)) | None => &none,
        };
        Diff::between(before, self.after.as_ref().map_or(&none, |entry| &entry.replicate))
    }
}

#[cfg(test)]
mod tests {
    //! What is written, what stays, and the limits of a transaction.

    use replica::plan::Connections;

    use super::*;

    fn cluster(text: &str) -> Cluster {
        Cluster::parse(text.as_bytes()).unwrap()
    }

    fn present(stored: &[(&str, &str, i64)]) -> Present {
        let stored = stored.iter().map(|&(key, value, revision)| {
            (format!("/p/maps/{key}").into_bytes(), Stored { value: value.into(), revision })
        });
        Present { revision: 50, stored: stored.collect() }
    }

    fn shown(changes: &[Change]) -> Vec<String> {
        let line = |it: &Change| {
            let value = it.value().unwrap_or_else(|| "deleted".to_owned());
            format!("{} if {}: {value}", it.key, it.expected)
        };
        changes.iter().map(line).collect()
    }

    #[test]
    fn only_what_differs_is_written_and_only_over_what_was_read() {
        let keys = Keys::new("/p");
        let wanted = cluster(r#"{"b":{"x":{"a":"0-5"},"y":{"a":"1"},"z":{}},"c":{"x":{"a":"9"}}}"#);
        let present = present(&[
            ("b/x", r#"{"replicate":{"a":"0-5"}}"#, 10),
            ("b/y", r#"{"a":"2"}"#, 11),
            ("b/z", "nonsense", 12),
            ("d/x", r#"{"a":"3"}"#, 13),
            ("d/x/more", "left alone", 14),
        ]);
        let found = changes(&wanted, &present, &keys, false);
        let expected = [
            r#"/p/maps/b/y if 11: {"connections":1,"replicate":{"a":"1"}}"#,
            r#"/p/maps/b/z if 12: {"connections":1,"replicate":{}}"#,
            r#"/p/maps/c/x if 0: {"connections":1,"replicate":{"a":"9"}}"#,
        ];
        assert_eq!(shown(&found), expected);
        let streams = found[0].streams();
        assert_eq!(
            (streams.opens["a"].to_string(), streams.closes["a"].to_string()),
            ("1".to_owned(), "2".to_owned())
        );
        assert!(found[1].before.as_ref().is_some_and(Result::is_err));
        let all = changes(&wanted, &present, &keys, true);
        assert_eq!(shown(&all[3..]), ["/p/maps/d/x if 13: deleted"]);
        let (good, bad) = present.read(&keys);
        assert_eq!((good.maps.len(), bad.len()), (3, 2));
        assert!(bad["/p/maps/b/z"].starts_with("expected ident at line 1"), "{bad:?}");
        assert!(bad["/p/maps/d/x/more"].starts_with("not the key of a map"), "{bad:?}");
    }

    #[test]
    fn transactions_stay_within_the_limits_of_etcd() {
        let change = |n: usize, producer: &str| {
            let set = (0..1024u16).filter(|vb| vb % 2 == 0).map(mcbp::VbId).collect();
            let replicate = Desired::new([(producer.to_owned(), set)].into()).unwrap();
            let after = Some(Entry { connections: Connections::ONE, replicate });
            let (node, bucket) = (format!("n{n}"), "x".to_owned());
            Change { node, bucket, key: format!("/p/{n}"), before: None, after, expected: 0 }
        };
        let sizes =
            |changes| batches(changes).iter().map(|it| it.changes.len()).collect::<Vec<_>>();
        assert!(sizes(Vec::new()).is_empty());
        assert_eq!(sizes((0..250).map(|n| change(n, "a")).collect()), [100, 100, 50]);
        let long = "a".repeat(60 * 1024);
        let many = batches((0..40).map(|n| change(n, &long)).collect());
        let bytes = |batch: &Batch| -> usize {
            batch.changes.iter().filter_map(Change::value).map(|value| value.len()).sum()
        };
        assert!(many.len() > 2 && many.iter().all(|batch| bytes(batch) <= BYTES_MAX));
    }
}
