//! How fast passwords may be tried: each failed login is a debt of its network and of its user from
//! that network, which time pays off. Pure.
//!
//! The answer to a failed login is delayed. Beyond a debt of [`DEBT_MAX`] passwords are not looked
//! at until some of it is paid off: about 20 at once and then 20 a minute for a user, ten times as
//! many for a network. A user is not locked out by what comes from elsewhere.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::network::Network;

/// The debt of one failed login for its user from its network.
const USER_DEBT: Duration = Duration::from_secs(3);
/// The same for its network as a whole.
const NETWORK_DEBT: Duration = Duration::from_millis(300);
/// The most debt with which a password is looked at.
const DEBT_MAX: Duration = Duration::from_secs(60);
/// How long the answer to a failed login waits: four tries a second on one connection.
const DELAY: Duration = Duration::from_millis(250);
/// How many networks and users are remembered. If all of them have debts, the smallest one is
/// forgotten.
const REMEMBERED_MAX: usize = 4096;

/// A hash of a user's name, so that long names take no memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct UserHash(pub(crate) u64);

type Debtor = (Network, Option<UserHash>);

/// See the module.
#[derive(Default, Debug)]
pub(crate) struct Guesses {
    /// When each debt is paid off.
    paid_at: HashMap<Debtor, Duration>,
}

impl Guesses {
    /// Whether the password of a login may be looked at.
    pub(crate) fn may_try(&self, network: Network, user: UserHash, now: Duration) -> bool {
        let debt = |debtor| self.paid_at.get(&debtor).map_or(Duration::ZERO, |at| debt(*at, now));
        debt((network, Some(user))) < DEBT_MAX && debt((network, None)) < DEBT_MAX
    }

    /// A login failed. Returns how long its answer waits.
    pub(crate) fn failed(&mut self, network: Network, user: UserHash, now: Duration) -> Duration {
        self.owe((network, Some(user)), USER_DEBT, now);
        self.owe((network, None), NETWORK_DEBT, now);
        DELAY
    }

    /// How long the answer to a login waits that was not looked at.
    pub(crate) const fn refused() -> Duration {
        DELAY
    }

    /// A login succeeded: the user's debt from there was forgetfulness.
    pub(crate) fn succeeded(&mut self, network: Network, user: UserHash) {
        self.paid_at.remove(&(network, Some(user)));
    }

    fn owe(&mut self, debtor: Debtor, more: Duration, now: Duration) {
        if self.paid_at.len() >= REMEMBERED_MAX && !self.paid_at.contains_key(&debtor) {
            self.forget(now);
        }
        match self.paid_at.entry(debtor) {
            Entry::Occupied(mut at) => *at.get_mut() = now.max(*at.get()) + more,
            Entry::Vacant(none) => drop(none.insert(now + more)),
        }
    }

    /// Forgets what is paid off, or else the smallest debt.
    fn forget(&mut self, now: Duration) {
        self.paid_at.retain(|_, at| *at > now);
        if self.paid_at.len() >= REMEMBERED_MAX {
            let smallest = self.paid_at.iter().min_by_key(|(_, at)| **at).map(|(of, _)| *of);
            if let Some(of) = smallest {
                self.paid_at.remove(&of);
            }
        }
    }
}

fn debt(paid_at: Duration, now: Duration) -> Duration {
    paid_at.saturating_sub(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Network = Network::V4(1);
    const THERE: Network = Network::V4(2);
    const USER: UserHash = UserHash(1);

    /// Tries until no password is looked at any more; returns how often one was.
    fn exhaust(guesses: &mut Guesses, network: Network, users: u64, now: Duration) -> usize {
        let mut tried = 0;
        for user in (0..users).cycle().take(10_000).map(|n| UserHash(100 + n)) {
            if guesses.may_try(network, user, now) {
                assert_eq!(guesses.failed(network, user, now), DELAY);
                tried += 1;
            }
        }
        tried
    }

    #[test]
    fn guesses_of_one_user_are_limited_and_others_log_in() {
        let mut guesses = Guesses::default();
        let at = Duration::from_secs(1000);
        assert_eq!(exhaust(&mut guesses, HERE, 1, at), 20);
        assert!(guesses.may_try(HERE, USER, at), "another user from there");
        assert!(guesses.may_try(THERE, UserHash(100), at), "the same user from elsewhere");
        assert_eq!(exhaust(&mut guesses, HERE, 1, at + USER_DEBT), 1, "time pays one off");
        assert_eq!(exhaust(&mut guesses, HERE, 1, at + 2 * DEBT_MAX), 20);
    }

    #[test]
    fn guesses_of_many_users_are_limited_for_their_network() {
        let mut guesses = Guesses::default();
        let at = Duration::from_secs(1000);
        assert_eq!(exhaust(&mut guesses, HERE, 1000, at), 200);
        assert!(!guesses.may_try(HERE, USER, at));
        assert!(guesses.may_try(THERE, USER, at));
    }

    #[test]
    fn a_success_forgives_the_user() {
        let mut guesses = Guesses::default();
        let at = Duration::from_secs(1);
        (0..19).for_each(|_| assert_eq!(guesses.failed(HERE, USER, at), DELAY));
        guesses.succeeded(HERE, USER);
        assert_eq!((0..19).filter(|_| guesses.may_try(HERE, USER, at)).count(), 19);
    }

    #[test]
    fn memory_is_bounded_however_many_come() {
        let mut guesses = Guesses::default();
        for n in 0..20_000_u32 {
            let at = Duration::from_millis(u64::from(n));
            guesses.failed(Network::V4(n), UserHash(n.into()), at);
            assert!(guesses.paid_at.len() <= REMEMBERED_MAX + 1);
        }
    }

    #[test]
    fn a_flood_does_not_wash_out_a_large_debt() {
        let mut guesses = Guesses::default();
        let at = Duration::from_secs(1);
        exhaust(&mut guesses, HERE, 1, at);
        for n in 0..10_000_u32 {
            guesses.failed(Network::V6(n.into()), UserHash(n.into()), at);
        }
        assert!(!guesses.may_try(HERE, UserHash(100), at));
    }
}
