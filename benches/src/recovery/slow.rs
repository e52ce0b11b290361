//! A played consumer whose vBuckets have another history. It rolls back as kv_engine 8.0.2 does:
//! one vBucket at a time, in any order, while the others wait. A stream that is closed meanwhile is
//! rolled back as well, and the answer to its request then closes the connection.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mcbp::dcp::{Control, StreamReq};
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbUuid};

use crate::connection::Connection;
use crate::server::{VBUCKETS, wait_for};

/// The high seqno of the other history, and its vBucket UUID, which no producer knows.
const HIGH: Seqno = Seqno(200);
const UNKNOWN: VbUuid = VbUuid(0x0bad_5eed);

/// What it did.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Did {
    pub(super) rollbacks: u64,
    /// The total time of these.
    pub(super) busy: Duration,
    /// Streams that were closed while their rollback waited or ran.
    pub(super) closed: u64,
    /// DCP connections.
    pub(super) connections: u64,
    documents: u64,
}

/// See the module.
pub(super) struct SlowConsumer {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    unit: Duration,
    did: Mutex<Did>,
    /// The queue of rollbacks of all connections.
    waiting: Mutex<Vec<Rollback>>,
    seqnos: Mutex<Vec<Seqno>>,
}

struct Rollback {
    vb: VbId,
    opaque: Opaque,
    to: TcpStream,
}

/// A stream that is being added or open.
struct Stream {
    add: Opaque,
    opaque: Opaque,
    rolls_back: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SlowConsumer {
    /// Listens; each rollback takes `unit`.
    pub(super) fn start(unit: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            unit,
            did: Mutex::default(),
            waiting: Mutex::default(),
            seqnos: Mutex::new(vec![HIGH; usize::from(VBUCKETS)]),
        });
        let of_node = Arc::clone(&shared);
        // Threads that sleep until the program ends.
        thread::spawn(move || {
            let of_rollbacks = Arc::clone(&of_node);
            thread::spawn(move || of_rollbacks.roll_back());
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&of_node);
                // A connection ends by being closed, which is an error here.
                thread::spawn(move || shared.serve(stream).ok());
            }
        });
        Ok(Self { address, shared })
    }

    pub(super) fn did(&self) -> Did {
        *lock(&self.shared.did)
    }

    /// Waits until this many documents have arrived, and returns how many have.
    pub(super) fn wait_for_documents(&self, count: u64, patience: Duration) -> io::Result<u64> {
        wait_for(patience, "all documents at the played consumer", || {
            Some(self.did().documents).filter(|documents| *documents >= count)
        })
    }
}

