//! Sends the requests of recordings to nodes, each on the connection that it was recorded on, and
//! compares the answers with the recorded ones.
//!
//! - `known`: how two answers are compared
//! - `login`: SCRAM, whose messages differ each time
//! - `stats`: the lines of STAT

mod known;
mod login;
mod stats;

use std::cell::Cell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use kvnode::NodeHandle;
use mcbp::dcp::{Deletion, Mutation};
use mcbp::{Datatype, Frame, FrameBuilder, Opcode, Status, VbId, VbState};
use recordings::Line;
use vbucket::value::kept_by_deletion;

use self::known::{Known, same};
use self::login::Login;
use self::stats::Lines;
use crate::support::client::{Answer, Client};
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, DEADLINE, PASSWORD, USER, eventually, options, start_in_memory};

/// How many vBuckets a node has unless a recording needs another number.
const VBUCKETS: u16 = 8;

/// Where this node differs from a real one, by the number of the request. One that does not differ
/// fails the test, as one that is not listed does.
#[derive(Clone, Copy)]
pub enum Differs {
    /// The request is not sent: what it needs is not there, or the recorder had waited before it.
    LeftOut,
    /// The answer has this status instead, and the rest of it is not compared.
    Status(Status),
    /// The answer has another value, extras or datatype; status and CAS are compared.
    Value,
    /// Any document will do: the status is compared.
    Random,
    /// The request is not answered.
    Quiet,
    /// The recorder had waited before the request: it is sent until it has the recorded status.
    Awaited,
}

/// A node that takes any CAS from another cluster, as the recorded ones did.
pub fn start() -> NodeHandle {
    start_with(mcbp::VbState::Active)
}

/// The same with vBuckets of this state.
pub fn start_with(state: mcbp::VbState) -> NodeHandle {
    start_of(VBUCKETS, state)
}

/// The same with so many vBuckets.
pub fn start_of(vbuckets: u16, state: mcbp::VbState) -> NodeHandle {
    let mut options = options();
    options.vbuckets = vbuckets;
    options.drift.future_max = Duration::MAX;
    options.initial_state = Some(state);
    let node = start_in_memory(&Disk::new(), options);
    let bucket = node.bucket(BUCKET).unwrap();
    eventually("warm-up", || bucket.is_ready());
    node
}

/// Gives active vBuckets a topology: `[["alpha"]]` has the node alone, which commits at once.
pub fn set_topology(node: &NodeHandle, vbs: std::ops::Range<u16>, topology: &str) {
    let value = format!("{{\"topology\":{topology}}}");
    for vb in vbs {
        let request = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(VbId(vb));
        let request = request.extras(&[VbState::Active as u8]).datatype(Datatype::JSON);
        let answer = Client::ready(node).call(&request.value(value.as_bytes()));
        assert_eq!(answer.status, Status::SUCCESS);
    }
}

/// Replays a recording on a node, without what belongs to another node or to DCP. Returns how many
/// answers were compared.
pub fn replay(capture: &str, node: &NodeHandle, differs: &[(u64, Differs)]) -> usize {
    Replay::on(&[("node", node)]).run(capture, differs, &|_| {})
}

/// A connection, and the requests that wait for their recorded answers.
struct Connection {
    client: Client,
    waiting: Vec<Line>,
    login: Option<Login>,
    /// The lines of the recorded statistics that are being read.
    stats: Lines,
}

impl Connection {
    fn new(client: Client) -> Self {
        Self { client, waiting: Vec::new(), login: None, stats: Lines::new() }
    }
}

/// Connections that go on from one recording to the next.
pub struct Replay<'a> {
    /// By the names of the recorded ones.
    nodes: Vec<(&'a str, &'a NodeHandle)>,
    connections: HashMap<String, Connection>,
    known: Known,
    differs: HashMap<u64, (Differs, Cell<bool>)>,
    compared: usize,
}

impl<'a> Replay<'a> {
    pub fn on(nodes: &[(&'a str, &'a NodeHandle)]) -> Self {
        Self {
            nodes: nodes.to_vec(),
            connections: HashMap::new(),
            known: Known::default(),
            differs: HashMap::new(),
            compared: 0,
        }
    }

