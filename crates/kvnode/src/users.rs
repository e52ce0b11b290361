//! The users of a node: their passwords, what SCRAM needs of them, and their replacement while the
//! node runs.

use std::collections::HashMap;
use std::sync::{Mutex, RwLock};

use relay::Secret;
use scram::{Challenged, ITERATIONS, Mechanism, Verifier, WrongProof};
use subtle::ConstantTimeEq as _;

use crate::sync::{lock, read, write};

/// The bytes of what salts are made from.
const SECRET_BYTES: usize = 32;

/// The users of a node and their passwords.
#[derive(Clone, Debug, Default)]
pub struct Users(pub Vec<(String, Secret)>);

impl Users {
    /// Whether `password` is the user's. The time it takes reveals neither the password nor whether
    /// the user exists.
    pub(crate) fn check(&self, user: &str, password: &[u8]) -> bool {
        let mut good = subtle::Choice::from(0);
        for (name, secret) in &self.0 {
            let right_name = name.as_bytes().ct_eq(user.as_bytes());
            good |= right_name & secret.expose().as_bytes().ct_eq(password);
        }
        good.into()
    }

    fn password(&self, user: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| name == user);
        found.map(|(_, secret)| secret.expose())
    }

    fn passwords(&self) -> Passwords {
        self.0.iter().map(|(name, secret)| (name.clone(), secret.expose())).collect()
    }
}

/// The users of a running node, who may be replaced.
pub(crate) struct LiveUsers {
    live: RwLock<(Users, Passwords)>,
    verifiers: Mutex<Verifiers>,
    /// What salts are made from.
    secret: [u8; SECRET_BYTES],
}

/// Names and passwords as they were when the users were replaced: a file may have others by now.
type Passwords = Vec<(String, String)>;

/// Of each user the password and what was derived from it. It takes time, so it is done once.
type Verifiers = HashMap<(String, Mechanism), (String, Verifier)>;

impl LiveUsers {
    pub(crate) fn new(users: Users) -> Self {
        let passwords = users.passwords();
        Self {
            live: RwLock::new((users, passwords)),
            verifiers: Mutex::default(),
            secret: random(),
        }
    }

    /// As [`Users::check`]; calls `log_in` where the password is right, and before the users are
    /// replaced: no login rests on users that are gone.
    pub(crate) fn admit(&self, user: &str, password: &[u8], log_in: impl FnOnce()) -> bool {
        let live = read(&self.live);
        let admitted = live.0.check(user, password);
        if admitted {
            log_in();
        }
        admitted
    }

    /// The salt of a user, whether there is one or not.
    pub(crate) fn salt(&self, mechanism: Mechanism, user: &str) -> Vec<u8> {
        Verifier::salt(mechanism, user, &self.secret)
    }

    /// Checks a proof; as [`LiveUsers::admit`]. Returns the signature for the client. The first
    /// proof of a user takes some 10 ms, during which no lock is held.
    pub(crate) fn admit_proof(
        &self,
        challenged: &Challenged,
        message: &[u8],
        log_in: impl FnOnce(),
    ) -> Result<String, WrongProof> {
        let user = challenged.user();
        let password = read(&self.live).0.password(user).ok_or(WrongProof::DoesNotFit)?;
        let verifier = self.verifier(challenged.mechanism(), user, &password);
        let signature = challenged.check(&verifier, message)?;
        let live = read(&self.live);
        // The users may have been replaced meanwhile.
        if live.0.password(user).as_ref() != Some(&password) {
            return Err(WrongProof::DoesNotFit);
        }
        log_in();
        Ok(signature)
    }

    fn verifier(&self, mechanism: Mechanism, user: &str, password: &str) -> Verifier {
        let key = (user.to_owned(), mechanism);
        let known = lock(&self.verifiers).get(&key).filter(|it| it.0 == password).cloned();
        if let Some((_, verifier)) = known {
            return verifier;
        }
        let salt = self.salt(mechanism, user);
        let verifier = Verifier::new(mechanism, password.as_bytes(), &salt, ITERATIONS);
        lock(&self.verifiers).insert(key, (password.to_owned(), verifier.clone()));
        verifier
    }

    /// Replaces the users. `revoke` gets the names of those that are gone or have another
    /// password, and ends their logins.
    pub(crate) fn replace<T>(&self, users: Users, revoke: impl FnOnce(&[String]) -> T) -> T {
        let passwords = users.passwords();
        let mut live = write(&self.live);
        let (_, old) = std::mem::replace(&mut *live, (users, passwords));
        let gone = old.into_iter().filter(|login| !live.1.contains(login));
        let gone: Vec<_> = gone.map(|(name, _)| name).collect();
        lock(&self.verifiers).retain(|(name, _), _| !gone.contains(name));
        revoke(&gone)
    }
}

/// Bytes that nobody can foresee.
///
/// # Panics
/// If the system has none, as no system does that runs this program.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[allow(clippy::expect_used, reason = "a login must not rest on numbers that can be foreseen")]
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use scram::{Client, Server};

    use super::*;

    fn users(list: &[(&str, &str)]) -> Users {
        let user = |(name, password): &(&str, &str)| ((*name).to_owned(), Secret::new(*password));
        Users(list.iter().map(user).collect())
    }

    /// Whether a proof is taken that was made before the users were replaced.
    fn is_admitted(before: Users, after: &[Users]) -> bool {
        let live = LiveUsers::new(before);
        let mechanism = Mechanism::Sha256;
        let client = Client::new(mechanism, "user", b"secret", "ours");
        let begun = Server::begin(mechanism, client.first().as_bytes()).unwrap();
        let salt = live.salt(mechanism, begun.user());
        let (challenge, challenged) = begun.challenge(&salt, ITERATIONS, "theirs");
        let (proof, proven) = client.prove(challenge.as_bytes()).unwrap();
        for users in after {
            live.replace(users.clone(), |_| ());
        }
        let mut is_in = false;
        let answer = live.admit_proof(&challenged, proof.as_bytes(), || is_in = true);
        assert_eq!(answer.is_ok(), is_in);
        if let Ok(signature) = answer {
            proven.accept(signature.as_bytes()).unwrap();
        }
        is_in
    }

    #[test]
    fn a_proof_rests_on_the_users_of_now() {
        let user = || users(&[("other", "x"), ("user", "secret")]);
        assert!(is_admitted(user(), &[]));
        assert!(is_admitted(user(), &[users(&[("user", "secret"), ("new", "y")])]));
        assert!(!is_admitted(user(), &[users(&[("other", "x")])]), "gone");
        assert!(!is_admitted(user(), &[users(&[("user", "changed")])]), "another password");
        assert!(!is_admitted(users(&[("user", "old")]), &[]), "a wrong password");
        assert!(!is_admitted(users(&[("other", "secret")]), &[]), "nobody");
        assert!(is_admitted(users(&[("user", "old")]), &[user()]), "the password of now");
    }
}
