//! Asks name servers for DNS SRV records: over UDP, and over TCP where the answer has no room. What
//! is asked and what an answer says is in the package `clustermap`.
//!
//! A lookup takes a thread that may block, as lookups of addresses do: less code than a task, and
//! the thread ends at the deadline of the lookup by itself.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use clustermap::{Address, ResolvConf, SrvAnswer, SrvQuery};
use tokio::task::spawn_blocking;

use crate::random;

/// Where the system has its name servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// How much of that file is read.
const RESOLV_CONF_BYTES_MAX: u64 = 64 * 1024;
/// The largest datagram that is read; the rest of a larger one is lost. Without EDNS, which is not
/// asked for, a name server sends 512 bytes and truncates the rest.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// How much is read at once over TCP.
const PART_BYTES: usize = 1024;

/// Looks the SRV records of `name` up, for `limit` at most: at `resolver`, or at the name servers
/// of the system. Returns their targets in the order in which they are tried; none where there are
/// no records.
///
/// # Errors
/// A text of the last name server that was asked, or why none is asked.
pub(super) async fn look_up(
    name: String,
    resolver: Option<SocketAddr>,
    limit: Duration,
) -> Result<Vec<Address>, String> {
    let lookup = spawn_blocking(move || look_up_here(&name, resolver, limit));
    lookup.await.unwrap_or_else(|error| Err(error.to_string()))
}

fn look_up_here(
    name: &str,
    resolver: Option<SocketAddr>,
    limit: Duration,
) -> Result<Vec<Address>, String> {
    let conf = match resolver {
        Some(nameserver) => ResolvConf::of(vec![nameserver]),
        None => of_system().map_err(|error| format!("{RESOLV_CONF}: {error}"))?,
    };
    let mut failed = format!("{RESOLV_CONF} has no name server");
    let (tries, each) = tries(&conf, limit);
    for nameserver in tries {
        // Who guesses an id may answer in the name of the name server, so each try has another one.
        let id = random::bytes().map_err(|error| error.to_string())?;
        let query = SrvQuery::new(name, u16::from_ne_bytes(id))?;
        let error = match ask(nameserver, &query, Instant::now() + each) {
            Ok(SrvAnswer::Nodes(nodes)) => return Ok(nodes),
            Ok(SrvAnswer::Nothing) => return Ok(Vec::new()),
            Ok(SrvAnswer::Truncated) => "its answer over TCP is truncated".to_owned(),
            Ok(SrvAnswer::Failed(error)) => error,
            Err(error) if is_late(&error) => format!("no answer within {each:?}"),
            Err(error) => error.to_string(),
        };
        failed = format!("{nameserver}: {error}");
    }
    Err(failed)
}

/// The name servers in the order in which they are asked, and how long each is waited for, so that
/// all take no longer than `limit`.
fn tries(conf: &ResolvConf, limit: Duration) -> (Vec<SocketAddr>, Duration) {
    let tries = vec![&conf.nameservers[..]; conf.attempts].concat();
    let count = u32::try_from(tries.len()).unwrap_or(u32::MAX).max(1);
    (tries, conf.timeout.min(limit / count))
}

/// Reads the configuration of the system, anew each time because it changes with the network.
fn of_system() -> io::Result<ResolvConf> {
    let mut text = Vec::new();
    File::open(RESOLV_CONF)?.take(RESOLV_CONF_BYTES_MAX).read_to_end(&mut text)?;
    Ok(ResolvConf::parse(&String::from_utf8_lossy(&text)))
}

fn ask(nameserver: SocketAddr, query: &SrvQuery, until: Instant) -> io::Result<SrvAnswer> {
    match over_udp(nameserver, query, until)? {
        SrvAnswer::Truncated => over_tcp(nameserver, query, until),
        answer => Ok(answer),
    }
}

/// Waits for the answer, however many other datagrams come. The socket is connected, so that the
/// system drops those of other senders.
fn over_udp(nameserver: SocketAddr, query: &SrvQuery, until: Instant) -> io::Result<SrvAnswer> {
    let any: SocketAddr = match nameserver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(nameserver)?;
    socket.send(query.as_bytes())?;
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        socket.set_read_timeout(Some(left(until)?))?;
        let length = match socket.recv(&mut datagram) {
            // By a signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            received => received?,
        };
        let received = datagram.get(..length).unwrap_or_default();
        if let Some(answer) = query.answer(received) {
            return Ok(answer);
        }
    }
}

/// Over TCP the length goes before a message (RFC 1035, 4.2.2).
fn over_tcp(nameserver: SocketAddr, query: &SrvQuery, until: Instant) -> io::Result<SrvAnswer> {
    let too_long = |_| io::Error::other("the query is too long");
    let length = u16::try_from(query.as_bytes().len()).map_err(too_long)?;
    let mut stream = TcpStream::connect_timeout(&nameserver, left(until)?)?;
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(&[&length.to_be_bytes(), query.as_bytes()].concat())?;
    let length = match read(&stream, 2, until)?[..] {
        [high, low] => u16::from_be_bytes([high, low]),
        _ => 0,
    };
    let message = read(&stream, length.into(), until)?;
    let other = || io::Error::other("what it sent over TCP is no answer to the query");
    query.answer(&message).ok_or_else(other)
}

/// Reads so many bytes. The memory grows with what has arrived, and not to what is claimed.
fn read(stream: &TcpStream, bytes: usize, until: Instant) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut part = [0; PART_BYTES];
    while all.len() < bytes {
        stream.set_read_timeout(Some(left(until)?))?;
        let rest = u64::try_from(bytes - all.len()).unwrap_or(u64::MAX);
        match stream.take(rest).read(&mut part) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => all.extend(part.iter().take(length)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// The time that is left, which is not 0.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Whether a deadline has passed: sockets say so in two ways.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    //! Who is asked, and for how long.

    use std::net::TcpListener;

    use super::*;

    #[test]
    fn all_tries_together_stay_within_the_limit() {
        let servers = |count: usize| vec![SocketAddr::from(([127, 0, 0, 1], 53)); count];
        for (nameservers, limit_s, count, each_ms) in
            [(0, 5, 0, 5000), (1, 5, 2, 2500), (3, 6, 6, 1000), (1, 60, 2, 5000)]
        {
            let conf = ResolvConf::of(servers(nameservers));
            let (tries, each) = tries(&conf, Duration::from_secs(limit_s));
            assert_eq!((tries.len(), each), (count, Duration::from_millis(each_ms)));
        }
    }

    #[test]
    fn a_name_server_that_is_away_or_silent_is_an_error() {
        // Bound and never read.
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let limit = Duration::from_millis(20);
        let error = look_up_here("a.example", Some(address), limit).unwrap_err();
        assert_eq!(error, format!("{address}: no answer within 10ms"));
        drop(silent);
        let error = look_up_here("a.example", Some(address), Duration::from_secs(20)).unwrap_err();
        assert!(error.starts_with(&format!("{address}: ")) && error.contains("refused"), "{error}");
        let error = look_up_here(&"a".repeat(64), Some(address), limit).unwrap_err();
        assert!(error.contains("is no name of DNS"), "{error}");
    }

    #[test]
    fn a_message_over_tcp_ends_at_the_deadline_however_slowly_it_comes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(&[7; 3000]).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        assert_eq!(read(&stream, 2999, until).unwrap(), [7; 2999]);
        let soon = Instant::now() + Duration::from_millis(10);
        assert!(is_late(&read(&stream, 2, soon).unwrap_err()));
        assert!(is_late(&read(&stream, 1, Instant::now()).unwrap_err()));
        drop(peer);
        let error = read(&stream, 1, until).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
