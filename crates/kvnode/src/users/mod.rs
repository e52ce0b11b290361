//! The users of a node: who they are, what is known of their passwords, and what they may do.
//!
//! - `live`: the users of a running node, who may be replaced
//! - `file`: users with salted verifiers in a file of their own

mod file;
mod live;

use relay::Secret;
use scram::{Mechanism, Verifier};
use subtle::ConstantTimeEq as _;

pub use self::file::UsersFile;
pub(crate) use self::live::{LiveUsers, random};
use crate::privilege::{Privileges, Role};

/// The bytes of what salts are made from.
pub(crate) const SALTS_BYTES: usize = 32;

/// A user who may connect.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// How a login is checked.
    pub credentials: Credentials,
    /// What the user may do.
    pub grant: Grant,
}

impl User {
    /// A user who may do everything.
    pub fn admin(name: impl Into<String>, password: Secret) -> Self {
        let credentials = Credentials::Password(password);
        Self { name: name.into(), credentials, grant: Grant::default() }
    }
}

/// How a login is checked.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Against the password itself.
    Password(Secret),
    /// Against what was derived from it; one for each mechanism.
    Verifiers(Vec<Verifier>),
}

impl Credentials {
    /// The verifier of a mechanism.
    fn verifier(&self, mechanism: Mechanism) -> Option<&Verifier> {
        match self {
            Self::Verifiers(all) => all.iter().find(|it| it.mechanism() == mechanism),
            Self::Password(_) => None,
        }
    }

    /// The verifier of the strongest mechanism.
    fn strongest(&self) -> Option<&Verifier> {
        match self {
            Self::Verifiers(all) => all.iter().max_by_key(|it| it.mechanism()),
            Self::Password(_) => None,
        }
    }
}

/// What a user may do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grant {
    /// Which commands.
    pub role: Role,
    /// In which buckets; none for all of them.
    pub buckets: Vec<String>,
}

impl Grant {
    /// What the user may do in a bucket, whether there is one of this name or not.
    pub(crate) fn in_bucket(&self, name: &str) -> Privileges {
        if self.buckets.is_empty() || self.buckets.iter().any(|bucket| bucket == name) {
            self.role.privileges()
        } else {
            Privileges::default()
        }
    }

    /// What the user may do before a bucket is selected.
    pub(crate) fn without_bucket(&self) -> Privileges {
        let privileges = self.role.privileges();
        if self.buckets.is_empty() { privileges } else { privileges.of_one_bucket() }
    }
}

/// The users of a node.
#[derive(Clone, Debug, Default)]
pub struct Users {
    /// All of them, each with a name of its own.
    pub all: Vec<User>,
    /// What the salts of users without verifiers are made from, and of those who do not exist;
    /// `None` for a random one of this process.
    pub salts: Option<[u8; SALTS_BYTES]>,
}

impl Users {
    /// The users of a configuration without a file of users.
    #[must_use]
    pub const fn new(all: Vec<User>) -> Self {
        Self { all, salts: None }
    }

    /// Whether `password` is the user's. Where users have passwords, the time it takes reveals
    /// neither the password nor whether the user exists. A verifier takes some 10 ms.
    pub(crate) fn check(&self, user: &str, password: &[u8]) -> bool {
        let mut good = subtle::Choice::from(0);
        for User { name, credentials, .. } in &self.all {
            if let Credentials::Password(secret) = credentials {
                let right_name = name.as_bytes().ct_eq(user.as_bytes());
                good |= right_name & secret.expose().as_bytes().ct_eq(password);
            }
        }
        let verifier = self.find(user).and_then(|user| user.credentials.strongest());
        bool::from(good) || verifier.is_some_and(|verifier| verifier.fits(password))
    }

    fn find(&self, name: &str) -> Option<&User> {
        self.all.iter().find(|user| user.name == name)
    }
}
