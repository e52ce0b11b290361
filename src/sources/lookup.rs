//! Asks name servers for DNS SRV records: over UDP, and over TCP where the answer has no room. What
//! is asked and what an answer says is in the package `clustermap`.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clustermap::{Address, ResolvConf, SrvAnswer, SrvQuery};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::random;

/// Where the system has its name servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// How much of that file is read.
const RESOLV_CONF_BYTES_MAX: u64 = 64 * 1024;
/// The largest datagram that is read; the rest of a larger one is lost. Without EDNS, which is not
/// asked for, a name server sends 512 bytes and truncates the rest.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// Looks the SRV records of `name` up, for `limit` at most: at `resolver`, or at the name servers
/// of the system. Returns their targets in the order in which they are tried; none where there are
/// no records.
///
/// # Errors
/// A text of the last name server that was asked, or why none is asked.
pub(super) async fn look_up(
    name: &str,
    resolver: Option<SocketAddr>,
    limit: Duration,
) -> Result<Vec<Address>, String> {
    let conf = match resolver {
        Some(nameserver) => ResolvConf::of(vec![nameserver]),
        None => of_system().map_err(|error| format!("{RESOLV_CONF}: {error}"))?,
    };
    let mut failed = format!("{RESOLV_CONF} has no name server");
    for (nameserver, each) in tries(&conf, limit) {
        // Who guesses an id may answer in the name of the name server, so each try has another one.
        let id = random::bytes().map_err(|error| error.to_string())?;
        let query = SrvQuery::new(name, u16::from_ne_bytes(id))?;
        failed = match timeout(each, ask(nameserver, &query)).await {
            Ok(Ok(nodes)) => return Ok(nodes),
            Ok(Err(error)) => format!("{nameserver}: {error}"),
            Err(_) => format!("{nameserver}: no answer within {each:?}"),
        };
    }
    Err(failed)
}

/// The name servers in the order in which they are asked, and how long each is waited for, so that
/// all take no longer than `limit`.
fn tries(conf: &ResolvConf, limit: Duration) -> impl Iterator<Item = (SocketAddr, Duration)> {
    let rounds = (0..conf.attempts).flat_map(|_| conf.nameservers.iter().copied());
    let count = u32::try_from(rounds.clone().count()).unwrap_or(u32::MAX).max(1);
    let each = conf.timeout.min(limit / count);
    rounds.map(move |nameserver| (nameserver, each))
}

/// Reads the configuration of the system. It is a short local file, and is read anew each time
/// because it changes with the network.
fn of_system() -> io::Result<ResolvConf> {
    let mut text = Vec::new();
    File::open(RESOLV_CONF)?.take(RESOLV_CONF_BYTES_MAX).read_to_end(&mut text)?;
    Ok(ResolvConf::parse(&String::from_utf8_lossy(&text)))
}

async fn ask(nameserver: SocketAddr, query: &SrvQuery) -> Result<Vec<Address>, String> {
    let text = |error: io::Error| error.to_string();
    let answer = match over_udp(nameserver, query).await.map_err(text)? {
        SrvAnswer::Truncated => over_tcp(nameserver, query).await.map_err(text)?,
        answer => answer,
    };
    match answer {
        SrvAnswer::Nodes(nodes) => Ok(nodes),
        SrvAnswer::Nothing => Ok(Vec::new()),
        SrvAnswer::Truncated => Err("its answer over TCP is truncated".to_owned()),
        SrvAnswer::Failed(error) => Err(error),
    }
}

/// Waits for the answer, however many other datagrams come. The socket is connected, so that the
/// system drops those of other senders.
async fn over_udp(nameserver: SocketAddr, query: &SrvQuery) -> io::Result<SrvAnswer> {
    let any: SocketAddr = match nameserver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(nameserver).await?;
    socket.send(query.as_bytes()).await?;
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let length = socket.recv(&mut datagram).await?;
        let received = datagram.get(..length).unwrap_or_default();
        if let Some(answer) = query.answer(received) {
            return Ok(answer);
        }
    }
}

/// Over TCP the length goes before a message (RFC 1035, 4.2.2).
async fn over_tcp(nameserver: SocketAddr, query: &SrvQuery) -> io::Result<SrvAnswer> {
    let too_long = |_| io::Error::other("the query is too long");
    let length = u16::try_from(query.as_bytes().len()).map_err(too_long)?;
    let mut stream = TcpStream::connect(nameserver).await?;
    stream.write_all(&[&length.to_be_bytes(), query.as_bytes()].concat()).await?;
    let length = stream.read_u16().await?;
    // The memory grows with what has arrived, and not to what is claimed.
    let mut message = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut message).await?;
    let other = || io::Error::other("what it sent over TCP is no answer to the query");
    query.answer(&message).ok_or_else(other)
}

#[cfg(test)]
mod tests {
    //! Who is asked, and for how long.

    use super::*;

    #[test]
    fn all_tries_together_stay_within_the_limit() {
        let servers = |count: usize| vec![SocketAddr::from(([127, 0, 0, 1], 53)); count];
        for (nameservers, limit_s, count, each_ms) in
            [(0, 5, 0, 5000), (1, 5, 2, 2500), (3, 6, 6, 1000), (1, 60, 2, 5000)]
        {
            let conf = ResolvConf::of(servers(nameservers));
            let tries: Vec<_> = tries(&conf, Duration::from_secs(limit_s)).collect();
            assert_eq!(tries.len(), count);
            assert!(tries.iter().all(|it| it.1 == Duration::from_millis(each_ms)), "{tries:?}");
        }
    }

    #[tokio::test]
    async fn a_name_server_that_is_away_or_silent_is_an_error() {
        // Bound and never read.
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let limit = Duration::from_millis(20);
        let error = look_up("a.example", Some(address), limit).await.unwrap_err();
        assert_eq!(error, format!("{address}: no answer within 10ms"));
        drop(silent);
        let error = look_up("a.example", Some(address), Duration::from_secs(20)).await.unwrap_err();
        assert!(error.starts_with(&format!("{address}: ")) && error.contains("refused"), "{error}");
        let error = look_up(&"a".repeat(64), Some(address), limit).await.unwrap_err();
        assert!(error.contains("is no name of DNS"), "{error}");
    }
}
