//! A client as an SDK is one: it sends each request to the node that has the active copy, and
//! records it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::BytesMut;
use mcbp::{Feature, Frame, FrameBuilder, Opcode, Status, VbId};
use relay::{Client, Deadlines, Endpoint, Login};
use tokio::sync::watch;

use crate::history::{History, Operation, Outcome, Request};
use crate::keys::Key;

pub(crate) const NODES: usize = 3;

/// Where the active copies are.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    /// By vBucket; `None` while there is none.
    pub(crate) active: Vec<Option<usize>>,
    /// How often each node was killed. A connection to an earlier run of a node is not used: it may
    /// be to one that does not know yet that it has no active copy any more.
    pub(crate) runs: [u64; NODES],
    pub(crate) collection: Option<u32>,
}

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) routes: watch::Receiver<Routes>,
    pub(crate) history: History,
    /// How many durable writes were acknowledged, and how many were not.
    pub(crate) progress: watch::Sender<(u64, u64)>,
}

/// A request that is to be sent. `cas` is that of the version that it replaces, or 0.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    pub(crate) request: Request,
    pub(crate) level: u8,
    pub(crate) milliseconds: u16,
    pub(crate) cas: u64,
}

/// See the module.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    connections: [Option<(u64, Client)>; NODES],
}

/// A value that was never written before, in all of the process.
pub(crate) fn new_value() -> u64 {
    static VALUES: AtomicU64 = AtomicU64::new(1);
    VALUES.fetch_add(1, Relaxed)
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, connections: Default::default() }
    }

    /// The node with the active copy and a connection to it; `None` while there is none.
    async fn connection(&mut self, vb: VbId) -> Option<(usize, &mut Client)> {
        let route = |routes: &Routes| {
            let node = routes.active[usize::from(vb.0)]?;
            Some((node, routes.runs[node]))
        };
        let (node, run) = route(&self.shared.routes.borrow())?;
        let known = self.connections[node].as_ref().is_some_and(|(of, _)| *of == run);
        if !known {
            self.connections[node] = None;
            let client = connect(&self.shared.endpoints[node]).await?;
            if route(&self.shared.routes.borrow()) != Some((node, run)) {
                return None;
            }
            self.connections[node] = Some((run, client));
        }
        self.connections[node].as_mut().map(|(_, client)| (node, client))
    }

    /// Sends a request and records it; `None` if there is no node to send it to.
    pub(crate) async fn call(&mut self, wanted: Wanted) -> Option<Outcome> {
        let shared = Arc::clone(&self.shared);
        let Wanted { key, request, level, .. } = wanted;
        let (node, client) = self.connection(key.vb()).await?;
        let frame = Encoded::new(wanted);
        let start = shared.history.now();
        let outcome = match client.call(frame.request()).await {
            Ok(answer) => {
                let seqno = answer.extras.get(8..16).map_or(0, number);
                outcome(request, answer.status, &answer.value, answer.cas, seqno)
            }
            Err(_) => {
                self.connections[node] = None;
                Outcome::Ambiguous
            }
        };
        let end = shared.history.now();
        shared.add(Operation { key, request, level, node, start, end, outcome });
        Some(outcome)
    }

    /// Sends many requests for documents of one vBucket without waiting for each answer.
    pub(crate) async fn call_all(&mut self, all: &[Wanted]) -> Option<()> {
        let shared = Arc::clone(&self.shared);
        let (node, client) = self.connection(all.first()?.key.vb()).await?;
        let (mut starts, mut answers) = (Vec::new(), Vec::new());
        let next = |opaque, out: &mut BytesMut| {
            let Some(wanted) = all.get(starts.len()) else { return false };
            starts.push(shared.history.now());
            Encoded::new(*wanted).request().opaque(opaque).write(out);
            true
        };
        let each = |at: u64, frame: &Frame<'_>| {
            let seqno = frame.extras.get(8..16).map_or(0, number);
            let request = all[usize::try_from(at).unwrap()].request;
            let (status, cas) = (frame.header.status(), frame.header.cas);
            answers.push((shared.history.now(), outcome(request, status, frame.value, cas, seqno)));
        };
        let done = client.pipeline(all.len(), next, each).await;
        if done.is_err() {
            self.connections[node] = None;
        }
        let now = shared.history.now();
        let answers = answers.into_iter().chain(std::iter::repeat((now, Outcome::Ambiguous)));
        for ((wanted, start), (end, outcome)) in all.iter().zip(starts).zip(answers) {
            let Wanted { key, request, level, .. } = *wanted;
            shared.add(Operation { key, request, level, node, start, end, outcome });
        }
        done.ok().map(drop)
    }
}

