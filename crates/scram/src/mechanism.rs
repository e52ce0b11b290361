//! The mechanisms and their names.

use std::fmt;

/// A mechanism, by the hash that it uses; a later one is stronger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mechanism {
    /// `SCRAM-SHA1`, RFC 5802.
    Sha1,
    /// `SCRAM-SHA256`, RFC 7677.
    Sha256,
    /// `SCRAM-SHA512`.
    Sha512,
}

impl Mechanism {
    /// All of them, the strongest first.
    pub const ALL: [Self; 3] = [Self::Sha512, Self::Sha256, Self::Sha1];

    /// Its name in SASL_LIST_MECHS and SASL_AUTH.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA1",
            Self::Sha256 => "SCRAM-SHA256",
            Self::Sha512 => "SCRAM-SHA512",
        }
    }

    /// The mechanism of this name; `None` for any other spelling.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name().as_bytes() == name)
    }

    /// The strongest one of a list with spaces between, as SASL_LIST_MECHS answers it.
    #[must_use]
    pub fn strongest(list: &str) -> Option<Self> {
        list.split_ascii_whitespace().filter_map(|name| Self::named(name.as_bytes())).max()
    }

    /// The bytes of its hash, and so of keys, proofs and signatures.
    #[must_use]
    pub const fn hash_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_data_nodes() {
        assert_eq!(Mechanism::named(b"SCRAM-SHA512"), Some(Mechanism::Sha512));
        for other in ["SCRAM-SHA-512", "scram-sha512", "SCRAM-SHA512 ", "PLAIN", ""] {
            assert_eq!(Mechanism::named(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_strongest_of_a_list_is_chosen_in_any_order() {
        let of = Mechanism::strongest;
        assert_eq!(of("PLAIN SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1"), Some(Mechanism::Sha512));
        assert_eq!(of("SCRAM-SHA1  SCRAM-SHA256"), Some(Mechanism::Sha256));
        assert_eq!(of("PLAIN SCRAM-SHA-512"), None);
        assert_eq!(of(""), None);
    }
}
