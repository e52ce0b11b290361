//! What a node keeps of a password: RFC 5802, section 2.2.

use std::fmt;
use std::str::FromStr;

use crate::hash::{self, Bytes};
use crate::message::{decoded, encoded};
use crate::{ITERATIONS_MAX, Mechanism};

/// The most bytes of a salt.
const SALT_BYTES_MAX: usize = 1024;

/// What a node keeps of a password. Whoever has it can pretend to be the node, and can try
/// passwords at leisure, but cannot log in.
///
/// As text: `SCRAM-SHA512$ITERATIONS:SALT$STORED:SERVER`, the last three in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(crate) mechanism: Mechanism,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) stored_key: Bytes,
    pub(crate) server_key: Bytes,
}

impl Verifier {
    /// Derives one from a password. Takes as long as there are iterations: some 10 ms for
    /// [`ITERATIONS`](crate::ITERATIONS). More than [`ITERATIONS_MAX`] count as that, none as one.
    #[must_use]
    pub fn new(mechanism: Mechanism, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let iterations = iterations.clamp(1, ITERATIONS_MAX);
        let salted = hash::salted(mechanism, password, salt, iterations);
        let client_key = hash::hmac(mechanism, salted.as_slice(), b"Client Key");
        Self {
            mechanism,
            salt: salt.to_vec(),
            iterations,
            stored_key: hash::hash(mechanism, client_key.as_slice()),
            server_key: hash::hmac(mechanism, salted.as_slice(), b"Server Key"),
        }
    }

    /// The salt of a user: always the same for a name and a secret of the node, as long as those of
    /// kv_engine. Nobody can tell by it whether the user exists.
    #[must_use]
    pub fn salt(mechanism: Mechanism, user: &str, secret: &[u8]) -> Vec<u8> {
        hash::hmac(mechanism, secret, user.as_bytes()).as_slice().to_vec()
    }

    /// Its salt and iterations, for a challenge.
    #[must_use]
    pub fn salting(&self) -> (&[u8], u32) {
        (&self.salt, self.iterations)
    }

    /// The mechanism that it is for.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Whether this is the password, for PLAIN. Takes as long as [`Verifier::new`], whatever the
    /// answer.
    #[must_use]
    pub fn fits(&self, password: &[u8]) -> bool {
        let other = Self::new(self.mechanism, password, &self.salt, self.iterations);
        self.stored_key.is_same(&other.stored_key)
    }
}

/// Neither salt nor keys.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({}, {} iterations)", self.mechanism, self.iterations)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, iterations, .. } = self;
        let [salt, stored, server] =
            [&self.salt[..], self.stored_key.as_slice(), self.server_key.as_slice()].map(encoded);
        write!(f, "{mechanism}${iterations}:{salt}${stored}:{server}")
    }
}

/// A text that is no verifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is no verifier: {0}")]
pub struct BadVerifier(&'static str);

impl FromStr for Verifier {
    type Err = BadVerifier;

    fn from_str(text: &str) -> Result<Self, BadVerifier> {
        let mut parts = text.split('$');
        let (Some(name), Some(salted), Some(keys), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadVerifier("its form is MECHANISM$ITERATIONS:SALT$STORED:SERVER"));
        };
        let mechanism = Mechanism::named(name.as_bytes()).ok_or(BadVerifier("its mechanism"))?;
        let pair = |text: &str, what| {
            let (a, b) = text.split_once(':').ok_or(BadVerifier(what))?;
            Ok((a.to_owned(), b.to_owned()))
        };
        let (iterations, salt) = pair(salted, "it has no salt")?;
        let (stored, server) = pair(keys, "it has one key")?;
        let iterations = iterations.parse().ok().filter(|it| (1..=ITERATIONS_MAX).contains(it));
        let salt = decoded(&salt).ok().filter(|it| (1..=SALT_BYTES_MAX).contains(&it.len()));
        let key = |text: &str| decoded(text).ok().and_then(|it| Bytes::of(mechanism, it));
        Ok(Self {
            mechanism,
            salt: salt.ok_or(BadVerifier("its salt"))?,
            iterations: iterations.ok_or(BadVerifier("its iterations"))?,
            stored_key: key(&stored).ok_or(BadVerifier("its stored key"))?,
            server_key: key(&server).ok_or(BadVerifier("its server key"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_holds_everything_and_nothing_else_is_taken() {
        for mechanism in Mechanism::ALL {
            let verifier = Verifier::new(mechanism, b"secret", b"salt", 2);
            let text = verifier.to_string();
            assert_eq!(text.parse(), Ok(verifier));
            for bad in [
                text.replace("$2:", "$0:"),
                text.replace("$2:", "$2000000:"),
                text.replacen(mechanism.name(), "SCRAM-SHA-512", 1),
                text.replacen("$2:c2FsdA==", "$2:", 1),
                format!("{text}="),
                format!("{text}$"),
                text.rsplit_once(':').unwrap().0.to_owned(),
                String::new(),
            ] {
                bad.parse::<Verifier>().unwrap_err();
            }
        }
    }

    #[test]
    fn a_verifier_fits_its_password_alone() {
        let verifier = Verifier::new(Mechanism::Sha256, "p\u{e4}ssword".as_bytes(), b"salt", 3);
        assert!(verifier.fits("p\u{e4}ssword".as_bytes()));
        for other in ["password", "", "p\u{e4}ssword ", "P\u{e4}ssword"] {
            assert!(!verifier.fits(other.as_bytes()), "{other}");
        }
        assert!(!format!("{verifier:?}").contains("salt"));
    }

    #[test]
    fn a_salt_depends_on_user_and_secret_and_is_as_long_as_the_hash() {
        for mechanism in Mechanism::ALL {
            let of = |user, secret: &[u8]| Verifier::salt(mechanism, user, secret);
            let salt = of("user", b"secret");
            assert_eq!(salt.len(), mechanism.hash_bytes());
            assert_eq!(salt, of("user", b"secret"));
            assert_ne!(salt, of("users", b"secret"));
            assert_ne!(salt, of("user", b"other"));
        }
    }
}
