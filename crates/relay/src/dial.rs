//! Opens a TCP connection to a name with several addresses: attempts are staggered, and the first
//! that succeeds is used (RFC 8305, without its cache and its sorting by history).
//!
//! One address that swallows packets costs [`STAGGER`] then, and not the whole deadline.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep};

/// How long an attempt runs alone before the next address is tried beside it: 250 ms, as RFC 8305
/// recommends.
const STAGGER: Duration = Duration::from_millis(250);
/// How many addresses of a name are tried. It bounds the sockets that one connect holds.
const ADDRESSES_MAX: usize = 8;

/// Connects to `address`, a `host:port`. Returns the connection and how long its own attempt took.
///
/// # Errors
/// The error of the name lookup. The OS error of the only address. With several addresses an error
/// that names each with its own error, and has the kind of the first.
pub(crate) async fn dial(address: &str) -> io::Result<(TcpStream, Duration)> {
    first_of(lookup_host(address).await?.collect()).await
}

async fn first_of(found: Vec<SocketAddr>) -> io::Result<(TcpStream, Duration)> {
    let mut untried = alternating(found).into_iter().take(ADDRESSES_MAX);
    let mut attempts = FuturesUnordered::new();
    let mut errors = Vec::new();
    loop {
        let begun = untried.next().map(|address| attempts.push(attempt(address)));
        if begun.is_none() && attempts.is_empty() {
            return Err(none_connected(errors));
        }
        tokio::select! {
            Some(ended) = attempts.next() => match ended {
                Ok(connected) => return Ok(connected),
                // The next address is tried at once.
                Err(error) => errors.push(error),
            },
            () = sleep(STAGGER), if begun.is_some() => {}
        }
    }
}

async fn attempt(address: SocketAddr) -> Result<(TcpStream, Duration), (SocketAddr, io::Error)> {
    let began = Instant::now();
    let stream = TcpStream::connect(address).await.map_err(|error| (address, error))?;
    Ok((stream, began.elapsed()))
}

/// Returns the addresses with the families in turns, the family of the first one first, each
/// otherwise in the order of the resolver.
fn alternating(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None, None] {
            return ordered;
        }
        ordered.extend(turn.into_iter().flatten());
    }
}

fn none_connected(mut errors: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let Some(kind) = errors.first().map(|(_, error)| error.kind()) else {
        return io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    };
    if errors.len() == 1 {
        return errors.remove(0).1;
    }
    let each: Vec<_> =
        errors.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    io::Error::new(kind, each.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// An address that swallows SYNs: nobody accepts there, and the queue for that is full.
    #[cfg(target_os = "linux")]
    fn black_hole() -> (SocketAddr, Vec<socket2::Socket>) {
        let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let listener = socket().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut kept = vec![listener];
        for _ in 0..4 {
            let waiting = socket().unwrap();
            waiting.set_nonblocking(true).unwrap();
            let _in_progress = waiting.connect(&address);
            kept.push(waiting);
        }
        (address.as_socket().unwrap(), kept)
    }

    /// bytebeamio/rumqtt#939, hyperium/hyper#1316: a connect spent its whole deadline on the first.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_swallows_syns_does_not_hide_the_next() {
        let (silent, _kept) = black_hole();
        let good = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = good.local_addr().unwrap();
        let connected = tokio::time::timeout(Duration::from_secs(20), first_of(vec![silent, good]));
        let (stream, took) = connected.await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(took < STAGGER, "the time of its own attempt: {took:?}");
    }

    #[tokio::test]
    async fn the_only_address_gives_its_own_error() {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap().to_string();
        drop(gone);
        let error = dial(&address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.raw_os_error().is_some(), "{error}");
    }

    #[test]
    fn the_families_take_turns_and_keep_their_order() {
        let cases: [(&[&str], &[&str]); 4] = [
            (&[], &[]),
            (&["1.0.0.1:1", "1.0.0.2:1"], &["1.0.0.1:1", "1.0.0.2:1"]),
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1"],
                &["[::1]:1", "1.0.0.1:1", "[::2]:1", "[::3]:1"],
            ),
            (&["1.0.0.1:1", "1.0.0.2:1", "[::1]:1"], &["1.0.0.1:1", "[::1]:1", "1.0.0.2:1"]),
        ];
        for (found, want) in cases {
            assert_eq!(alternating(addresses(found)), addresses(want));
        }
    }

    #[test]
    fn an_error_of_several_addresses_names_each_one() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let [one, two] = ["127.0.0.1:1", "[::1]:1"].map(|text| text.parse().unwrap());
        let error = none_connected(vec![(one, refused()), (two, refused())]);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(
            error.to_string(),
            "127.0.0.1:1: connection refused; [::1]:1: connection refused"
        );
    }
}
