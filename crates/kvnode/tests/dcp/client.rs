//! A client of the binary protocol that blocks, with deadlines.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mcbp::dcp::{BufferAck, Control, Open, SnapshotMarker, StreamReq, control_key, open_flags};
use mcbp::kv::StoreExtras;
use mcbp::{Frame, FrameBuilder, Header, Opaque, Opcode, Seqno, Status, VbId, VbState, VbUuid};

/// No test waits longer for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `holds`.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "{what} did not happen");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// A whole frame.
#[derive(Clone)]
pub(crate) struct Packet(pub(crate) Vec<u8>);

impl Packet {
    pub(crate) fn frame(&self) -> Frame<'_> {
        Frame::parse(&self.0).unwrap()
    }
    pub(crate) fn opcode(&self) -> Opcode {
        self.frame().opcode()
    }
    pub(crate) fn is_request(&self) -> bool {
        self.frame().header.is_request()
    }
    pub(crate) fn status(&self) -> Status {
        assert!(!self.is_request(), "{self:?} is no answer");
        self.frame().header.status()
    }
    pub(crate) fn vb(&self) -> u16 {
        self.frame().header.vbucket().0
    }
    pub(crate) fn opaque(&self) -> u32 {
        self.frame().header.opaque.0
    }
    /// The seqno of a change.
    pub(crate) fn seqno(&self) -> u64 {
        u64::from_be_bytes(self.frame().extras[..8].try_into().unwrap())
    }
    pub(crate) fn is_change(&self) -> bool {
        let changes = [Opcode::DCP_MUTATION, Opcode::DCP_DELETION, Opcode::DCP_EXPIRATION];
        self.is_request() && changes.contains(&self.opcode())
    }
    pub(crate) fn marker(&self) -> SnapshotMarker {
        SnapshotMarker::decode(&self.frame()).unwrap()
    }
    /// The reason of a STREAM_END.
    pub(crate) fn end(&self) -> u32 {
        assert_eq!(self.opcode(), Opcode::DCP_STREAM_END, "{self:?}");
        u32::from_be_bytes(self.frame().extras.try_into().unwrap())
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let frame = self.frame();
        let kind = if self.is_request() { "vb" } else { "status" };
        let number = frame.header.vbucket_or_status;
        write!(f, "{} {kind}={number:#x} opaque={}", frame.opcode(), frame.header.opaque)?;
        write!(f, " extras={:02x?} value={} bytes", frame.extras, frame.value.len())
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    /// Frames that came while an answer was waited for.
    earlier: VecDeque<Packet>,
    pub(crate) answers_noops: bool,
    /// Noops are returned like other frames.
    pub(crate) forwards_noops: bool,
    pub(crate) noops: u32,
    opaque: u32,
    collections: bool,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, features: &[u16]) -> Self {
        Self::connect_to(address, features, Some("default"))
    }

    /// The same with another bucket, or with none.
    pub(crate) fn connect_to(address: SocketAddr, features: &[u16], bucket: Option<&str>) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut client = Self {
            stream,
            input: Vec::new(),
            earlier: VecDeque::new(),
            answers_noops: true,
            forwards_noops: false,
            noops: 0,
            opaque: 0x7000_0000,
            collections: features.contains(&0x12),
        };
        let auth = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN");
        client.ask(auth.value(b"\0dcp-proxy\0secret"));
        let wanted: Vec<u8> = features.iter().flat_map(|code| code.to_be_bytes()).collect();
        let granted = client.ask(FrameBuilder::request(Opcode::HELLO).key(b"test").value(&wanted));
        let mut sorted = features.to_vec();
        sorted.sort_unstable();
        let sorted: Vec<u8> = sorted.iter().flat_map(|code| code.to_be_bytes()).collect();
        assert_eq!(granted.frame().value, sorted, "every feature is granted");
        if let Some(bucket) = bucket {
            client.ask(FrameBuilder::request(Opcode::SELECT_BUCKET).key(bucket.as_bytes()));
        }
        client
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a request and gives its answer, whatever its status.
    pub(crate) fn try_ask(&mut self, request: FrameBuilder<'_>) -> Packet {
        self.opaque += 1;
        let opaque = self.opaque;
        self.send(&request.opaque(Opaque(opaque)).build());
        self.answer_to(opaque)
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, request: FrameBuilder<'_>) -> Packet {
        let answer = self.try_ask(request);
        assert_eq!(answer.status(), Status::SUCCESS, "{answer:?}");
        answer
    }

    /// The answer with this opaque; frames before it are kept for [`Client::next`].
    pub(crate) fn answer_to(&mut self, opaque: u32) -> Packet {
        loop {
            let packet = self.receive().expect("the connection is open");
            if !packet.is_request() && packet.opaque() == opaque {
                return packet;
            }
            self.earlier.push_back(packet);
        }
    }

    /// The next frame.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Packet {
        self.try_next().expect("the connection is open")
    }

    /// The next frame, or `None` at the end of the connection.
    pub(crate) fn try_next(&mut self) -> Option<Packet> {
        self.earlier.pop_front().or_else(|| self.receive())
    }

    fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.whole_frame() {
                let is_noop = packet.opcode() == Opcode::DCP_NOOP && packet.is_request();
                if !is_noop || self.forwards_noops {
                    return Some(packet);
                }
                self.noops += 1;
                if self.answers_noops {
                    let answer = FrameBuilder::response(Opcode::DCP_NOOP, Status::SUCCESS);
                    self.send(&answer.opaque(packet.frame().header.opaque).build());
                }
                continue;
            }
            let mut buffer = [0; 64 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came in time: {error}"),
            }
        }
    }

    fn whole_frame(&mut self) -> Option<Packet> {
        let header = Header::peek(&self.input).unwrap()?;
        let bytes = header.frame_bytes();
        (self.input.len() >= bytes).then(|| Packet(self.input.drain(..bytes).collect()))
    }

    /// Whether a frame can be read at once.
    pub(crate) fn has_answer(&mut self) -> bool {
        if self.earlier.is_empty() {
            self.stream.set_nonblocking(true).unwrap();
            let mut buffer = [0; 64 * 1024];
            if let Ok(count) = self.stream.read(&mut buffer) {
                self.input.extend_from_slice(&buffer[..count]);
            }
            self.stream.set_nonblocking(false).unwrap();
            self.whole_data_frame();
        }
        !self.earlier.is_empty()
    }

    /// Whether nothing but noops comes for a while.
    pub(crate) fn is_silent(&mut self, wait: Duration) -> bool {
        if !self.earlier.is_empty() {
            return false;
        }
        let until = Instant::now() + wait;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if self.whole_data_frame() {
                return false;
            }
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            let mut buffer = [0; 64 * 1024];
            if let Ok(count) = self.stream.read(&mut buffer) {
                self.input.extend_from_slice(&buffer[..count]);
            }
        }
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        true
    }

    fn whole_data_frame(&mut self) -> bool {
        while let Some(packet) = self.whole_frame() {
            if packet.opcode() == Opcode::DCP_NOOP {
                self.noops += 1;
            } else {
                self.earlier.push_back(packet);
                return true;
            }
        }
        false
    }

    fn key(&self, key: &str) -> Vec<u8> {
        let mut bytes = if self.collections { vec![0] } else { Vec::new() };
        bytes.extend_from_slice(key.as_bytes());
        bytes
    }

    #[track_caller]
    pub(crate) fn set(&mut self, vb: u16, key: &str, value: &[u8]) {
        let key = self.key(key);
        let extras = StoreExtras::default().encode();
        let request = FrameBuilder::request(Opcode::SET).vbucket(VbId(vb)).extras(&extras);
        self.ask(request.key(&key).value(value));
    }

    #[track_caller]
    pub(crate) fn delete(&mut self, vb: u16, key: &str) {
        let key = self.key(key);
        self.ask(FrameBuilder::request(Opcode::DELETE).vbucket(VbId(vb)).key(&key));
    }

    #[track_caller]
    pub(crate) fn set_state(&mut self, vb: u16, state: VbState) {
        let extras = [state as u8];
        self.ask(FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(VbId(vb)).extras(&extras));
    }

    /// A statistics group.
    pub(crate) fn stats(&mut self, group: &str) -> Vec<(String, String)> {
        self.opaque += 1;
        let opaque = self.opaque;
        let request = FrameBuilder::request(Opcode::STAT).key(group.as_bytes());
        self.send(&request.opaque(Opaque(opaque)).build());
        let mut lines = Vec::new();
        loop {
            let packet = self.answer_to(opaque);
            assert_eq!(packet.status(), Status::SUCCESS);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let frame = packet.frame();
            if frame.key.is_empty() {
                return lines;
            }
            lines.push((text(frame.key), text(frame.value)));
        }
    }

    pub(crate) fn stat(&mut self, group: &str, name: &str) -> String {
        let lines = self.stats(group);
        let found = lines.iter().find(|(line, _)| line == name);
        found.unwrap_or_else(|| panic!("no {name} in {lines:?}")).1.clone()
    }

    #[track_caller]
    pub(crate) fn open(&mut self, name: &str, flags: u32, value: &str) -> Status {
        self.opaque += 1;
        let opaque = self.opaque;
        let open = Open { flags, name: name.as_bytes(), value: value.as_bytes() };
        self.send(&open.build(Opaque(opaque)));
        self.answer_to(opaque).status()
    }

    pub(crate) fn control(&mut self, key: &str, value: &str) -> Status {
        self.opaque += 1;
        let opaque = self.opaque;
        let mut out = BytesMut::new();
        Control { key: key.as_bytes(), value: value.as_bytes() }.write(Opaque(opaque), &mut out);
        self.send(&out);
        self.answer_to(opaque).status()
    }

    /// Opens a producer connection as a replication consumer does.
    #[track_caller]
    pub(crate) fn produce(mut self, name: &str) -> Self {
        assert_eq!(self.open(name, open_flags::REPLICATION_PRODUCER, ""), Status::SUCCESS);
        self.produce_controls()
    }

    /// The controls of a connection that streams.
    #[track_caller]
    pub(crate) fn produce_controls(mut self) -> Self {
        assert_eq!(self.control(control_key::ENABLE_NOOP, "true"), Status::SUCCESS);
        let done = self.control(control_key::SEND_STREAM_END_ON_CLIENT_CLOSE, "true");
        assert_eq!(done, Status::SUCCESS);
        self
    }

    pub(crate) fn request(&mut self, vb: u16, opaque: u32, request: StreamReq<'_>) -> Packet {
        let mut out = BytesMut::new();
        request.write(VbId(vb), Opaque(opaque), &mut out);
        self.send(&out);
        self.answer_to(opaque)
    }

    /// Asks for a stream from the beginning.
    #[track_caller]
    pub(crate) fn stream(&mut self, vb: u16, opaque: u32) {
        let answer = self.request(vb, opaque, from_zero());
        assert_eq!(answer.status(), Status::SUCCESS, "{answer:?}");
    }

    pub(crate) fn close_stream(&mut self, vb: u16) -> Status {
        let close = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(VbId(vb));
        self.try_ask(close).status()
    }

    pub(crate) fn acknowledge(&mut self, bytes: u32) {
        let mut out = BytesMut::new();
        BufferAck { bytes }.write(VbId(0), Opaque(1), &mut out);
        self.send(&out);
    }

    /// The seqnos of the next `count` changes, which must grow.
    #[track_caller]
    pub(crate) fn changes(&mut self, count: usize) -> Vec<u64> {
        let mut seqnos = Vec::new();
        while seqnos.len() < count {
            let packet = self.next();
            assert_ne!(packet.opcode(), Opcode::DCP_STREAM_END, "{packet:?} after {seqnos:?}");
            if packet.is_change() {
                assert!(seqnos.last().is_none_or(|last| *last < packet.seqno()), "{seqnos:?}");
                seqnos.push(packet.seqno());
            }
        }
        seqnos
    }
}

pub(crate) fn from_zero() -> StreamReq<'static> {
    StreamReq {
        flags: 0,
        start: Seqno::ZERO,
        end: Seqno::MAX,
        uuid: VbUuid(0),
        snapshot_start: Seqno::ZERO,
        snapshot_end: Seqno::ZERO,
        value: &[],
    }
}
