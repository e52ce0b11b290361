//! A link without a sidecar: two sockets, and a thread for each direction that passes whole frames
//! on and decides nothing. What a sidecar is compared with.

use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};

use bytes::BytesMut;
use mcbp::dcp::{AddStream, Open, open_flags};
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, VbId};
use relay::LINK_FEATURES;

use crate::connection::Connection;
use crate::server::{Server, VBUCKETS};

/// See the module. Dropping it closes both sockets.
pub(super) struct DirectLink {
    sockets: [TcpStream; 2],
    threads: Vec<JoinHandle<()>>,
}

impl DirectLink {
    /// Opens a link with streams of all vBuckets, for a target of this name.
    pub(super) fn open(source: &Server, target: &Server, name: &str) -> io::Result<Self> {
        let named = format!(r#"{{"consumer_name":"{name}"}}"#);
        let consumer = open(target, open_flags::REPLICATION_CONSUMER, named.as_bytes())?;
        let producer = open(source, open_flags::REPLICATION_PRODUCER, b"")?;
        let (to_consumer, to_producer) = (consumer.writer()?, producer.writer()?);
        let sockets = [to_consumer.try_clone()?, to_producer.try_clone()?];
        let mut streams = BytesMut::new();
        for vb in (0..VBUCKETS).map(VbId) {
            AddStream { flags: 0 }.write(vb, Opaque(u32::from(vb.0)), &mut streams);
        }
        (&to_consumer).write_all(&streams)?;
        let threads = vec![
            thread::spawn(move || pass(consumer, to_producer)),
            thread::spawn(move || pass(producer, to_consumer)),
        ];
        Ok(Self { sockets, threads })
    }
}

fn open(node: &Server, flags: u32, value: &[u8]) -> io::Result<Connection> {
    let mut connection = node.connect()?;
    let features = LINK_FEATURES.map(|feature| feature.0.to_be_bytes()).concat();
    connection.ask(&FrameBuilder::request(Opcode::HELLO).key(b"bench").value(&features))?;
    connection.send(&Open { flags, name: b"bench-direct", value }.build(Opaque(0)))?;
    connection.successes(1)?;
    Ok(connection)
}

/// Passes frames on until either socket is closed. The answers to ADD_STREAM are ours.
fn pass(mut from: Connection, mut to: TcpStream) {
    let mut copy = |frame: &Frame<'_>| match frame.opcode() {
        Opcode::DCP_ADD_STREAM => Ok(()),
        _ => to.write_all(&FrameBuilder::from_frame(frame).build()),
    };
    let mut written = Ok(());
    while written.is_ok() && from.answers(1, |frame| written = copy(frame)).is_ok() {}
}

impl Drop for DirectLink {
    fn drop(&mut self) {
        for socket in &self.sockets {
            // An error means that the node has closed it already.
            let _closed = socket.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has told so on the standard error.
            let _ended = thread.join();
        }
    }
}
