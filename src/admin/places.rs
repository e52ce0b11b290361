//! Which connections to the admin API are kept. Pure: connections, requests and times in, decisions
//! out.
//!
//! Nobody who holds connections can shut out a probe: where all places are taken, the connection
//! that was idle for longest makes room. Idle is every connection without a request in progress,
//! also one with an unfinished head. Each has a moment to send its head before it can be displaced;
//! newcomers wait in the queue of the listener meanwhile, which is how fast reconnecting is slowed
//! down.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Connections at the same time: enough for people and a few programs with several each.
pub(super) const CONNECTIONS_MAX: usize = 256;
/// Connections of one address. All local programs share loopback.
const PER_ADDRESS_MAX: usize = CONNECTIONS_MAX / 2;
/// Requests in progress; the other places are kept for probes, which are answered at any time.
const REQUESTS_MAX: usize = CONNECTIONS_MAX * 3 / 4;
/// The same for one address: a local supervisor shares its places with local programs.
const REQUESTS_PER_ADDRESS_MAX: usize = PER_ADDRESS_MAX * 3 / 4;
/// The time to send a head that no newcomer can cut short: a head is one packet.
const GRACE: Duration = Duration::from_millis(200);
/// The longest time without a request in progress. Covers keep-alive, the head of a request, and a
/// slow reader of the longest answer.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// The longest time for which a client that takes an answer without end takes nothing of it. Some
/// of it is written every 15 seconds at least.
const TAKES_NOTHING_MAX: Duration = Duration::from_secs(60);

/// A connection; numbers are not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ConnectionId(u64);

/// What becomes of a newcomer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    /// It has this place; the other connection is closed for it.
    Admitted(ConnectionId, Option<ConnectionId>),
    /// To be asked again after this time.
    Later(Duration),
    /// It is closed: its address has as many requests in progress as it may have connections.
    Refused,
}

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Places {
    held: BTreeMap<ConnectionId, Held>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    address: IpAddr,
    is_busy: bool,
    /// When it was accepted, or when its last request was answered.
    idle_since: Duration,
    /// When it last had room for more of an answer without end, while it takes one.
    followed: Option<Duration>,
}

impl Places {
    /// Decides on a newcomer from `address`.
    pub(super) fn admit(&mut self, address: IpAddr, now: Duration) -> Admission {
        // An IPv4 client of an IPv6 socket is the same client.
        let address = address.to_canonical();
        let of_address = self.held.values().filter(|held| held.address == address).count();
        let rival = if of_address >= PER_ADDRESS_MAX {
            let Some(rival) = self.longest_idle(Some(address)) else { return Admission::Refused };
            Some(rival)
        } else if self.held.len() >= CONNECTIONS_MAX {
            match self.longest_idle(None) {
                None => return Admission::Later(GRACE),
                rival => rival,
            }
        } else {
            None
        };
        if let Some((id, since)) = rival {
            let left = (since + GRACE).saturating_sub(now);
            // A remote address that displaces its own connections harms nobody else, and must not
            // make others wait. On loopback, the probe may be the one that is displaced.
            let is_own = of_address >= PER_ADDRESS_MAX && !address.is_loopback();
            if left > Duration::ZERO && !is_own {
                return Admission::Later(left);
            }
            self.held.remove(&id);
        }
        let id = ConnectionId(self.next);
        self.next += 1;
        self.held.insert(id, Held { address, is_busy: false, idle_since: now, followed: None });
        Admission::Admitted(id, rival.map(|(id, _)| id))
    }

    fn longest_idle(&self, of: Option<IpAddr>) -> Option<(ConnectionId, Duration)> {
        let mine = |held: &Held| of.is_none_or(|address| held.address == address);
        let idle = self.held.iter().filter(|(_, held)| !held.is_busy && mine(held));
        idle.map(|(&id, held)| (id, held.idle_since)).min_by_key(|&(_, since)| since)
    }

    /// A request has begun. Returns whether it is to be served; a probe always is.
    pub(super) fn begin(&mut self, id: ConnectionId, is_probe: bool) -> bool {
        let address = self.held.get(&id).map(|held| held.address);
        let busy = || self.held.values().filter(|held| held.is_busy);
        let is_full = busy().count() >= REQUESTS_MAX
            || busy().filter(|held| Some(held.address) == address).count()
                >= REQUESTS_PER_ADDRESS_MAX;
        if is_full && !is_probe {
            return false;
        }
        if let Some(held) = self.held.get_mut(&id) {
            held.is_busy = true;
        }
        true
    }

    /// A request was answered.
    pub(super) fn end(&mut self, id: ConnectionId, now: Duration) {
        if let Some(held) = self.held.get_mut(&id) {
            (held.is_busy, held.idle_since, held.followed) = (false, now, None);
        }
    }

    /// A client that takes an answer without end has room for more.
    pub(super) fn follows(&mut self, id: ConnectionId, now: Duration) {
        if let Some(held) = self.held.get_mut(&id) {
            held.followed = Some(now);
        }
    }

