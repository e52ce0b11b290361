//! Salted passwords of one endpoint, kept so that many logins cost the derivation of one.

use std::fmt;
use std::sync::Arc;

use scram::{Mechanism, Salted};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// How many are kept: a node has one salt for each mechanism, and another one after its password
/// was changed. One that sends a new salt each time gets no more than this.
const KEPT_MAX: usize = 4;

/// What a salted password was made from.
#[derive(Clone, PartialEq, Eq)]
struct Origin {
    user: String,
    mechanism: Mechanism,
    salt: Vec<u8>,
    iterations: u32,
    password: Arc<str>,
}

/// The salted passwords of an endpoint; clones share them. Nothing of them is printed.
#[derive(Clone, Default)]
pub(crate) struct SaltedPasswords(Arc<Mutex<Vec<(Origin, Salted)>>>);

/// A salt and the number of iterations, as a node asks for them.
pub(crate) type Asked<'a> = (&'a [u8], u32);

impl SaltedPasswords {
    /// The salted password, derived on a thread that may block where it is not known yet. Of
    /// several tasks that need the same one, one derives it and the others wait.
    pub(crate) async fn get(
        &self,
        mechanism: Mechanism,
        user: &str,
        password: &Arc<str>,
        (salt, iterations): Asked<'_>,
    ) -> Salted {
        let (user, salt, password) = (user.to_owned(), salt.to_vec(), Arc::clone(password));
        let origin = Origin { user, mechanism, salt, iterations, password };
        let mut kept = self.0.lock().await;
        if let Some((_, salted)) = kept.iter().find(|(of, _)| *of == origin) {
            return salted.clone();
        }
        let of = origin.clone();
        let derive = move |of: &Origin| {
            Salted::new(of.mechanism, of.password.as_bytes(), &of.salt, of.iterations)
        };
        // It fails only while the runtime ends.
        let derived = spawn_blocking(move || derive(&of)).await;
        let salted = derived.unwrap_or_else(|_| derive(&origin));
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push((origin, salted.clone()));
        salted
    }
}

impl fmt::Debug for SaltedPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltedPasswords(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SALT: Asked<'_> = (b"salt", 400_000);

    async fn get(of: &SaltedPasswords, user: &str, password: &str, asked: Asked<'_>) {
        of.get(Mechanism::Sha1, user, &Arc::from(password), asked).await;
    }

    #[tokio::test]
    async fn a_storm_of_logins_derives_once() {
        let passwords = SaltedPasswords::default();
        let began = Instant::now();
        get(&passwords, "user", "secret", SALT).await;
        let once = began.elapsed();
        let clones: Vec<_> = (0..500).map(|_| passwords.clone()).collect();
        let began = Instant::now();
        let all = clones.iter().map(|of| get(of, "user", "secret", SALT));
        futures::future::join_all(all).await;
        assert!(began.elapsed() < once * 50, "{:?} for 500, {once:?} for one", began.elapsed());
        assert_eq!(passwords.0.lock().await.len(), 1);
    }

    #[tokio::test]
    async fn what_differs_is_derived_anew_and_little_is_kept() {
        let passwords = SaltedPasswords::default();
        get(&passwords, "user", "secret", (b"salt", 1)).await;
        get(&passwords, "user", "changed", (b"salt", 1)).await;
        get(&passwords, "other", "secret", (b"salt", 1)).await;
        get(&passwords, "user", "secret", (b"salt", 2)).await;
        assert_eq!(passwords.0.lock().await.len(), 4);
        for salt in 0..100_u8 {
            get(&passwords, "user", "secret", (&[salt], 1)).await;
        }
        assert_eq!(passwords.0.lock().await.len(), KEPT_MAX);
        assert!(!format!("{passwords:?}").contains("secret"));
    }
}
