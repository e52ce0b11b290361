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
    /// How a connection loses its seat.
    ends: HashMap<SeatId, End>,
}

struct End {
    /// Cancelled when the seat is lost.
    token: CancellationToken,
    /// Who has logged in.
    user: Option<String>,
    /// Whether the seat is lost because the login ended.
    is_revoked: bool,
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
        state.ends.insert(id, End { token: end.clone(), user: None, is_revoked: false });
        self.seated.store(state.seats.taken(), Ordering::Relaxed);
        let displaced =
            evicted.and_then(|evicted| state.ends.get(&evicted).map(|it| it.token.clone()));
        drop(state);
        if let Some(displaced) = displaced {
            self.evictions.add(1);
            displaced.cancel();
        }
        Some(Seat { door: Arc::clone(self), id, network, end })
    }

    /// The logins of these users end: their connections lose their seats. Returns how many.
    pub(crate) fn revoke(&self, users: &[String]) -> usize {
        let mut revoked = Vec::new();
        for end in lock(&self.state).ends.values_mut() {
            if end.user.as_ref().is_some_and(|user| users.contains(user)) && !end.is_revoked {
                end.is_revoked = true;
                revoked.push(end.token.clone());
            }
        }
        revoked.iter().for_each(CancellationToken::cancel);
        revoked.len()
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

    /// Cancelled when the seat is lost: to a newer stranger, with the login, or because the node
    /// stops.
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

    /// Whether it was lost because the user was removed or has another password.
    pub(crate) fn is_revoked(&self) -> bool {
        lock(&self.door.state).ends.get(&self.id).is_some_and(|end| end.is_revoked)
    }

    pub(crate) fn log_in(&self, user: &str) {
        let mut state = lock(&self.door.state);
        state.seats.log_in(self.id);
        self.set_user(&mut state, Some(user.to_owned()));
    }

    pub(crate) fn log_out(&self) {
        let mut state = lock(&self.door.state);
        state.seats.log_out(self.id);
        self.set_user(&mut state, None);
    }

    fn set_user(&self, state: &mut State, user: Option<String>) {
        if let Some(end) = state.ends.get_mut(&self.id) {
            end.user = user;
        }
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