    /// A connection was closed.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        self.held.remove(&id);
    }

    /// Returns the connections that were idle for too long, or take nothing of an answer.
    pub(super) fn overdue(&self, now: Duration) -> Vec<ConnectionId> {
        let is_over = |held: &Held| match held.followed {
            Some(at) => now.saturating_sub(at) > TAKES_NOTHING_MAX,
            None => !held.is_busy && now.saturating_sub(held.idle_since) > IDLE_MAX,
        };
        self.held.iter().filter(|(_, held)| is_over(held)).map(|(&id, _)| id).collect()
    }

    /// Whether every connection was idle for `time`.
    pub(super) fn all_idle_for(&self, time: Duration, now: Duration) -> bool {
        let mut held = self.held.values();
        held.all(|held| !held.is_busy && now.saturating_sub(held.idle_since) >= time)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn remote(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    }

    /// The number of a connection that has to be admitted at `now`, and of the displaced one.
    #[track_caller]
    fn admitted(places: &mut Places, address: IpAddr, now: u64) -> (u64, Option<u64>) {
        match places.admit(address, Duration::from_millis(now)) {
            Admission::Admitted(id, other) => (id.0, other.map(|id| id.0)),
            other => panic!("{other:?}"),
        }
    }

    fn filled(addresses: &[IpAddr]) -> Places {
        let mut places = Places::default();
        for at in 0..CONNECTIONS_MAX {
            admitted(&mut places, addresses[at % addresses.len()], 0);
        }
        places
    }

    #[test]
    fn where_all_places_are_taken_the_longest_idle_makes_room() {
        let mut places = filled(&[remote(1), remote(2), remote(3)]);
        assert_eq!(places.admit(LOCAL, Duration::ZERO), Admission::Later(GRACE));
        assert!(places.begin(ConnectionId(0), false) && places.begin(ConnectionId(1), false));
        places.end(ConnectionId(1), Duration::from_millis(150));
        assert_eq!(admitted(&mut places, LOCAL, 200), (256, Some(2)), "0 is busy, 1 was");
        assert_eq!(places.held.len(), CONNECTIONS_MAX);
    }

    #[test]
    fn an_address_that_holds_many_displaces_its_own_and_makes_nobody_wait() {
        let mut places = Places::default();
        admitted(&mut places, remote(2), 0);
        for _ in 0..PER_ADDRESS_MAX {
            admitted(&mut places, remote(1), 0);
        }
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        assert_eq!(admitted(&mut places, mapped, 0).1, Some(1), "at once, the same address");
        assert_eq!(admitted(&mut places, IpAddr::V6(Ipv6Addr::LOCALHOST), 0).1, None);
    }

    #[test]
    fn on_loopback_a_probe_has_a_moment_to_send_its_head() {
        let mut places = Places::default();
        for _ in 0..PER_ADDRESS_MAX {
            admitted(&mut places, LOCAL, 0);
        }
        let now = Duration::from_millis(50);
        assert_eq!(places.admit(LOCAL, now), Admission::Later(GRACE.saturating_sub(now)));
        assert_eq!(admitted(&mut places, LOCAL, 200).1, Some(0));
    }

    #[test]
    fn requests_of_one_address_leave_places_for_its_own_probes() {
        let mut places = Places::default();
        let mut served = 0;
        for at in 0..PER_ADDRESS_MAX {
            admitted(&mut places, LOCAL, 0);
            served += usize::from(places.begin(ConnectionId(at as u64), false));
        }
        assert_eq!(served, REQUESTS_PER_ADDRESS_MAX);
        let (probe, _) = admitted(&mut places, LOCAL, 200);
        assert!(places.begin(ConnectionId(probe), true));
        admitted(&mut places, remote(1), 200);
        assert!(places.begin(ConnectionId(probe + 1), false), "another address");
    }

    #[test]
    fn a_follower_keeps_its_place_while_it_takes_what_is_sent() {
        let (mut places, second) = (Places::default(), Duration::from_secs(1));
        let (number, _) = admitted(&mut places, LOCAL, 0);
        let follower = ConnectionId(number);
        assert!(places.begin(follower, false));
        for at in 0..1000 {
            places.follows(follower, second * at);
        }
        assert_eq!(places.overdue(second * 1050), [], "it is no idle connection");
        assert_eq!(places.overdue(second * 1060), [follower], "it takes nothing any more");
        assert!(!places.all_idle_for(Duration::ZERO, second * 1050));
        places.end(follower, second * 1050);
        assert_eq!(places.overdue(second * 1120), [], "idle from then on");
    }

    #[test]
    fn requests_in_progress_leave_places_for_probes() {
        let mut places = filled(&[remote(1), remote(2), remote(3)]);
        for at in 0..REQUESTS_MAX {
            assert!(places.begin(ConnectionId(at as u64), false), "{at}");
        }
        assert!(!places.begin(ConnectionId(200), false));
        assert!(places.begin(ConnectionId(200), true), "a probe");
        assert_eq!(places.overdue(IDLE_MAX * 2).len(), CONNECTIONS_MAX - REQUESTS_MAX - 1);
        places.end(ConnectionId(0), Duration::ZERO);
        assert!(!places.all_idle_for(Duration::ZERO, Duration::ZERO));
        (0..256).for_each(|at| places.end(ConnectionId(at), Duration::ZERO));
        assert!(places.all_idle_for(GRACE, GRACE) && !places.all_idle_for(GRACE, GRACE / 2));
    }
}