impl Shared {
    /// Rolls back the queued vBuckets, for ever.
    fn roll_back(&self) {
        loop {
            let next = {
                let mut waiting = lock(&self.waiting);
                let count = waiting.len();
                (count > 0).then(|| waiting.swap_remove(fastrand::usize(..count)))
            };
            let Some(Rollback { vb, opaque, mut to }) = next else {
                thread::sleep(Duration::from_micros(100));
                continue;
            };
            let began = Instant::now();
            thread::sleep(self.unit);
            if let Some(seqno) = lock(&self.seqnos).get_mut(usize::from(vb.0)) {
                *seqno = Seqno::ZERO;
            }
            let mut did = lock(&self.did);
            did.rollbacks += 1;
            did.busy += began.elapsed();
            drop(did);
            // The vBucket is rolled back even if its connection is closed.
            let _ = to.write_all(&request(vb, opaque, Seqno::ZERO, VbUuid(0)));
        }
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut connection = Connection::over(stream)?;
        let (mut streams, mut last) = (HashMap::new(), 0);
        loop {
            let (mut out, mut ends) = (BytesMut::new(), false);
            let to = connection.writer()?;
            connection.answers(1, |frame| {
                ends = self.step(frame, &mut streams, &mut last, &to, &mut out).is_err();
            })?;
            connection.send(&out)?;
            if ends {
                return to.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    /// Answers one frame; fails if the connection must be closed.
    fn step(
        &self,
        frame: &Frame<'_>,
        streams: &mut HashMap<VbId, Stream>,
        last: &mut u32,
        to: &TcpStream,
        out: &mut BytesMut,
    ) -> io::Result<()> {
        let (vb, opcode) = (frame.header.vbucket(), frame.opcode());
        if opcode == Opcode::DCP_STREAM_REQ {
            return self.requested(frame, streams, to, out);
        }
        if !frame.header.is_request() {
            return Ok(());
        }
        let mut value = Vec::new();
        match opcode {
            Opcode::DCP_ADD_STREAM => {
                *last += 1;
                // A data node sends these counts in its own byte order.
                let (add, opaque) = (frame.header.opaque, Opaque(last.swap_bytes()));
                streams.insert(vb, Stream { add, opaque, rolls_back: false });
                let high = lock(&self.seqnos).get(usize::from(vb.0)).copied().unwrap_or_default();
                let uuid = if high == HIGH { UNKNOWN } else { VbUuid(0) };
                out.extend_from_slice(&request(vb, opaque, high, uuid));
                return Ok(());
            }
            Opcode::DCP_CLOSE_STREAM => {
                let closed = streams.remove(&vb).is_some_and(|stream| stream.rolls_back);
                lock(&self.did).closed += u64::from(closed);
            }
            Opcode::DCP_MUTATION => {
                self.keep(vb, frame);
                return Ok(());
            }
            Opcode::DCP_SNAPSHOT_MARKER => return Ok(()),
            Opcode::DCP_OPEN => lock(&self.did).connections += 1,
            // All features that are asked for are granted.
            Opcode::HELLO => value = frame.value.to_vec(),
            Opcode::GET_ALL_VB_SEQNOS => value = self.all_seqnos(),
            _ => {}
        }
        let reply = FrameBuilder::response(opcode, Status::SUCCESS).opaque(frame.header.opaque);
        reply.value(&value).write(out);
        if opcode == Opcode::DCP_OPEN {
            // A producer refuses a consumer that cannot detect a dead connection.
            Control { key: b"enable_noop", value: b"true" }.write(Opaque(0), out);
        }
        Ok(())
    }

    /// The producer has answered a request.
    fn requested(
        &self,
        frame: &Frame<'_>,
        streams: &mut HashMap<VbId, Stream>,
        to: &TcpStream,
        out: &mut BytesMut,
    ) -> io::Result<()> {
        let opaque = frame.header.opaque;
        let found = streams.iter_mut().find(|(_, stream)| stream.opaque == opaque);
        let (&vb, stream) = found.ok_or_else(|| io::Error::other("an answer without a stream"))?;
        let status = frame.header.status();
        stream.rolls_back = status == Status::ROLLBACK;
        if stream.rolls_back {
            lock(&self.waiting).push(Rollback { vb, opaque, to: to.try_clone()? });
            return Ok(());
        }
        let number = opaque.0.to_be_bytes();
        let added = FrameBuilder::response(Opcode::DCP_ADD_STREAM, status).opaque(stream.add);
        added.extras(&number).write(out);
        Ok(())
    }

    fn keep(&self, vb: VbId, frame: &Frame<'_>) {
        let seqno = frame.extras.first_chunk().copied().map_or(0, u64::from_be_bytes);
        if let Some(place) = lock(&self.seqnos).get_mut(usize::from(vb.0)) {
            *place = Seqno(seqno);
        }
        lock(&self.did).documents += 1;
    }

    fn all_seqnos(&self) -> Vec<u8> {
        let seqnos = lock(&self.seqnos);
        let entries = (0..VBUCKETS).zip(seqnos.iter());
        entries
            .flat_map(|(vb, high)| [&vb.to_be_bytes()[..], &high.0.to_be_bytes()].concat())
            .collect()
    }
}

fn request(vb: VbId, opaque: Opaque, start: Seqno, uuid: VbUuid) -> BytesMut {
    let (snapshot_start, snapshot_end) = (start, start);
    let mut out = BytesMut::new();
    let end = Seqno::MAX;
    StreamReq { flags: 0, start, end, uuid, snapshot_start, snapshot_end, value: b"" }
        .write(vb, opaque, &mut out);
    out
}
