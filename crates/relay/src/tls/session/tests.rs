//! Sessions with a server in memory, so that a test says which bytes arrive when.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use tokio::io::ReadBuf;
use tokio_rustls::rustls::{AlertDescription, Error, ServerConnection};

use super::Session;
use crate::testing::{Authority, Validity};
use crate::{Tls, TlsFiles};

const HOST: &str = "127.0.0.1";
/// The smallest records of a server: rustls allows no less than 32 bytes.
const SMALL_RECORD_BYTES: usize = 64;

/// Both ends, after the handshake. What the server still has to send, such as tickets, is unsent.
fn connected(old: bool, record_bytes: Option<usize>) -> (Session, ServerConnection) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let acceptor = authority.sign(HOST, Validity::Now).acceptor(None, old);
    let mut config = acceptor.config().as_ref().clone();
    config.max_fragment_size = record_bytes;
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let files = TlsFiles { ca: &authority.file, identity: None, server_name: HOST };
    let tls = Tls::load(files).unwrap();
    let mut session = Session::new(tls.config.current(), tls.server_name).unwrap();
    while !session.shake_hands().unwrap() || server.is_handshaking() {
        to_server(&mut session, &mut server).unwrap();
        if server.is_handshaking() || !session.shake_hands().unwrap() {
            arrive(&mut session, &from_server(&mut server));
        }
    }
    (session, server)
}

fn to_server(session: &mut Session, server: &mut ServerConnection) -> Result<(), Error> {
    while !session.unsent().is_empty() {
        let count = server.read_tls(&mut session.unsent()).unwrap();
        session.sent(count);
        server.process_new_packets()?;
    }
    Ok(())
}

fn from_server(server: &mut ServerConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn arrive(session: &mut Session, bytes: &[u8]) {
    session.incoming.room().put_slice(bytes);
    session.incoming.received(bytes.len());
}

/// What is decrypted, read through rooms of `room_bytes`.
fn decrypted(session: &mut Session, room_bytes: usize) -> Vec<u8> {
    let (mut all, mut room) = (Vec::new(), vec![0; room_bytes]);
    loop {
        let mut room = ReadBuf::new(&mut room);
        session.receive(&mut room).unwrap();
        all.extend_from_slice(room.filled());
        if room.remaining() > 0 {
            return all;
        }
    }
}

/// What the server has decrypted.
fn heard(server: &mut ServerConnection, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    server.reader().read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn rooms_of_every_size_get_the_same_bytes_in_order() {
    let sent: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    for old in [false, true] {
        for room_bytes in [1, 7, 1_000, 16_384, 50_000, 200_000] {
            let (mut session, mut server) = connected(old, None);
            server.set_buffer_limit(None);
            server.writer().write_all(&sent).unwrap();
            let wire = from_server(&mut server);
            let mut got = Vec::new();
            for part in wire.chunks(60_001) {
                arrive(&mut session, part);
                // A write meanwhile decrypts on behalf of the reader.
                session.encrypt(b"ack").unwrap();
                got.extend(decrypted(&mut session, room_bytes));
            }
            assert!(got == sent, "rooms of {room_bytes}: {} bytes", got.len());
            to_server(&mut session, &mut server).unwrap();
            assert_eq!(heard(&mut server, 6), b"ackack");
        }
    }
}

/// rustls remembers where the parts of a message are; it must find them there in a write, too.
#[test]
fn writes_between_the_parts_of_a_handshake_message_do_no_harm() {
    let (mut session, mut server) = connected(false, Some(SMALL_RECORD_BYTES));
    let tickets = from_server(&mut server);
    assert!(tickets.len() > 2 * SMALL_RECORD_BYTES, "no message in parts");
    server.writer().write_all(b"document").unwrap();
    let wire = [tickets, from_server(&mut server)].concat();
    let mut got = Vec::new();
    for byte in &wire {
        arrive(&mut session, &[*byte]);
        session.encrypt(b"a").unwrap();
        to_server(&mut session, &mut server).unwrap();
        got.extend(decrypted(&mut session, 3));
    }
    assert_eq!(got, b"document");
    assert_eq!(heard(&mut server, wire.len()), vec![b'a'; wire.len()]);
}

#[test]
fn keys_are_renewed_when_the_peer_asks_for_it() {
    let (mut session, mut server) = connected(false, None);
    for round in 0..3 {
        server.refresh_traffic_keys().unwrap();
        server.writer().write_all(b"document").unwrap();
        arrive(&mut session, &from_server(&mut server));
        assert_eq!(decrypted(&mut session, 100), b"document", "round {round}");
        session.encrypt(b"ack").unwrap();
        to_server(&mut session, &mut server).unwrap();
        assert_eq!(heard(&mut server, 3), b"ack", "round {round}");
    }
}

#[test]
fn each_side_ends_by_itself() {
    let (mut session, mut server) = connected(false, None);
    server.writer().write_all(b"last").unwrap();
    server.send_close_notify();
    arrive(&mut session, &from_server(&mut server));
    assert_eq!(decrypted(&mut session, 100), b"last");
    assert!(session.ended);
    session.encrypt(b"ack").unwrap();
    session.close().unwrap();
    to_server(&mut session, &mut server).unwrap();
    assert_eq!(heard(&mut server, 3), b"ack");
    assert_eq!(server.reader().read(&mut [0; 1]).unwrap(), 0, "the end of what we send");
}

#[test]
fn a_damaged_record_is_an_error_for_good_and_the_peer_is_told_once() {
    let (mut session, mut server) = connected(false, None);
    server.writer().write_all(b"document").unwrap();
    let mut wire = from_server(&mut server);
    *wire.last_mut().unwrap() ^= 1;
    arrive(&mut session, &wire);
    let mut bytes = [0; 100];
    let error = session.receive(&mut ReadBuf::new(&mut bytes)).unwrap_err();
    let told = session.unsent().len();
    assert!(told > 0);
    let again = session.receive(&mut ReadBuf::new(&mut bytes)).unwrap_err();
    assert_eq!(error.to_string(), again.to_string());
    assert!(session.encrypt(b"ack").is_err());
    assert_eq!(session.unsent().len(), told);
    let told = to_server(&mut session, &mut server);
    assert_eq!(told, Err(Error::AlertReceived(AlertDescription::BadRecordMac)));
}
