//! Connection strings, as clients of a Couchbase cluster write them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The port of the data service without TLS.
const PORT: u16 = 11_210;
/// The port of the data service with TLS.
const PORT_TLS: u16 = 11_207;
/// The longest host: an address of a node is its name too, which has at most 100 bytes.
const HOST_BYTES_MAX: usize = 92;
/// The most hosts of a connection string.
pub const HOSTS_MAX: usize = 64;

/// Where a node listens. Its text is `host:port`, with brackets around an IPv6 address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    /// A host name or IP address, without brackets.
    pub host: String,
    /// The port; not 0.
    pub port: u16,
}

/// What is wrong with a connection string or an address, with what is allowed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

impl Address {
    /// Returns an address. The host may have brackets.
    ///
    /// # Errors
    /// A host that is empty, longer than 92 bytes, or of other characters than host names and IP
    /// addresses have; port 0.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        let is_good = if inner.contains(':') {
            inner.parse::<Ipv6Addr>().is_ok()
        } else {
            let good = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
            inner == host && !inner.is_empty() && inner.chars().all(good)
        };
        if !is_good {
            let shown = logline::value(host).to_string();
            let allowed = "give a host name, an IPv4 address or an IPv6 address in brackets";
            return Err(AddressError(format!("{shown} is not a host: {allowed}")));
        }
        if inner.len() > HOST_BYTES_MAX {
            let length = inner.len();
            let text = format!("a host of {length} bytes: give at most {HOST_BYTES_MAX}");
            return Err(AddressError(text));
        }
        if port == 0 {
            return Err(AddressError(format!("port 0 of {inner}: give 1 to 65535")));
        }
        Ok(Self { host: inner.to_owned(), port })
    }

    /// Parses `host` or `host:port`; `default` is the port where none is written.
    fn parse(text: &str, default: u16) -> Result<Self, AddressError> {
        let (host, port) = match text.rsplit_once(':') {
            // The last colon of an IPv6 address without a port is inside the brackets.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        if host.contains(':') && !host.starts_with('[') {
            let shown = logline::value(text).to_string();
            return Err(AddressError(format!("{shown}: put an IPv6 address into brackets")));
        }
        let wrong = |port: &str| {
            let port = logline::value(port).to_string();
            AddressError(format!("{port} is not a port: give 1 to 65535"))
        };
        let port = port.map_or(Ok(default), |port| port.parse().map_err(|_| wrong(port)))?;
        Self::new(host, port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Parses `host:port`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text, 0)
    }
}

/// A connection string, such as `couchbases://host1,host2:11207`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionString {
    /// Whether the nodes are reached by TLS: the scheme is `couchbases`.
    pub tls: bool,
    /// The nodes to begin with, in the order in which they are tried; at least one.
    pub hosts: Vec<Address>,
    /// Where DNS SRV records may name the nodes to begin with, in place of the one host, which is a
    /// name without a port.
    pub srv_name: Option<String>,
}

impl FromStr for ConnectionString {
    type Err = AddressError;

    /// Parses a connection string.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |text: &str| AddressError(text.to_owned());
        let (tls, rest) = match text.split_once("://") {
            Some(("couchbase", rest)) => (false, rest),
            Some(("couchbases", rest)) => (true, rest),
            _ => {
                let shown = logline::value(text).to_string();
                let text = "begin it with couchbase:// or, for TLS, couchbases://";
                return Err(error(&format!("{shown} is not a connection string: {text}")));
            }
        };
        if rest.contains(['/', '?', '@']) {
            let text = "a bucket, options and a user are settings of their own: give hosts alone, \
                        such as couchbase://host1,host2";
            return Err(error(text));
        }
        let default = if tls { PORT_TLS } else { PORT };
        let written: Vec<_> = rest.split(',').map(str::trim).collect();
        if written.len() > HOSTS_MAX {
            let count = written.len();
            return Err(error(&format!("{count} hosts: give at most {HOSTS_MAX}")));
        }
        let hosts = written.iter().map(|host| Address::parse(host, default));
        let hosts = hosts.collect::<Result<_, _>>()?;
        let srv_name = match written[..] {
            [only] => srv_name(only, tls),
            _ => None,
        };
        Ok(Self { tls, hosts, srv_name })
    }
}

/// The name of the SRV records for a connection string with this host alone. `None` where there is
/// a port or an IP address, and for names of the own machine, which are no business of DNS
/// (RFC 6761).
fn srv_name(host: &str, tls: bool) -> Option<String> {
    let is_local = host.trim_end_matches('.').rsplit('.').next() == Some("localhost");
    if host.contains(':') || host.parse::<Ipv4Addr>().is_ok() || is_local {
        return None;
    }
    let service = if tls { "_couchbases" } else { "_couchbase" };
    Some(format!("{service}._tcp.{host}"))
}

#[cfg(test)]
mod tests {
    //! Connection strings that are read and refused.

    use super::*;

    #[test]
    fn hosts_have_the_ports_of_the_scheme() {
        for (text, tls, hosts) in [
            ("couchbase://a", false, &["a:11210"][..]),
            ("couchbases://a.example.org", true, &["a.example.org:11207"]),
            ("couchbase://10.0.0.1, 10.0.0.2:9000", false, &["10.0.0.1:11210", "10.0.0.2:9000"]),
            ("couchbase://[::1],[fe80::1]:5", false, &["[::1]:11210", "[fe80::1]:5"]),
        ] {
            let read: ConnectionString = text.parse().unwrap();
            let shown: Vec<_> = read.hosts.iter().map(ToString::to_string).collect();
            assert_eq!((read.tls, shown), (tls, hosts.iter().map(ToString::to_string).collect()));
        }
    }

    #[test]
    fn one_name_without_a_port_may_have_srv_records() {
        for (text, name) in [
            ("couchbase://a.example", Some("_couchbase._tcp.a.example")),
            ("couchbases:// a ", Some("_couchbases._tcp.a")),
            ("couchbase://a:11210", None),
            ("couchbase://a,b", None),
            ("couchbase://10.0.0.1", None),
            ("couchbase://[::1]", None),
            ("couchbase://localhost", None),
            ("couchbase://a.localhost.", None),
        ] {
            let read: ConnectionString = text.parse().unwrap();
            assert_eq!(read.srv_name.as_deref(), name, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!("couchbase://{}", "a".repeat(93));
        let many = format!("couchbase://{}", vec!["a"; HOSTS_MAX + 1].join(","));
        for (text, says) in [
            ("", "is not a connection string: begin it with couchbase://"),
            ("a,b", "is not a connection string"),
            ("http://a", "is not a connection string"),
            ("couchbase://", "is not a host"),
            ("couchbase://a,", "is not a host"),
            ("couchbase://a b", "is not a host"),
            ("couchbase://a:0", "port 0 of a"),
            ("couchbase://a:x", "is not a port"),
            ("couchbase://a:70000", "is not a port"),
            ("couchbase://::1", "put an IPv6 address into brackets"),
            ("couchbase://[::1", "is not a host"),
            ("couchbase://[a]", "is not a host"),
            ("couchbase://a/bucket", "settings of their own"),
            ("couchbase://u@a", "settings of their own"),
            (&long, "a host of 93 bytes: give at most 92"),
            (&many, "65 hosts: give at most 64"),
        ] {
            let error = text.parse::<ConnectionString>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
