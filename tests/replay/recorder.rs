//! Records a link from outside: two taps between a sidecar and its nodes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mcbp::{Frame, Header, Opcode};
use relay::Endpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use wirelog::{Line, Redaction, Salt, WITHHELD};

/// A frame, where it was seen, and whether the other node got it.
struct Seen {
    t: Duration,
    /// Index of the node within [`NAMES`].
    node: usize,
    is_own: bool,
    is_passed: bool,
    bytes: Bytes,
}

const NAMES: [&str; 2] = ["consumer", "producer"];

/// What was recorded so far.
#[derive(Clone)]
pub(crate) struct Recorder {
    began: Instant,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), seen: Arc::default() }
    }

    /// Listens in front of a node: `consumer` or `producer`.
    pub(crate) async fn tap(&self, name: &str, node: &Endpoint) -> Endpoint {
        let index = NAMES.iter().position(|it| *it == name).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut tapped = node.clone();
        tapped.address = listener.local_addr().unwrap().to_string();
        let (recorder, address) = (self.clone(), node.address.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&address).await.unwrap();
                tokio::spawn(recorder.clone().connection(index, near, far));
            }
        });
        tapped
    }

    /// A connection is recorded once it opens DCP, with its handshake.
    async fn connection(self, node: usize, near: TcpStream, far: TcpStream) {
        let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
            (near.into_split(), far.into_split());
        let (mut asked, mut answered) = (BytesMut::new(), BytesMut::new());
        let mut handshake = Vec::new();
        loop {
            let Some(request) = frame(&mut from_near, &mut asked).await else { return };
            let opcode = Frame::parse(&request).unwrap().opcode();
            handshake.push((true, request.clone()));
            send(&mut to_far, &request).await;
            // Of a control connection an answer may be many frames.
            if !matches!(
                opcode,
                Opcode::SASL_LIST_MECHS
                    | Opcode::SASL_AUTH
                    | Opcode::SASL_STEP
                    | Opcode::HELLO
                    | Opcode::SELECT_BUCKET
                    | Opcode::DCP_OPEN
            ) {
                break;
            }
            let Some(answer) = frame(&mut from_far, &mut answered).await else { return };
            handshake.push((false, answer.clone()));
            if opcode == Opcode::DCP_OPEN {
                for (is_own, bytes) in handshake.drain(..) {
                    self.push(node, is_own, bytes);
                }
            }
            send(&mut to_near, &answer).await;
        }
        let is_recorded = handshake.len() == 1;
        let up = async {
            while let Some(bytes) = frame(&mut from_far, &mut answered).await {
                if is_recorded {
                    self.push(node, false, bytes.clone());
                }
                send(&mut to_near, &bytes).await;
            }
            _ = to_near.shutdown().await;
        };
        if let Some((_, first)) = handshake.pop().filter(|_| is_recorded) {
            self.came(node, first);
        }
        let down = async {
            while let Some(bytes) = frame(&mut from_near, &mut asked).await {
                if is_recorded {
                    self.came(node, bytes.clone());
                }
                send(&mut to_far, &bytes).await;
            }
            _ = to_far.shutdown().await;
        };
        tokio::join!(up, down);
    }

    fn push(&self, node: usize, is_own: bool, bytes: Bytes) {
        let t = self.began.elapsed();
        let seen = Seen { t, node, is_own, is_passed: false, bytes };
        self.seen.lock().unwrap().push(seen);
    }

    /// A frame to a node: of the other node, or the sidecar's own.
    fn came(&self, node: usize, bytes: Bytes) {
        let mut seen = self.seen.lock().unwrap();
        let is_it =
            |it: &&mut Seen| !it.is_own && !it.is_passed && it.node != node && it.bytes == bytes;
        if let Some(forwarded) = seen.iter_mut().find(is_it) {
            forwarded.is_passed = true;
            return;
        }
        drop(seen);
        self.push(node, true, bytes);
    }

    /// The recording, with everything private replaced.
    pub(crate) fn text(&self) -> Vec<u8> {
        let seen = self.seen.lock().unwrap();
        let (salt, mut out) = (Salt::new(*b"not much of one."), Vec::new());
        for (at, it) in seen.iter().enumerate() {
            let frame = wirelog::redact(&it.bytes, &Redaction { keys: true }, &salt);
            let what = wirelog::what(&Frame::parse(&frame).unwrap());
            // A frame that a later one overtook was withheld; the last ones may be on their way.
            let overtaken = seen[at..].iter().any(|later| later.node == it.node && later.is_passed);
            let is_withheld = !it.is_own && !it.is_passed && overtaken;
            let (from, to) = (NAMES[it.node], "proxy");
            let (from, to) = if it.is_own { (to, from) } else { (from, to) };
            let note = is_withheld.then_some(WITHHELD);
            let line = Line { n: at as u64 + 1, t: it.t, from, to, what, note, frame: &frame };
            wirelog::write(&line, &mut out);
        }
        out
    }
}

async fn frame(from: &mut OwnedReadHalf, buffer: &mut BytesMut) -> Option<Bytes> {
    loop {
        if let Some(header) = Header::peek(buffer).unwrap()
            && buffer.len() >= header.frame_bytes()
        {
            return Some(buffer.split_to(header.frame_bytes()).freeze());
        }
        if from.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

async fn send(to: &mut OwnedWriteHalf, bytes: &[u8]) {
    // An end is seen by who reads.
    _ = to.write_all(bytes).await;
}
