//! The address of a data node, and how to log in there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcbp::Side;

use crate::Tls;
use crate::reload::Reloading;
use crate::salted::SaltedPasswords;

/// A data node as the configuration names it.
///
/// Fields may be added, so it is made with [`Endpoint::new`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// The name of the node in the configuration.
    pub name: String,
    /// Host and port, such as `127.0.0.1:11210` or `[::1]:11210`.
    pub address: String,
    /// The user to log in as.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// How to encrypt the connection; `None` for plain TCP.
    pub tls: Option<Tls>,
    /// Whether the password itself may be sent over a network without TLS, to a node that offers
    /// nothing else.
    pub allow_plain: bool,
    /// What topologies of durable writes call the node, if that is not its name.
    pub consumer_name: Option<String>,
    /// What logins derived from the password; clones share it.
    pub(crate) salted: SaltedPasswords,
}

impl Endpoint {
    /// Returns an endpoint that is reached over plain TCP.
    pub fn new(
        name: impl Into<String>,
        address: impl Into<String>,
        username: impl Into<String>,
        password: Secret,
    ) -> Self {
        let (name, address, username) = (name.into(), address.into(), username.into());
        let salted = SaltedPasswords::default();
        let (tls, allow_plain, consumer_name) = (None, false, None);
        Self { name, address, username, password, tls, allow_plain, consumer_name, salted }
    }

    /// Returns the endpoint with TLS.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// What topologies of durable writes call the node.
    #[must_use]
    pub fn consumer_name(&self) -> &str {
        self.consumer_name.as_ref().unwrap_or(&self.name)
    }

    /// Returns the endpoint with [`Endpoint::consumer_name`].
    #[must_use]
    pub fn with_consumer_name(self, consumer_name: Option<String>) -> Self {
        Self { consumer_name, ..self }
    }

    /// Returns the endpoint with [`Endpoint::allow_plain`].
    #[must_use]
    pub fn with_plain(self, allow_plain: bool) -> Self {
        Self { allow_plain, ..self }
    }
}

/// Text that is never printed: `Debug` hides it and there is no `Display`. A secret in a file is
/// read again once the file has changed; clones share it.
#[derive(Clone)]
pub struct Secret(Reloading<str>);

impl Secret {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Reloading::fixed(text.into().into()))
    }

    /// Reads the secret from a file with `read`, now and whenever the file has changed.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn in_file(
        path: PathBuf,
        read: impl Fn(&Path) -> Result<String, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let files = vec![path.clone()];
        let load = move || read(&path).map(Arc::from);
        Reloading::read("secret", files, load, |text| text).map(Self)
    }

    /// The text as it is now, to log in or to check a login. It looks at the file of the secret.
    #[must_use]
    pub fn expose(&self) -> String {
        self.0.current().as_ref().to_owned()
    }

    /// As [`Secret::expose`], from a task.
    pub(crate) async fn refreshed(&self) -> Arc<str> {
        self.0.refreshed().await
    }

    /// Takes the text of `other`, and its file, for all clones of `self`.
    pub fn adopt(&self, other: &Self) {
        self.0.adopt(&other.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// One end of a link as error messages and status pages name it; cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The end of the link; `None` for a connection that is not part of a link.
    pub side: Option<Side>,
    /// The name of the node.
    pub name: Arc<str>,
    /// Its address.
    pub address: Arc<str>,
}

impl Peer {
    /// Names `endpoint` as one end of a link.
    #[must_use]
    pub fn of(side: Option<Side>, endpoint: &Endpoint) -> Self {
        Self {
            side,
            name: endpoint.name.as_str().into(),
            address: endpoint.address.as_str().into(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            Some(side) => write!(f, "{side} {} at {}", self.name, self.address),
            None => write!(f, "{} at {}", self.name, self.address),
        }
    }
}
