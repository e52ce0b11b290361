//! What a configuration file says to clients of its node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use relay::Secret;

use super::file;
use crate::config::{Credentials, User};

/// See the module.
#[derive(Debug)]
pub struct Written {
    /// The address that the node listens on, if the file names one.
    pub listen: Option<SocketAddr>,
    /// Its buckets.
    pub buckets: Vec<String>,
    /// Its users with passwords.
    pub users: Vec<(String, Secret)>,
    /// The certificate of its listener; `None` for plain TCP.
    pub certificate: Option<PathBuf>,
}

/// Reads the file of a node for a client.
///
/// # Errors
/// As at the start of the node: what is wrong, with file and line.
pub fn written(path: &Path) -> Result<Written, String> {
    let file = file::read(path)?;
    let buckets = file.buckets.into_iter().map(|bucket| bucket.name).collect();
    let of = |user: User| match user.credentials {
        Credentials::Password(secret) => Some((user.name, secret)),
        Credentials::Verifiers(_) => None,
    };
    let users = file.users.into_iter().filter_map(of).collect();
    let (listen, certificate) = (file.listen, file.certificate);
    Ok(Written { listen, buckets, users, certificate })
}
