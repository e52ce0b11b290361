//! Which name servers are asked, and for how long: `/etc/resolv.conf`, as libc reads it
//! (resolv.conf(5)).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The port of DNS.
const PORT: u16 = 53;
/// How many name servers are used, as in libc.
const NAMESERVERS_MAX: usize = 3;
/// `timeout`, in seconds: the default and the longest.
const TIMEOUT_S: (u64, u64) = (5, 30);
/// `attempts`: the default and the most.
const ATTEMPTS: (usize, usize) = (2, 5);

/// What is used of `/etc/resolv.conf`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolvConf {
    /// The name servers, in the order in which they are asked; at most three.
    pub nameservers: Vec<SocketAddr>,
    /// How long one of them is waited for.
    pub timeout: Duration,
    /// How often all of them are asked; at least once.
    pub attempts: usize,
}

impl ResolvConf {
    /// Returns the configuration with these name servers, and defaults else.
    #[must_use]
    pub fn of(nameservers: Vec<SocketAddr>) -> Self {
        let timeout = Duration::from_secs(TIMEOUT_S.0);
        Self { nameservers, timeout, attempts: ATTEMPTS.0 }
    }

    /// Reads the text of the file. What is unknown or malformed is skipped, as libc does. Domains
    /// to search are not used: the name of a cluster is written in full.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut read = Self::of(Vec::new());
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let ip = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    read.nameservers.extend(ip.map(|ip| SocketAddr::new(ip, PORT)));
                }
                Some("options") => words.for_each(|option| read.option(option)),
                _ => {}
            }
        }
        read.nameservers.truncate(NAMESERVERS_MAX);
        read
    }

    fn option(&mut self, option: &str) {
        let Some((name, number)) = option.split_once(':') else { return };
        match (name, number.parse::<usize>()) {
            ("timeout", Ok(seconds)) => {
                let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
                self.timeout = Duration::from_secs(seconds.clamp(1, TIMEOUT_S.1));
            }
            ("attempts", Ok(attempts)) => self.attempts = attempts.clamp(1, ATTEMPTS.1),
            _ => {}
        }
    }
}

/// Parses the address of a name server, `ip` or `ip:port`; an IPv6 address with a port has
/// brackets.
///
/// # Errors
/// A text that says what is allowed.
pub fn nameserver(text: &str) -> Result<SocketAddr, String> {
    let address = match text.parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, PORT)),
        Err(_) => text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0),
    };
    let wrong = || format!("{text:?} is not the address of a name server: give ip or ip:port");
    address.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    //! Files as they are written by hand and by programs.

    use super::*;

    #[test]
    fn name_servers_and_limits_are_read() {
        let text = "# nameserver 9.9.9.9\nsearch example.org\nnameserver 10.0.0.1\n\
                    nameserver\t::1  # local\nnameserver fe80::1%eth0\nnameserver\n; none\n\
                    options ndots:5 timeout:1 attempts:3 rotate\nnameserver 10.0.0.3\n\
                    nameserver 10.0.0.4\n";
        let read = ResolvConf::parse(text);
        let shown: Vec<_> = read.nameservers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.1:53", "[::1]:53", "10.0.0.3:53"]);
        assert_eq!((read.timeout, read.attempts), (Duration::from_secs(1), 3));
    }

    #[test]
    fn limits_are_bounded() {
        for (text, timeout_s, attempts) in [
            ("", 5, 2),
            ("options timeout:0 attempts:0", 1, 1),
            ("options timeout:4000000000 attempts:4000000000", 30, 5),
            ("options timeout:-1 attempts:x timeout attempts:", 5, 2),
        ] {
            let want = (Duration::from_secs(timeout_s), attempts);
            let read = ResolvConf::parse(text);
            assert_eq!((read.timeout, read.attempts), want, "{text}");
            assert!(read.nameservers.is_empty());
        }
    }

    #[test]
    fn a_name_server_of_our_own_may_have_a_port() {
        for (text, address) in [
            ("10.0.0.1", "10.0.0.1:53"),
            ("10.0.0.1:5353", "10.0.0.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            assert_eq!(nameserver(text).unwrap(), address.parse().unwrap(), "{text}");
        }
        for text in ["", "dns.example", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:70000", "[::1]"] {
            assert!(nameserver(text).unwrap_err().contains("give ip or ip:port"), "{text}");
        }
    }
}
