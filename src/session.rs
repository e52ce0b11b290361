//! What a sidecar tells the commands on its machine about its admin API: the file `session.json` in
//! `[state] directory`, and the address of the dashboard. `admin` writes it, `client` reads it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// The file in `[state] directory`.
pub const FILE: &str = "session.json";
/// The lock of `[state] directory`, which the sidecar holds as long as it lives.
pub const LOCK: &str = "lock";
/// What is escaped: all but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The content of the file. There is no `Debug`: it would print the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFile {
    /// Where the admin API is reached, without a slash at the end.
    pub url: String,
    /// The session token; missing where `[admin] token` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The process.
    pub pid: u32,
    /// When it started, in UTC.
    pub started_at: String,
    /// The data nodes inside it, once they have started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<SessionNode>,
}

/// A data node inside the sidecar, whose port and password nothing else may know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionNode {
    /// Its name in the configuration file.
    pub name: String,
    /// Host and port.
    pub address: String,
    /// Its password, where the configuration file has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl fmt::Debug for SessionNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionNode").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The address of the dashboard at `url`, with the token for its actions if that is known. The
/// token is in the fragment, which a browser sends to nobody.
#[must_use]
pub fn dashboard_url(url: &str, token: Option<&str>) -> String {
    match token {
        Some(token) => format!("{url}/#token={}", escaped(token)),
        None => format!("{url}/"),
    }
}

/// `text` as one part of an address: a segment of its path, a value of its query, its fragment.
pub fn escaped(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ESCAPED)
}

/// Replaces an unspecified address, which listens on all interfaces, by loopback.
#[must_use]
pub const fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
