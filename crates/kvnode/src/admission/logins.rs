//! The logins of a node: how often they may fail, on the machine of [`super::guesses`].

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::guesses::{Guesses, UserHash};
use super::network::Network;
use crate::sync::lock;

/// What became of a login.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Success,
    /// The user or the password is wrong; the answer waits that long.
    Wrong(Duration),
    /// Too many failed before: the password was not looked at. The answer waits that long.
    NotTried(Duration),
}

/// See the module.
pub(crate) struct Logins {
    began: Instant,
    hasher: RandomState,
    guesses: Mutex<Guesses>,
}

impl Default for Logins {
    fn default() -> Self {
        Self { began: Instant::now(), hasher: RandomState::new(), guesses: Mutex::default() }
    }
}

impl Logins {
    /// Calls `check` if the password of `user` may be looked at.
    pub(crate) fn attempt(
        &self,
        network: Network,
        user: &[u8],
        check: impl FnOnce() -> bool,
    ) -> Outcome {
        let (user, now) = (UserHash(self.hasher.hash_one(user)), self.began.elapsed());
        if !lock(&self.guesses).may_try(network, user, now) {
            return Outcome::NotTried(Guesses::refused());
        }
        if check() {
            lock(&self.guesses).succeeded(network, user);
            return Outcome::Success;
        }
        Outcome::Wrong(lock(&self.guesses).failed(network, user, now))
    }
}
