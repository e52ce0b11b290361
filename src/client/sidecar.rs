//! Which sidecar to ask, and the token for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use relay::Secret;

use super::error::AskError;
use super::to::To;
use crate::config::{self, Admin};

/// The environment variable with the token, which keeps it out of the list of processes.
const TOKEN_VARIABLE: &str = "DCP_PROXY_TOKEN";

/// A sidecar.
pub(super) struct Sidecar {
    /// Without a slash at the end.
    pub(super) url: String,
    pub(super) token: Option<Secret>,
}

/// The sidecar that the options name, else the configuration file, else the default address where
/// there is no file and none `is_named`.
///
/// The token of the file is sent only to the address of the file.
pub(super) fn find(to: &To, config: &Path, is_named: bool) -> Result<Sidecar, AskError> {
    let given = to.token.clone().or_else(|| std::env::var(TOKEN_VARIABLE).ok());
    let given = given.map(Secret::new);
    if let Some(url) = &to.admin {
        return Ok(Sidecar { url: checked(url)?, token: given });
    }
    if !is_named && !config.exists() {
        return Ok(Sidecar { url: format!("http://{}", config::ADMIN_DEFAULT), token: given });
    }
    let admin =
        config::load_admin(config).map_err(|problems| AskError::Usage(problems.to_string()))?;
    let Admin { listen, token, .. } = admin;
    if listen.port() == 0 {
        let why = "[admin] listen has port 0, so the port is unknown: give --admin";
        return Err(AskError::Usage(format!("{}: {why}", config.display())));
    }
    Ok(Sidecar { url: format!("http://{}", reachable(listen)), token: given.or(token) })
}

fn checked(url: &str) -> Result<String, AskError> {
    let url = url.trim_end_matches('/');
    if url.strip_prefix("http://").is_some_and(|rest| !rest.is_empty()) {
        return Ok(url.to_owned());
    }
    Err(AskError::Usage(format!("invalid URL of a sidecar {url:?}: give http://HOST:PORT")))
}

/// Replaces an unspecified address, which listens on all interfaces, by loopback.
pub(super) const fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