impl Shared {
    fn add(&self, operation: Operation) {
        self.history.add(operation);
        let is_done = matches!(operation.outcome, Outcome::Done { .. });
        if operation.level > 0 {
            self.progress.send_modify(|(done, others)| {
                *if is_done { done } else { others } += 1;
            });
        }
    }
}

async fn connect(endpoint: &Endpoint) -> Option<Client> {
    let features = &[
        Feature::COLLECTIONS,
        Feature::MUTATION_SEQNO,
        Feature::ALT_REQUEST,
        Feature::SYNC_REPLICATION,
    ];
    let deadlines = Deadlines::default();
    let login = Login { bucket: Some("default"), agent: "test", features, deadlines };
    Client::connect(endpoint, login).await.ok()
}

/// The parts of a request.
struct Encoded {
    wanted: Wanted,
    key: bytes::Bytes,
    value: String,
    framing: Vec<u8>,
}

impl Encoded {
    fn new(wanted: Wanted) -> Self {
        let value = match wanted.request {
            // Some values are stored out of line.
            Request::Set(value) | Request::Swap { new: value, .. } | Request::Add(value) => {
                let width = if value.is_multiple_of(5) { 1_500 } else { 40 };
                format!("{value:>width$}")
            }
            Request::Get | Request::Delete | Request::Drop => String::new(),
        };
        let [high, low] = wanted.milliseconds.to_be_bytes();
        let framing =
            if wanted.level == 0 { Vec::new() } else { vec![0x13, wanted.level, high, low] };
        Self { wanted, key: wanted.key.bytes(), value, framing }
    }

    fn request(&self) -> FrameBuilder<'_> {
        let (opcode, extras): (_, &[u8]) = match self.wanted.request {
            Request::Set(_) | Request::Swap { .. } => (Opcode::SET, &[0; 8]),
            Request::Add(_) => (Opcode::ADD, &[0; 8]),
            Request::Delete => (Opcode::DELETE, &[]),
            Request::Get | Request::Drop => (Opcode::GET, &[]),
        };
        let request = FrameBuilder::request(opcode).vbucket(self.wanted.key.vb()).extras(extras);
        let request = request.cas(self.wanted.cas).key(&self.key).value(self.value.as_bytes());
        request.framing(&self.framing)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

fn outcome(request: Request, status: Status, value: &[u8], cas: u64, seqno: u64) -> Outcome {
    match status {
        Status::SUCCESS if request == Request::Get => {
            let value = std::str::from_utf8(value).unwrap().trim().parse();
            Outcome::Done { found: Some(value.unwrap()), cas, seqno }
        }
        Status::SUCCESS => Outcome::Done { found: None, cas, seqno },
        Status::SYNC_WRITE_AMBIGUOUS => Outcome::Ambiguous,
        Status::KEY_ENOENT
        | Status::KEY_EEXISTS
        | Status::NOT_MY_VBUCKET
        | Status::ETMPFAIL
        | Status::UNKNOWN_COLLECTION
        | Status::DURABILITY_IMPOSSIBLE
        | Status::SYNC_WRITE_IN_PROGRESS
        | Status::SYNC_WRITE_RE_COMMIT_IN_PROGRESS => Outcome::Refused(status),
        other => panic!("{request:?} is answered {other}"),
    }
}
