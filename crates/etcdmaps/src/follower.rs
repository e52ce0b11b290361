//! How a sidecar follows the maps of its node: a machine without sockets, clock and chance.
//!
//! Whatever was lost, the maps are read again at one revision, and watched from the next one on: no
//! change is missed between the two. A map that was told already is not told again, so that reading
//! twice does no harm. While etcd is away nothing is told but that.

mod maps;
#[cfg(test)]
mod tests;

use std::time::Duration;

use replica::backoff::Backoff;

pub use self::maps::KEYS_MAX;
use self::maps::Maps;
use crate::keys::Keys;
use crate::update::{Connection, Known, Update};

/// How many times in a row a watch may be behind a compaction before its connection is given up:
/// each time all maps are read.
const COMPACTIONS_MAX: u32 = 3;

/// A key under the node's maps and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` where the key was deleted.
    pub value: Option<Vec<u8>>,
    /// The revision of this change (`mod_revision`).
    pub revision: i64,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The pause is over; also the first event of all.
    Retry,
    /// A member has accepted the connection.
    Opened,
    /// All maps of the node, at one revision of etcd.
    Read {
        /// That revision.
        revision: i64,
        /// The maps.
        items: Vec<Item>,
    },
    /// The watch is set up.
    Watching,
    /// Changes of one or more revisions, in their order.
    Changed(Vec<Item>),
    /// The watch begins before a compaction, so that changes are missing.
    Compacted,
    /// The connection, or a step on it, has failed.
    Lost {
        /// Why.
        error: String,
    },
    /// The configuration of the sidecar is another one.
    Known(Known),
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Close the connection if there is one, and send [`Event::Retry`] after this pause.
    Wait(Duration),
    /// Connect to the member of this number.
    Open(usize),
    /// Read all maps of the node.
    Read,
    /// Watch the maps of the node from this revision on.
    Watch {
        /// The first revision that was not read.
        from: i64,
    },
    /// Tell the sidecar.
    Tell(Update),
}

/// Follows the maps of one node.
#[derive(Debug)]
pub struct Follower {
    endpoints: Vec<String>,
    /// The member in use, or the next one to try.
    at: usize,
    maps: Maps,
    backoff: Backoff,
    failures: u32,
    compactions: u32,
    /// Since when the present watch works.
    watching_since_ms: Option<u64>,
    told: Option<Connection>,
}

impl Follower {
    /// Follows the maps of `node` at one of the `endpoints`, beginning with number `first`.
    #[must_use]
    pub fn new(keys: Keys, node: &str, known: Known, endpoints: Vec<String>, first: usize) -> Self {
        Self {
            at: first.checked_rem(endpoints.len()).unwrap_or(0),
            endpoints,
            maps: Maps::new(keys, node, known),
            backoff: Backoff::default(),
            failures: 0,
            compactions: 0,
            watching_since_ms: None,
            told: None,
        }
    }

    /// Takes an event. `now_ms` is the time since 1970, `random` is from 0 to 1.
    pub fn on(&mut self, event: Event, now_ms: u64, random: f64) -> Vec<Effect> {
        match event {
            Event::Retry => vec![Effect::Open(self.at)],
            Event::Opened => vec![Effect::Read],
            Event::Read { revision, items } => {
                let news = self.maps.replace(items);
                let watch = Effect::Watch { from: revision.saturating_add(1) };
                told(news).chain([watch]).collect()
            }
            Event::Watching => self.watching(now_ms),
            Event::Changed(items) => {
                self.compactions = 0;
                told(self.maps.change(items)).collect()
            }
            Event::Compacted => {
                self.compactions += 1;
                if self.compactions <= COMPACTIONS_MAX {
                    return vec![Effect::Read];
                }
                let error = "the watch is behind compactions again and again".to_owned();
                self.lost(error, now_ms, random)
            }
            Event::Lost { error } => self.lost(error, now_ms, random),
            Event::Known(known) => told(self.maps.set_known(known)).collect(),
        }
    }

    fn watching(&mut self, now_ms: u64) -> Vec<Effect> {
        self.watching_since_ms.get_or_insert(now_ms);
        let endpoint = self.endpoints.get(self.at).cloned().unwrap_or_default();
        let connected = Connection::Connected { endpoint };
        self.tell(connected).into_iter().collect()
    }

    /// Pauses, then tries the next member. Failures are forgotten only after a watch has worked for
    /// a while, so that one that falls at once is not set up ten times a second.
    fn lost(&mut self, error: String, now_ms: u64, random: f64) -> Vec<Effect> {
        let lasting = self.backoff.lasting(self.failures).as_millis();
        if let Some(since) = self.watching_since_ms.take()
            && u128::from(now_ms.saturating_sub(since)) >= lasting
        {
            self.failures = 0;
        }
        let pause = self.backoff.delay(self.failures, random);
        self.failures = self.failures.saturating_add(1);
        self.compactions = 0;
        self.at = (self.at + 1).checked_rem(self.endpoints.len()).unwrap_or(0);
        let since_ms = match &self.told {
            Some(Connection::Away { since_ms, .. }) => *since_ms,
            Some(Connection::Connected { .. }) | None => now_ms,
        };
        let away = self.tell(Connection::Away { since_ms, error });
        away.into_iter().chain([Effect::Wait(pause)]).collect()
    }

    fn tell(&mut self, connection: Connection) -> Option<Effect> {
        if self.told.as_ref() == Some(&connection) {
            return None;
        }
        self.told = Some(connection.clone());
        Some(Effect::Tell(Update::Connection(connection)))
    }
}

fn told(updates: Vec<Update>) -> impl Iterator<Item = Effect> {
    updates.into_iter().map(Effect::Tell)
}
