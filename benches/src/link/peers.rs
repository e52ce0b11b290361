//! The two ends of a link: connections through one of the ways, up to open streams.
//!
//! For dcp-proxy the load plays two data nodes. Their control connections (the lag monitor's) are
//! answered as those of nodes without any change.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mcbp::dcp::StreamReq;
use mcbp::{Frame, Opaque, Opcode, Seqno, Side, Status, VbId, VbUuid};
use tokio_rustls::rustls::ServerConfig;

use crate::frames::{FrameReader, answer, opaque_of};
use crate::process::Process;
use crate::results::SetUp;
use crate::socket::{PATIENCE, Socket, listen};
use crate::ways::{Way, Workshop};
use crate::{Fallible, SET_UP_STREAMS};

/// How long the last answers may take through the proxy after the consumer has written them.
const SETTLE: Duration = Duration::from_millis(30);

/// One end of a link.
pub(crate) struct Peer {
    pub(crate) socket: Socket,
    pub(crate) reader: FrameReader,
}

/// Both ends of all links, and the process in between.
pub(crate) struct Links {
    pub(crate) consumers: Vec<Peer>,
    pub(crate) producers: Vec<Peer>,
    pub(crate) process: Option<Process>,
    /// The cost of the set-up of the streams, if there are any.
    pub(crate) set_up: Option<SetUp>,
}

impl Links {
    /// Connects `links` links by `way`, with `streams` streams in all.
    pub(crate) fn connect(
        workshop: &Workshop,
        way: Way,
        links: u16,
        streams: u16,
    ) -> Fallible<Self> {
        if way.is_sidecar() {
            return Self::of_sidecar(workshop, way, links, streams);
        }
        let (listener, producer) = listen()?;
        let (process, address) = match way {
            Way::Direct => (None, producer),
            _ => {
                let (process, address) = workshop.haproxy(way, producer)?;
                (Some(process), address)
            }
        };
        let (mut consumers, mut producers) = (Vec::new(), Vec::new());
        for _ in 0..links {
            consumers.push(Peer::new(Socket::connect(address)?)?);
            let (tcp, _) = listener.accept()?;
            let config = way.is_encrypted().then_some(&workshop.tls);
            producers.push(Peer::new(Socket::accepted(tcp, config)?)?);
        }
        Ok(Self { consumers, producers, process, set_up: None })
    }

    fn of_sidecar(workshop: &Workshop, way: Way, links: u16, streams: u16) -> Fallible<Self> {
        let nodes = Nodes::start(way.is_encrypted().then(|| Arc::clone(&workshop.tls)))?;
        let process = workshop.sidecar(way, nodes.addresses, links, streams)?;
        let (mut consumers, mut producers) = (Vec::new(), Vec::new());
        for _ in 0..2 * links {
            let opened = nodes.opened.recv_timeout(PATIENCE).map_err(|_| "no DCP_OPEN in time")?;
            match opened.side {
                Side::Consumer => consumers.push(opened),
                Side::Producer => producers.push(opened),
            }
        }
        let (began, spent) = (Instant::now(), process.processor_time()?);
        let each = streams / links;
        let (consumers, producers) = thread::scope(|scope| {
            let open = |opened: Opened| scope.spawn(move || opened.set_up(each));
            let consumers: Vec<_> = consumers.into_iter().map(open).collect();
            let producers: Vec<_> = producers.into_iter().map(open).collect();
            let join = |threads: Vec<thread::ScopedJoinHandle<'_, Fallible<Peer>>>| {
                let joined = threads.into_iter().map(|one| one.join().map_err(|_| "a panic")?);
                joined.collect::<Fallible<Vec<Peer>>>()
            };
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((join(consumers)?, join(producers)?))
        })?;
        let wall = began.elapsed();
        thread::sleep(SETTLE);
        let processor = process.processor_time()?.saturating_sub(spent);
        let set_up = Some(SetUp { wall, processor });
        Ok(Self { consumers, producers, process: Some(process), set_up })
    }
}

impl Peer {
    fn new(socket: Socket) -> Fallible<Self> {
        socket.be_patient(Some(PATIENCE))?;
        Ok(Self { socket, reader: FrameReader::default() })
    }

    fn send(&mut self, frames: &[u8]) -> Fallible<()> {
        self.socket.stream.write_all(frames)?;
        Ok(self.socket.stream.flush()?)
    }

    /// Answers requests immediately, until `streams` streams are open.
    fn open_streams(&mut self, streams: u16) -> Fallible<()> {
        let mut opaques = vec![Opaque(0); usize::from(SET_UP_STREAMS)];
        let (mut open, mut out) = (0, BytesMut::new());
        while open < streams {
            let mut next = Some(self.reader.next(&mut self.socket.stream)?);
            while let Some(bytes) = next {
                open += u16::from(step(&bytes, &mut opaques, &mut out)?);
                next = if open < streams { self.reader.buffered()? } else { None };
            }
            self.send(&out.split())?;
        }
        Ok(())
    }
}