    /// Replays a recording, and returns how many answers were compared. `before` is called before
    /// each frame, and does what the recording does not show.
    pub fn run(
        &mut self,
        capture: &str,
        differs: &[(u64, Differs)],
        before: &dyn Fn(&Line),
    ) -> usize {
        self.differs = differs.iter().map(|&(at, it)| (at, (it, Cell::new(false)))).collect();
        self.compared = 0;
        let mut wrong = Vec::new();
        for line in recordings::capture(capture) {
            before(&line);
            if let Err(text) = self.take(&line) {
                let mut text = format!("frame {} {}: {text}", line.number, line.note);
                text.truncate(600);
                wrong.push(text);
            }
        }
        for (number, (_, seen)) in &self.differs {
            if !seen.get() {
                wrong.push(format!("request {number} is listed and was not answered"));
            }
        }
        assert!(wrong.is_empty(), "{capture}: {}\n{}", wrong.len(), wrong.join("\n"));
        self.compared
    }

    fn node(&self, name: &str) -> Option<&'a NodeHandle> {
        self.nodes.iter().find(|(it, _)| *it == name).map(|(_, node)| *node)
    }

    fn take(&mut self, line: &Line) -> Result<(), String> {
        let frame = Frame::parse(&line.bytes).unwrap();
        let is_answer = line.from.starts_with("node");
        let (name, node) = if is_answer { (&line.to, &line.from) } else { (&line.from, &line.to) };
        let Some(node) = self.node(node) else { return Ok(()) };
        if is_answer && name == "dcp" && frame.header.is_request() {
            return self.expect_stored(node, &frame);
        }
        if name.contains("dcp") {
            return Ok(());
        }
        if is_answer {
            return self.expect(node, name, &frame);
        }
        if frame.opcode() == Opcode::SASL_AUTH && frame.key == b"PLAIN" {
            let mut client = Client::connect(node.address());
            assert_eq!(client.authenticate(USER, PASSWORD).status, Status::SUCCESS);
            self.connections.insert(name.clone(), Connection::new(client));
            return Ok(());
        }
        if frame.opcode() == Opcode::HELLO && name.starts_with("sdk") {
            let client = Client::connect(node.address());
            self.connections.insert(name.clone(), Connection::new(client));
        }
        self.send(name, line, &frame);
        Ok(())
    }

    fn differs(&self, number: u64) -> Option<Differs> {
        self.differs.get(&number).map(|(differs, _)| *differs)
    }

    fn send(&mut self, name: &str, line: &Line, frame: &Frame<'_>) {
        let differs = self.differs(line.number);
        let Some(connection) = self.connections.get_mut(name) else { return };
        if !matches!(differs, Some(Differs::LeftOut | Differs::Awaited)) {
            let [extras, mut value] = [frame.extras, frame.value].map(|it| self.known.ours_in(it));
            match frame.opcode() {
                Opcode::SASL_AUTH => connection.login = Some(Login::begin(frame.key, &mut value)),
                Opcode::SASL_STEP => connection.login.as_ref().unwrap().prove(&mut value),
                _ => {}
            }
            let cas = self.known.ours(frame.header.cas);
            let request = FrameBuilder::from_frame(frame).cas(cas);
            connection.client.send(&request.extras(&extras).value(&value));
        }
        connection.waiting.push(line.clone());
    }

    /// What the recorded node sends over DCP to the connection `dcp` is what this node has stored.
    /// Its rev is not compared: a real node counts deletions later for the first revs of documents.
    fn expect_stored(&mut self, node: &NodeHandle, expected: &Frame<'_>) -> Result<(), String> {
        let seqno = match expected.opcode() {
            Opcode::DCP_MUTATION => Mutation::decode(expected).map(|it| it.seqno),
            Opcode::DCP_DELETION => Deletion::decode(expected).map(|it| it.seqno),
            _ => return Ok(()),
        };
        self.compared += 1;
        let bucket = node.bucket(BUCKET).unwrap();
        let row = bucket.store().get(VbId(0), expected.key).unwrap().unwrap();
        same("seqno", &Ok(row.seqno), &seqno)?;
        same("alive", &row.is_alive(), &(expected.opcode() == Opcode::DCP_MUTATION))?;
        // User attributes of deletions are stored, and not sent to this client.
        let (datatype, value) = if row.is_alive() {
            (row.datatype, row.value)
        } else {
            kept_by_deletion(row.datatype, &row.value)
        };
        same("datatype", &datatype, &expected.header.datatype)?;
        same("value", &self.known.plain(1, &value), &self.known.plain(0, expected.value))
    }

    /// Receives the answer to the request with the opaque of a recorded one.
    fn expect(
        &mut self,
        node: &NodeHandle,
        name: &str,
        expected: &Frame<'_>,
    ) -> Result<(), String> {
        let Some(connection) = self.connections.get_mut(name) else { return Ok(()) };
        let opaque = expected.header.opaque;
        let of = |line: &Line| Frame::parse(&line.bytes).unwrap().header.opaque == opaque;
        if expected.header.is_request() {
            self.compared += 1;
            let found = connection.client.receive();
            return self.known.compare(expected, &found);
        }
        let request = connection.waiting.iter().position(of);
        // That of a login with PLAIN.
        let Some(at) = request else { return Ok(()) };
        if expected.opcode() == Opcode::STAT && !expected.key.is_empty() {
            stats::add(&mut connection.stats, expected.key, expected.value);
            return Ok(());
        }
        let request = connection.waiting.remove(at);
        let differs = self.differs.get(&request.number).map(|(differs, seen)| {
            seen.set(true);
            *differs
        });
        let theirs = std::mem::take(&mut connection.stats);
        if matches!(differs, Some(Differs::LeftOut | Differs::Quiet)) {
            connection.stats.clear();
            return Ok(());
        }
        let found = match differs {
            Some(Differs::Awaited) => {
                await_status(&mut connection.client, &request.bytes, expected.header.status())
            }
            _ => connection.client.receive(),
        };
        self.compared += 1;
        if !theirs.is_empty() {
            let ours = stats::receive(&mut connection.client, found);
            return stats::compare(&theirs, &ours)
                .map_err(|text| format!("to {} {}: {text}", request.number, request.note));
        }
        self.judge(node, name, &request, (expected, &found))
            .map_err(|text| format!("to {} {}: {text}", request.number, request.note))
    }

    /// Whether an answer is the recorded one, or differs as it is listed.
    fn judge(
        &mut self,
        node: &NodeHandle,
        name: &str,
        request: &Line,
        (expected, found): (&Frame<'_>, &Answer),
    ) -> Result<(), String> {
        let status = expected.header.status();
        match self.differs(request.number) {
            Some(Differs::Status(other)) => {
                same("whether it differs", &(other != status), &true)?;
                same("status", &found.status, &other)?;
                skip_seqno(node, request, expected);
                Ok(())
            }
            Some(Differs::Value) => {
                self.known.compare_head(expected, found)?;
                same("whether it differs", &self.known.compare(expected, found).is_err(), &true)
            }
            Some(Differs::Random) => same("status", &found.status, &status),
            _ => self
                .expect_login(name, expected, found)
                .unwrap_or_else(|| self.known.compare(expected, found)),
        }
    }

    /// The messages of a login differ; `None` if the answer is not one that continues or ends it.
    fn expect_login(
        &mut self,
        name: &str,
        expected: &Frame<'_>,
        found: &Answer,
    ) -> Option<Result<(), String>> {
        let is_login = [Opcode::SASL_AUTH, Opcode::SASL_STEP].contains(&expected.opcode());
        let login = self.connections.get_mut(name)?.login.as_mut().filter(|_| is_login)?;
        let compared = self.known.compare_head(expected, found);
        Some(compared.and_then(|()| login.hear(expected, found)))
    }
}

/// A change that only the recorded node has made took a seqno there: a deletion of a key that the
/// recordings do not use takes it here, so that later seqnos are the same.
fn skip_seqno(node: &NodeHandle, request: &Line, answer: &Frame<'_>) {
    if answer.header.status() != Status::SUCCESS || answer.extras.len() != 16 {
        return;
    }
    let vb = Frame::parse(&request.bytes).unwrap().header.vbucket();
    let key = node.bucket(BUCKET).unwrap().vb(vb).unwrap().high_seqno().0.to_string();
    let extras = [[0_u8; 8], 1_u64.to_be_bytes(), 1_u64.to_be_bytes()].concat();
    let request = FrameBuilder::request(Opcode::DELETE_WITH_META).vbucket(vb);
    let answer = Client::ready(node).call(&request.extras(&extras).key(key.as_bytes()));
    assert_eq!(answer.status, Status::SUCCESS);
}

fn await_status(client: &mut Client, request: &[u8], status: Status) -> Answer {
    let deadline = Instant::now() + DEADLINE;
    loop {
        client.send_bytes(request);
        let answer = client.receive();
        if answer.status == status || Instant::now() > deadline {
            return answer;
        }
        std::thread::yield_now();
    }
}
