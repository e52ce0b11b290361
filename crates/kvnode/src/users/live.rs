//! The users of a running node: what SCRAM needs of them, and their replacement.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};

use scram::{Challenged, ITERATIONS, Mechanism, Verifier, WrongProof};

use super::{Credentials, Grant, SALTS_BYTES, User, Users};
use crate::sync::{lock, read, write};

/// The users of a running node, who may be replaced.
pub(crate) struct LiveUsers {
    live: RwLock<State>,
    verifiers: Mutex<Verifiers>,
}

struct State {
    users: Users,
    known: Vec<Known>,
    salts: [u8; SALTS_BYTES],
}

/// A user as it was when the users were replaced: a file may have another password by now.
#[derive(PartialEq)]
struct Known {
    name: String,
    password: Option<String>,
    verifiers: Vec<Verifier>,
    grant: Grant,
}

impl Known {
    fn of(user: &User) -> Self {
        let (password, verifiers) = match &user.credentials {
            Credentials::Password(secret) => (Some(secret.expose()), Vec::new()),
            Credentials::Verifiers(all) => (None, all.clone()),
        };
        let User { name, grant, .. } = user.clone();
        Self { name, password, verifiers, grant }
    }
}

/// Of each user with a password the password and what was derived from it. It takes time, so it is
/// done once.
type Verifiers = HashMap<(String, Mechanism), (String, Verifier)>;

impl LiveUsers {
    pub(crate) fn new(users: Users) -> Self {
        let known = users.all.iter().map(Known::of).collect();
        let salts = users.salts.unwrap_or_else(random);
        let live = RwLock::new(State { users, known, salts });
        Self { live, verifiers: Mutex::default() }
    }

    /// Returns what the user may do if the password is right; calls `log_in` then, before the users
    /// are replaced: no login rests on users that are gone. A verifier takes some 10 ms, during
    /// which no lock is held.
    pub(crate) fn admit(
        &self,
        user: &str,
        password: &[u8],
        log_in: impl FnOnce(),
    ) -> Option<Arc<Grant>> {
        let of = |state: &State| state.users.find(user)?.credentials.strongest().cloned();
        let verifier = of(&read(&self.live));
        if verifier.as_ref().is_some_and(|verifier| !verifier.fits(password)) {
            return None;
        }
        let live = read(&self.live);
        let is_right = match &verifier {
            // The users may have been replaced meanwhile.
            Some(_) => of(&live) == verifier,
            None => live.users.check(user, password),
        };
        let found = live.users.find(user).filter(|_| is_right)?;
        log_in();
        Some(Arc::new(found.grant.clone()))
    }

    /// Salt and iterations of a user, whether there is one or not.
    pub(crate) fn salting(&self, mechanism: Mechanism, user: &str) -> (Vec<u8>, u32) {
        let live = read(&self.live);
        let known = live.users.find(user).and_then(|user| user.credentials.verifier(mechanism));
        match known.map(Verifier::salting) {
            Some((salt, iterations)) => (salt.to_vec(), iterations),
            None => (Verifier::salt(mechanism, user, &live.salts), ITERATIONS),
        }
    }

    /// Checks a proof; as [`LiveUsers::admit`]. Returns also the signature for the client. The
    /// first proof of a user with a password takes some 10 ms, during which no lock is held.
    pub(crate) fn admit_proof(
        &self,
        challenged: &Challenged,
        message: &[u8],
        log_in: impl FnOnce(),
    ) -> Result<(String, Arc<Grant>), WrongProof> {
        let (user, mechanism) = (challenged.user(), challenged.mechanism());
        let credentials = |state: &State| {
            let found = state.users.find(user).ok_or(WrongProof::DoesNotFit)?;
            Ok::<_, WrongProof>(match &found.credentials {
                Credentials::Password(secret) => (Some(secret.expose()), None),
                Credentials::Verifiers(_) => (None, found.credentials.verifier(mechanism).cloned()),
            })
        };
        let then = credentials(&read(&self.live))?;
        let verifier = match &then {
            (Some(password), _) => self.verifier(mechanism, user, password),
            (None, stored) => stored.clone().ok_or(WrongProof::DoesNotFit)?,
        };
        let signature = challenged.check(&verifier, message)?;
        let live = read(&self.live);
        // The users may have been replaced meanwhile.
        let found = live.users.find(user).ok_or(WrongProof::DoesNotFit)?;
        if credentials(&live)? != then {
            return Err(WrongProof::DoesNotFit);
        }
        log_in();
        Ok((signature, Arc::new(found.grant.clone())))
    }

    fn verifier(&self, mechanism: Mechanism, user: &str, password: &str) -> Verifier {
        let key = (user.to_owned(), mechanism);
        let known = lock(&self.verifiers).get(&key).filter(|it| it.0 == password).cloned();
        if let Some((_, verifier)) = known {
            return verifier;
        }
        let salt = Verifier::salt(mechanism, user, &read(&self.live).salts);
        let verifier = Verifier::new(mechanism, password.as_bytes(), &salt, ITERATIONS);
        lock(&self.verifiers).insert(key, (password.to_owned(), verifier.clone()));
        verifier
    }