/// Answers one frame of the set-up of streams; returns true if a stream is open now.
fn step(bytes: &Bytes, opaques: &mut [Opaque], out: &mut BytesMut) -> Fallible<bool> {
    let frame = Frame::parse(bytes)?;
    let vb = frame.header.vbucket();
    match frame.opcode() {
        Opcode::DCP_ADD_STREAM => {
            let place = opaques.get_mut(usize::from(vb.0)).ok_or("a strange vBucket")?;
            *place = frame.header.opaque;
            let request = StreamReq {
                flags: 0,
                start: Seqno::ZERO,
                end: Seqno::MAX,
                uuid: VbUuid(0),
                snapshot_start: Seqno::ZERO,
                snapshot_end: Seqno::ZERO,
                value: b"",
            };
            request.write(vb, opaque_of(vb), out);
            Ok(false)
        }
        Opcode::DCP_STREAM_REQ if frame.header.is_request() => {
            let history = [9, 0].map(u64::to_be_bytes).concat();
            out.extend_from_slice(&answer(bytes, Status::SUCCESS, &[], &history)?);
            Ok(true)
        }
        Opcode::DCP_STREAM_REQ => {
            let number = frame.header.opaque;
            let index = usize::try_from(number.0)?.wrapping_sub(1);
            let opaque = *opaques.get(index).ok_or("an answer to nobody")?;
            let added = mcbp::FrameBuilder::response(Opcode::DCP_ADD_STREAM, Status::SUCCESS);
            added.opaque(opaque).extras(&number.0.to_be_bytes()).write(out);
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// A DCP connection. The consumer's DCP_OPEN is answered at once, because the sidecar opens the
/// producer after that; the producer's is answered when the measurement begins.
pub(crate) struct Opened {
    pub(crate) side: Side,
    peer: Peer,
    open: Bytes,
}

impl Opened {
    /// Answers until `streams` streams are open.
    pub(crate) fn set_up(mut self, streams: u16) -> Fallible<Peer> {
        if self.side == Side::Producer {
            let accepted = answer(&self.open, Status::SUCCESS, &[], &[])?;
            self.peer.send(&accepted)?;
        }
        self.peer.open_streams(streams)?;
        Ok(self.peer)
    }
}

/// Two data nodes, as far as a sidecar sees them before there is data.
pub(crate) struct Nodes {
    /// Consumer and producer.
    pub(crate) addresses: (SocketAddr, SocketAddr),
    /// The connections that the sidecar opens.
    pub(crate) opened: Receiver<Opened>,
}

impl Nodes {
    /// The producer uses TLS if it is given.
    pub(crate) fn start(tls: Option<Arc<ServerConfig>>) -> Fallible<Self> {
        let (found, opened) = channel();
        let consumer = Self::node(Side::Consumer, None, found.clone())?;
        let producer = Self::node(Side::Producer, tls, found)?;
        Ok(Self { addresses: (consumer, producer), opened })
    }

    /// Serves in its own threads until the end of the program; they sleep most of the time.
    fn node(
        side: Side,
        tls: Option<Arc<ServerConfig>>,
        found: Sender<Opened>,
    ) -> Fallible<SocketAddr> {
        let (listener, address): (TcpListener, _) = listen()?;
        thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                let (tls, found) = (tls.clone(), found.clone());
                thread::spawn(move || {
                    let socket = Socket::accepted(tcp, tls.as_ref());
                    // A connection ends by being closed, which is an error here.
                    let _ = socket.and_then(|socket| greet(side, socket, &found));
                });
            }
        });
        Ok(address)
    }
}

/// Answers requests until the connection becomes a DCP connection, or ends.
fn greet(side: Side, socket: Socket, found: &Sender<Opened>) -> Fallible<()> {
    let mut peer = Peer { socket, reader: FrameReader::default() };
    loop {
        let request = peer.reader.next(&mut peer.socket.stream)?;
        let frame = Frame::parse(&request)?;
        let value = match frame.opcode() {
            Opcode::DCP_OPEN => {
                peer.socket.be_patient(Some(PATIENCE))?;
                if side == Side::Consumer {
                    let accepted = answer(&request, Status::SUCCESS, &[], &[])?;
                    peer.send(&accepted)?;
                }
                let opened = Opened { side, peer, open: request };
                return found.send(opened).map_err(|_| "the measurement is over".into());
            }
            // All features that are asked for are granted.
            Opcode::HELLO => frame.value.to_vec(),
            Opcode::GET_ALL_VB_SEQNOS => no_changes(),
            _ => Vec::new(),
        };
        let reply = answer(&request, Status::SUCCESS, &[], &value)?;
        peer.send(&reply)?;
    }
}

/// Every vBucket at seqno 0.
fn no_changes() -> Vec<u8> {
    (0..SET_UP_STREAMS)
        .map(VbId)
        .flat_map(|vb| [&vb.0.to_be_bytes()[..], &[0; 8]].concat())
        .collect()
}
