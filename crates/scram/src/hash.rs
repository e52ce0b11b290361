//! The hashes of the mechanisms behind one set of functions: RFC 5802, section 2.2.

use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::Mechanism;

/// A key, a proof or a signature: as many bytes as the hash of its mechanism has.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bytes(Vec<u8>);

impl Bytes {
    /// `None` where it has not as many bytes as the mechanism's hash.
    pub(crate) fn of(mechanism: Mechanism, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == mechanism.hash_bytes()).then_some(Self(bytes))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// In a time that does not depend on what is equal.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    pub(crate) fn xor(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a ^ b).collect())
    }
}

/// Calls a function with the hash of a mechanism as its type.
macro_rules! with_hash {
    ($mechanism:expr, $of:ident($($argument:expr),*)) => {
        match $mechanism {
            Mechanism::Sha1 => $of::<Sha1>($($argument),*),
            Mechanism::Sha256 => $of::<Sha256>($($argument),*),
            Mechanism::Sha512 => $of::<Sha512>($($argument),*),
        }
    };
}

/// `Hi`: PBKDF2 with one block. Takes as long as there are iterations.
pub(crate) fn salted(mechanism: Mechanism, password: &[u8], salt: &[u8], rounds: u32) -> Bytes {
    let mut out = vec![0; mechanism.hash_bytes()];
    match mechanism {
        Mechanism::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, rounds, &mut out),
        Mechanism::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, &mut out),
        Mechanism::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, rounds, &mut out),
    }
    Bytes(out)
}

/// `H`.
pub(crate) fn hash(mechanism: Mechanism, text: &[u8]) -> Bytes {
    fn of<H: Digest>(text: &[u8]) -> Bytes {
        Bytes(H::digest(text).to_vec())
    }
    with_hash!(mechanism, of(text))
}

/// `HMAC`.
pub(crate) fn hmac(mechanism: Mechanism, key: &[u8], text: &[u8]) -> Bytes {
    match mechanism {
        Mechanism::Sha1 => mac::<Hmac<Sha1>>(key, text),
        Mechanism::Sha256 => mac::<Hmac<Sha256>>(key, text),
        Mechanism::Sha512 => mac::<Hmac<Sha512>>(key, text),
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Bytes {
    // HMAC takes a key of any length.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Bytes(Vec::new()) };
    mac.update(text);
    Bytes(mac.finalize().into_bytes().to_vec())
}
