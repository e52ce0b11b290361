//! The door of a listener: gives each connection its seat, and tells those that lose theirs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::network::Network;
use super::seats::{Entry, SeatId, SeatLimits, Seats};
use crate::counter::Counter;
use crate::sync::lock;

/// See the module.
pub(crate) struct Door {
    limits: SeatLimits,
    state: Mutex<State>,
    /// How many connections have a seat, for those that ask often.
    seated: AtomicUsize,
    shutdown: CancellationToken,
    /// Connections that were closed to make room.
    pub(crate) evictions: Counter,
}

struct State {
    seats: Seats,
    /// Cancelled when a connection loses its seat.
    ends: HashMap<SeatId, CancellationToken>,
}

impl Door {
    /// All seats are lost at `shutdown`.
    pub(crate) fn new(limits: SeatLimits, shutdown: CancellationToken) -> Self {
        let state = State { seats: Seats::new(limits), ends: HashMap::new() };
        let (state, seated) = (Mutex::new(state), AtomicUsize::new(0));
        Self { limits, state, seated, shutdown, evictions: Counter::default() }
    }

    pub(crate) const fn limits(&self) -> SeatLimits {
        self.limits
    }

    /// How many connections have a seat, and how many of them have not logged in.
    pub(crate) fn taken(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.seats.taken(), state.seats.strangers())
    }

    /// How many connections have a seat. Cheap.
    pub(crate) fn seated(&self) -> usize {
        self.seated.load(Ordering::Relaxed)
    }

    /// A connection comes, perhaps in place of another one; `None` refuses it.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let network = Network::of(address);
        let mut state = lock(&self.state);
        let Entry::Seated { id, evicted } = state.seats.enter(network) else { return None };
        let end = self.shutdown.child_token();
        state.ends.insert(id, end.clone());
        self.seated.store(state.seats.taken(), Ordering::Relaxed);
        let displaced = evicted.and_then(|evicted| state.ends.get(&evicted).cloned());
        drop(state);
        if let Some(displaced) = displaced {
            self.evictions.add(1);
            displaced.cancel();
        }
        Some(Seat { door: Arc::clone(self), id, network, end })
    }
}

/// A connection's seat; left when it is dropped.
pub(crate) struct Seat {
    door: Arc<Door>,
    id: SeatId,
    network: Network,
    end: CancellationToken,
}

impl Seat {
    /// Where the connection comes from.
    pub(crate) const fn network(&self) -> Network {
        self.network
    }

    /// Cancelled when the seat is lost: to a newer stranger, or because the node stops.
    pub(crate) const fn lost(&self) -> &CancellationToken {
        &self.end
    }

    /// How many connections have a seat.
    pub(crate) fn seated(&self) -> usize {
        self.door.seated()
    }

    /// Whether the node stops.
    pub(crate) fn is_shutdown(&self) -> bool {
        self.door.shutdown.is_cancelled()
    }

    pub(crate) fn log_in(&self) {
        lock(&self.door.state).seats.log_in(self.id);
    }

    pub(crate) fn log_out(&self) {
        lock(&self.door.state).seats.log_out(self.id);
    }

    pub(crate) fn replicate(&self) {
        lock(&self.door.state).seats.replicate(self.id);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = lock(&self.door.state);
        state.seats.leave(self.id);
        state.ends.remove(&self.id);
        self.door.seated.store(state.seats.taken(), Ordering::Relaxed);
    }
}
