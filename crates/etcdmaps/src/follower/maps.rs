//! The maps of one node as etcd has them, and what the sidecar was told of each.

use std::collections::{BTreeMap, BTreeSet};

use desired::Entry;
use replica::plan::Connections;

use super::Item;
use crate::keys::{Key, Keys};
use crate::update::{Known, Update};
use crate::value::{self, SHOWN_BYTES_MAX, VALUE_BYTES_MAX};

/// The most keys under the maps of one node that are looked at: a node has few buckets.
pub const KEYS_MAX: usize = 256;

/// The maps of one node, by what follows the node's name in their keys.
#[derive(Debug)]
pub(super) struct Maps {
    keys: Keys,
    node: String,
    known: Known,
    held: BTreeMap<Vec<u8>, Held>,
    told: BTreeMap<Vec<u8>, Told>,
}

/// What etcd has at a key.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Held {
    value: Raw,
    revision: i64,
}

/// A value; of one that is too long, no more than a message repeats.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Raw {
    Whole(Vec<u8>),
    TooLong { bytes: usize, start: Vec<u8> },
}

/// What was told of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Told {
    Map { entry: Entry, revision: i64 },
    Refused { reason: String, revision: i64 },
    Missing,
}

impl Maps {
    pub(super) fn new(keys: Keys, node: &str, known: Known) -> Self {
        let (held, told) = (BTreeMap::new(), BTreeMap::new());
        Self { keys, node: node.to_owned(), known, held, told }
    }

    /// Takes everything that etcd has.
    pub(super) fn replace(&mut self, items: Vec<Item>) -> Vec<Update> {
        self.held.clear();
        items.into_iter().for_each(|item| self.take(item));
        self.news()
    }

    /// Takes what has changed. What is older than what was read does not count.
    pub(super) fn change(&mut self, items: Vec<Item>) -> Vec<Update> {
        items.into_iter().for_each(|item| self.take(item));
        self.news()
    }

    /// Takes what the configuration has now, and judges all values by it again.
    pub(super) fn set_known(&mut self, known: Known) -> Vec<Update> {
        self.known = known;
        self.news()
    }

    fn take(&mut self, item: Item) {
        let prefix = self.keys.maps_of(&self.node);
        let Some(name) = item.key.strip_prefix(prefix.as_bytes()) else { return };
        if self.held.len() >= KEYS_MAX && !self.held.contains_key(name) && !self.is_expected(name) {
            return;
        }
        let is_old = self.held.get(name).is_some_and(|held| held.revision > item.revision);
        match item.value {
            _ if is_old => {}
            Some(value) => {
                let held = Held { value: Raw::of(value), revision: item.revision };
                self.held.insert(name.to_vec(), held);
            }
            None => _ = self.held.remove(name),
        }
    }

    fn is_expected(&self, name: &[u8]) -> bool {
        std::str::from_utf8(name).is_ok_and(|name| self.known.buckets.contains_key(name))
    }

    /// What was not told yet.
    fn news(&mut self) -> Vec<Update> {
        let expected = self.known.buckets.keys().map(|bucket| bucket.clone().into_bytes());
        let names: BTreeSet<Vec<u8>> = expected.chain(self.held.keys().cloned()).collect();
        let gone: Vec<Vec<u8>> =
            self.told.extract_if(.., |name, _| !names.contains(name)).map(|it| it.0).collect();
        let mut updates: Vec<_> =
            gone.iter().map(|name| self.update(name, &Told::Missing)).collect();
        for name in names {
            let now = self.judge(&name);
            if self.told.get(&name) != Some(&now) {
                updates.push(self.update(&name, &now));
                self.told.insert(name, now);
            }
        }
        updates
    }

    fn judge(&self, name: &[u8]) -> Told {
        let Some(Held { value, revision }) = self.held.get(name) else { return Told::Missing };
        let revision = *revision;
        let judged = self.connections(name).and_then(|unsaid| match value {
            Raw::Whole(value) => value::parse(value, unsaid, &self.known.producers),
            Raw::TooLong { bytes, .. } => Err(value::too_long(*bytes)),
        });
        match judged {
            Ok(entry) => Told::Map { entry, revision },
            Err(reason) => Told::Refused { reason, revision },
        }
    }

    /// The connections of a bucket where its map does not say; an error if there is no such bucket.
    fn connections(&self, name: &[u8]) -> Result<Connections, String> {
        let key = [self.keys.maps_of(&self.node).as_bytes(), name].concat();
        let layout =
            || format!("not the key of a map: give {}BUCKET", self.keys.maps_of(&self.node));
        let Some(Key::Map { bucket, .. }) = self.keys.parse(&key) else { return Err(layout()) };
        let known = self.known.buckets.get(&bucket).copied();
        known.ok_or_else(|| {
            let names: Vec<&str> = self.known.buckets.keys().map(String::as_str).collect();
            let names = logline::capped(names.join(", "), 5 * SHOWN_BYTES_MAX);
            format!(
                "the configuration has no bucket {bucket:?}: write maps of {names}, delete this \
                 key, or add a [[bucket]] of this name"
            )
        })
    }

    fn update(&self, name: &[u8], told: &Told) -> Update {
        let bucket = shown(name);
        let key = format!("{}{bucket}", self.keys.maps_of(&self.node));
        match told {
            Told::Map { entry, revision } => {
                Update::Map { bucket, entry: entry.clone(), revision: *revision }
            }
            Told::Refused { reason, revision } => {
                let value = self.held.get(name).map_or(&[][..], |held| held.value.start());
                let (value, reason) = (shown(value), reason.clone());
                Update::Refused { bucket, key, value, reason, revision: *revision }
            }
            Told::Missing => Update::Missing { bucket, key },
        }
    }
}

impl Raw {
    fn of(value: Vec<u8>) -> Self {
        if value.len() <= VALUE_BYTES_MAX {
            return Self::Whole(value);
        }
        let start = value.get(..4 * SHOWN_BYTES_MAX).unwrap_or_default().to_vec();
        Self::TooLong { bytes: value.len(), start }
    }

    fn start(&self) -> &[u8] {
        match self {
            Self::Whole(value) => value,
            Self::TooLong { start, .. } => start,
        }
    }
}

/// The start of a text that somebody wrote, for messages.
fn shown(bytes: &[u8]) -> String {
    let start = bytes.get(..4 * SHOWN_BYTES_MAX).unwrap_or(bytes);
    logline::capped(String::from_utf8_lossy(start), SHOWN_BYTES_MAX)
}
