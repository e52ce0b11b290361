//! Who may be connected: a seat for each connection, and which one is given up when there are too
//! many. Pure.
//!
//! A connection is a stranger until it has logged in. Strangers are limited in total and for each
//! network; the oldest goes first, because whoever means to log in has done so by then. Users leave
//! a part of the seats free, so that strangers can come in and replication can come back.

use std::collections::{BTreeMap, BTreeSet};

use super::network::Network;

/// How many connections whose seats were taken away may still be closing. More come only from a
/// flood that is faster than their ends; then the newcomer is refused.
const CLOSING_MAX: usize = 64;

/// How many seats there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SeatLimits {
    /// All connections.
    pub(crate) total: usize,
    /// Those of users without DCP.
    pub(crate) users: usize,
    /// Those that have not logged in.
    pub(crate) strangers: usize,
    /// The same of one network.
    pub(crate) of_network: usize,
}

impl SeatLimits {
    /// Half of the seats for strangers, half of those for one network, an eighth kept from users.
    pub(crate) fn of(total: usize) -> Self {
        let total = total.max(1);
        let strangers = (total / 2).max(1);
        Self { total, users: total - total / 8, strangers, of_network: (strangers / 2).max(1) }
    }
}

/// Names a connection. Later ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct SeatId(pub(crate) u64);

/// What becomes of a new connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// It is served; `evicted` loses its seat and is to be closed.
    Seated { id: SeatId, evicted: Option<SeatId> },
    /// It is closed.
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holder {
    Stranger(Network),
    User(Network),
    Replication(Network),
    /// It lost its seat, and is not gone yet.
    Closing,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Seats {
    limits: SeatLimits,
    next: u64,
    holders: BTreeMap<SeatId, Holder>,
    strangers: BTreeSet<SeatId>,
    networks: BTreeMap<Network, BTreeSet<SeatId>>,
    users: usize,
    closing: usize,
}

impl Seats {
    pub(crate) const fn new(limits: SeatLimits) -> Self {
        Self {
            limits,
            next: 0,
            holders: BTreeMap::new(),
            strangers: BTreeSet::new(),
            networks: BTreeMap::new(),
            users: 0,
            closing: 0,
        }
    }

    /// How many connections hold a seat.
    pub(crate) fn taken(&self) -> usize {
        self.holders.len() - self.closing
    }

    /// How many of them have not logged in.
    pub(crate) fn strangers(&self) -> usize {
        self.strangers.len()
    }

    /// A connection comes.
    pub(crate) fn enter(&mut self, network: Network) -> Entry {
        let of_network = self.networks.get(&network).map_or(0, BTreeSet::len);
        let oldest = if of_network >= self.limits.of_network {
            self.networks.get(&network).and_then(BTreeSet::first)
        } else {
            self.strangers.first()
        };
        let full = self.taken() >= self.limits.total
            || self.strangers.len() >= self.limits.strangers
            || of_network >= self.limits.of_network;
        let evicted = oldest.copied().filter(|_| full);
        if full && (evicted.is_none() || self.closing >= CLOSING_MAX) {
            return Entry::Refused;
        }
        if let Some(evicted) = evicted {
            self.set(evicted, Holder::Closing);
        }
        let id = SeatId(self.next);
        self.next += 1;
        self.add(id, Holder::Stranger(network));
        Entry::Seated { id, evicted }
    }

    /// A connection has logged in. Beyond the users' seats it stays among the strangers.
    pub(crate) fn log_in(&mut self, id: SeatId) {
        if self.users < self.limits.users
            && let Some(Holder::Stranger(network)) = self.holders.get(&id).copied()
        {
            self.set(id, Holder::User(network));
        }
    }

    /// A connection is not logged in any more.
    pub(crate) fn log_out(&mut self, id: SeatId) {
        if let Some(Holder::User(network)) = self.holders.get(&id).copied() {
            self.set(id, Holder::Stranger(network));
        }
    }

    /// A connection has opened DCP.
    pub(crate) fn replicate(&mut self, id: SeatId) {
        let holder = self.holders.get(&id).copied();
        if let Some(Holder::User(network) | Holder::Stranger(network)) = holder {
            self.set(id, Holder::Replication(network));
        }
    }

    /// A connection has ended.
    pub(crate) fn leave(&mut self, id: SeatId) {
        self.remove(id);
    }

    fn set(&mut self, id: SeatId, holder: Holder) {
        self.remove(id);
        self.add(id, holder);
    }

    fn add(&mut self, id: SeatId, holder: Holder) {
        match holder {
            Holder::Stranger(network) => {
                self.strangers.insert(id);
                self.networks.entry(network).or_default().insert(id);
            }
            Holder::User(_) => self.users += 1,
            Holder::Replication(_) => {}
            Holder::Closing => self.closing += 1,
        }
        self.holders.insert(id, holder);
    }

    fn remove(&mut self, id: SeatId) {
        match self.holders.remove(&id) {
            Some(Holder::Stranger(network)) => {
                self.strangers.remove(&id);
                if let Some(of_network) = self.networks.get_mut(&network) {
                    of_network.remove(&id);
                    if of_network.is_empty() {
                        self.networks.remove(&network);
                    }
                }
            }
            Some(Holder::User(_)) => self.users -= 1,
            Some(Holder::Closing) => self.closing -= 1,
            Some(Holder::Replication(_)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests;