    /// Replaces the users. `revoke` gets the names of those that are gone, have another password or
    /// may do something else, and ends their logins.
    pub(crate) fn replace<T>(&self, users: Users, revoke: impl FnOnce(&[String]) -> T) -> T {
        let known: Vec<_> = users.all.iter().map(Known::of).collect();
        let mut live = write(&self.live);
        let salts = users.salts.unwrap_or(live.salts);
        let old = std::mem::replace(&mut *live, State { users, known, salts });
        let gone = old.known.into_iter().filter(|login| !live.known.contains(login));
        let gone: Vec<_> = gone.map(|known| known.name).collect();
        let is_kept = |name: &String| old.salts == salts && !gone.contains(name);
        lock(&self.verifiers).retain(|(name, _), _| is_kept(name));
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
    use relay::Secret;
    use scram::{Client, Server};

    use super::*;
    use crate::privilege::Role;

    fn users(list: &[(&str, &str)]) -> Users {
        let user = |(name, password): &(&str, &str)| User::admin(*name, Secret::new(*password));
        Users::new(list.iter().map(user).collect())
    }

    /// The same with verifiers.
    fn salted(list: &[(&str, &str)]) -> Users {
        let user = |(name, password): &(&str, &str)| {
            let verifier = |it| Verifier::new(it, password.as_bytes(), b"stored", 1_001);
            let all = Mechanism::ALL.map(verifier).to_vec();
            let (name, grant) = ((*name).to_owned(), Grant::default());
            User { name, credentials: Credentials::Verifiers(all), grant }
        };
        Users::new(list.iter().map(user).collect())
    }

    /// Whether a proof is taken that was made before the users were replaced.
    fn is_admitted(before: Users, after: &[Users]) -> bool {
        let live = LiveUsers::new(before);
        let mechanism = Mechanism::Sha256;
        let client = Client::new(mechanism, "user", b"secret", "ours");
        let begun = Server::begin(mechanism, client.first().as_bytes()).unwrap();
        let (salt, iterations) = live.salting(mechanism, begun.user());
        let (challenge, challenged) = begun.challenge(&salt, iterations, "theirs");
        let (proof, proven) = client.prove(challenge.as_bytes()).unwrap();
        for users in after {
            live.replace(users.clone(), |_| ());
        }
        let mut is_in = false;
        let answer = live.admit_proof(&challenged, proof.as_bytes(), || is_in = true);
        assert_eq!(answer.is_ok(), is_in);
        if let Ok((signature, _)) = answer {
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

    #[test]
    fn a_proof_fits_a_stored_verifier() {
        let user = || salted(&[("other", "x"), ("user", "secret")]);
        assert!(is_admitted(user(), &[]));
        assert!(is_admitted(user(), &[salted(&[("user", "secret")])]));
        assert!(!is_admitted(user(), &[salted(&[("user", "changed")])]), "another password");
        assert!(!is_admitted(user(), &[users(&[("user", "secret")])]), "other credentials");
        assert!(!is_admitted(salted(&[("user", "old")]), &[]), "a wrong password");
    }

    #[test]
    fn plain_is_checked_against_passwords_and_verifiers() {
        for live in [users(&[("user", "secret")]), salted(&[("user", "secret")])] {
            let live = LiveUsers::new(live);
            let admit = |user: &str, password: &str| live.admit(user, password.as_bytes(), || {});
            assert!(admit("user", "secret").is_some());
            for (user, password) in [("user", "Secret"), ("user", ""), ("", ""), ("x", "secret")] {
                assert!(admit(user, password).is_none(), "{user} {password}");
            }
        }
    }

    #[test]
    fn a_user_with_another_role_is_revoked() {
        let before = users(&[("kept", "x"), ("user", "secret")]);
        let mut after = before.clone();
        after.all[1].grant.role = Role::ReadOnly;
        let live = LiveUsers::new(before);
        assert_eq!(live.replace(after.clone(), <[String]>::to_vec), ["user"]);
        assert_eq!(live.admit("user", b"secret", || {}).unwrap().role, Role::ReadOnly);
        assert_eq!(live.replace(after, <[String]>::to_vec), [""; 0]);
    }

    #[test]
    fn salts_stay_the_same_where_a_file_has_what_they_are_made_from() {
        let salts = Some([7; SALTS_BYTES]);
        let live = || LiveUsers::new(Users { salts, ..users(&[("user", "secret")]) });
        let (one, other) = (live(), live());
        for user in ["user", "nobody"] {
            let salt = one.salting(Mechanism::Sha512, user);
            assert_eq!(salt, other.salting(Mechanism::Sha512, user));
            one.replace(Users { salts, ..users(&[]) }, |_| ());
            assert_eq!(salt, one.salting(Mechanism::Sha512, user));
        }
    }
}
