//! Sends the requests of a recording to a node, each on the connection that it was recorded on, and
//! compares the answers with the recorded ones.
//!
//! Different by their nature, and compared by what they have in common: CAS values (each stands for
//! the same answer on both sides), the uuid of the vBucket, times, durations, and the texts of
//! errors, which are each node's own words.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvnode::NodeHandle;
use kvnode::bucket::Bucket;
use mcbp::dcp::{Deletion, Mutation};
use mcbp::{Datatype, Feature, Frame, FrameBuilder, Header, Opcode, Status, VbId};
use vbucket::value::kept_by_deletion;

use crate::support::client::{Answer, Client};
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, DEADLINE, PASSWORD, USER, eventually, options, start_in_memory};

/// Where this node differs from a real one, by the number of the request.
#[derive(Clone, Copy)]
pub enum Differs {
    /// The request is not sent: what it needs is not there, or the recorder had waited before it.
    LeftOut,
    /// The answer has this status instead, and the rest of it is not compared.
    Status(Status),
    /// The answer has another value, extras or datatype; status and CAS are compared.
    Value,
    /// The request is not answered.
    Quiet,
    /// The recorder had waited before the request: it is sent until it has the recorded status.
    Awaited,
}

/// A node that takes any CAS from another cluster, as the recorded ones did.
pub fn start() -> NodeHandle {
    let mut options = options();
    options.drift.future_max = Duration::MAX;
    let node = start_in_memory(&Disk::new(), options);
    let bucket = node.bucket(BUCKET).unwrap();
    eventually("warm-up", || bucket.is_ready());
    node
}

/// Replays a recording on a node, without what belongs to another node or to DCP. Returns how many
/// answers were compared.
pub fn replay(capture: &str, node: &NodeHandle, differs: &[(u64, Differs)]) -> usize {
    let mut replay = Replay {
        bucket: node.bucket(BUCKET).unwrap(),
        differs: differs.iter().copied().collect(),
        connections: HashMap::new(),
        known: Known::default(),
        compared: 0,
    };
    let mut wrong = Vec::new();
    for line in recordings::capture(capture) {
        if let Err(text) = replay.take(&line, node.address()) {
            let mut text = format!("frame {} {}: {text}", line.number, line.note);
            text.truncate(600);
            wrong.push(text);
        }
    }
    assert!(wrong.is_empty(), "{capture}: {}\n{}", wrong.len(), wrong.join("\n"));
    replay.compared
}

/// A connection, and the requests that wait for their recorded answers.
struct Connection {
    client: Client,
    waiting: Vec<recordings::Line>,
}

struct Replay {
    bucket: Arc<Bucket>,
    differs: HashMap<u64, Differs>,
    connections: HashMap<String, Connection>,
    known: Known,
    compared: usize,
}

impl Replay {
    fn take(
        &mut self,
        line: &recordings::Line,
        address: std::net::SocketAddr,
    ) -> Result<(), String> {
        let frame = Frame::parse(&line.bytes).unwrap();
        let is_answer = line.from == "node";
        let name = if is_answer { &line.to } else { &line.from };
        if is_answer && name == "dcp" && frame.header.is_request() {
            return self.expect_stored(&frame);
        }
        if name.contains("dcp") || [&line.from, &line.to].iter().any(|it| it.contains("node2")) {
            return Ok(());
        }
        if is_answer {
            return self.expect(&line.to, &frame);
        }
        if frame.opcode() == Opcode::SASL_AUTH && frame.key == b"PLAIN" {
            let mut client = Client::connect(address);
            assert_eq!(client.authenticate(USER, PASSWORD).status, Status::SUCCESS);
            let connection = Connection { client, waiting: Vec::new() };
            self.connections.insert(name.clone(), connection);
            return Ok(());
        }
        let Some(connection) = self.connections.get_mut(name) else { return Ok(()) };
        let differs = self.differs.get(&line.number);
        if !matches!(differs, Some(Differs::LeftOut | Differs::Awaited)) {
            let cas = self.known.ours(frame.header.cas);
            let value = self.known.our_value(frame.value);
            connection.client.send(&FrameBuilder::from_frame(&frame).cas(cas).value(&value));
        }
        connection.waiting.push(line.clone());
        Ok(())
    }

    /// What the recorded node sends over DCP to the connection `dcp` is what this node has stored.
    /// Its rev is not compared: a real node counts deletions later for the first revs of documents.
    fn expect_stored(&mut self, expected: &Frame<'_>) -> Result<(), String> {
        let seqno = match expected.opcode() {
            Opcode::DCP_MUTATION => Mutation::decode(expected).map(|it| it.seqno),
            Opcode::DCP_DELETION => Deletion::decode(expected).map(|it| it.seqno),
            _ => return Ok(()),
        };
        self.compared += 1;
        let (_, key) = mcbp::key::split(expected.key).unwrap();
        let row = self.bucket.store().get(VbId(0), key).unwrap().unwrap();
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
    fn expect(&mut self, name: &str, expected: &Frame<'_>) -> Result<(), String> {
        let Some(connection) = self.connections.get_mut(name) else { return Ok(()) };
        let opaque = expected.header.opaque;
        let of =
            |line: &recordings::Line| Frame::parse(&line.bytes).unwrap().header.opaque == opaque;
        let is_push = expected.header.is_request();
        let request = connection.waiting.iter().position(of).filter(|_| !is_push);
        let request = request.map(|at| connection.waiting.remove(at));
        // That of the login.
        if request.is_none() && !is_push {
            return Ok(());
        }
        let differs = request.as_ref().and_then(|request| self.differs.get(&request.number));
        if matches!(differs, Some(Differs::LeftOut | Differs::Quiet)) {
            return Ok(());
        }
        let found = match (&request, differs) {
            (Some(request), Some(Differs::Awaited)) => {
                await_status(&mut connection.client, &request.bytes, expected.header.status())
            }
            _ => connection.client.receive(),
        };
        self.compared += 1;
        let note = request.map(|it| format!("{} {}", it.number, it.note)).unwrap_or_default();
        let same = match differs {
            Some(Differs::Status(status)) if found.status == *status => Ok(()),
            Some(Differs::Status(status)) => Err(format!("{} instead of {status}", found.status)),
            Some(Differs::Value) => self.known.compare_head(expected, &found),
            _ => self.known.compare(expected, &found),
        };
        same.map_err(|text| format!("to {note}: {text}"))
    }
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

/// What stands for the same on both sides: the recorded one, and this node's.
#[derive(Default)]
struct Known {
    cas: Vec<[u64; 2]>,
    uuid: Option<[u64; 2]>,
}

/// Compares two values that must be the same.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what} {found:?} instead of {expected:?}"))
    }
}

impl Known {
    /// The CAS of this node for one of the recorded node.
    fn ours(&self, cas: u64) -> u64 {
        self.cas.iter().find(|known| known[0] == cas).map_or(cas, |known| known[1])
    }

    /// A value with the uuid of this node's vBucket in the place of the recorded one.
    fn our_value(&self, value: &[u8]) -> Vec<u8> {
        match self.uuid.map(|uuids| uuids.map(u64::to_be_bytes)) {
            Some([theirs, ours]) if value == theirs => ours.to_vec(),
            _ => value.to_vec(),
        }
    }

    fn compare_head(&mut self, expected: &Frame<'_>, found: &Answer) -> Result<(), String> {
        let header = &expected.header;
        let text = String::from_utf8_lossy(&found.value);
        same("status", &found.status, &header.status()).map_err(|it| format!("{it}: {text}"))?;
        same("opcode", &found.opcode, &header.opcode)?;
        same("opaque", &found.opaque, &header.opaque)?;
        let pair = [header.cas, found.cas];
        // The CAS of all ones stands for itself.
        match self.cas.iter().find(|known| known[0] == header.cas) {
            _ if matches!(header.cas, 0 | u64::MAX) => same("CAS", &found.cas, &header.cas),
            Some(known) => same("CAS", &pair, known),
            None => {
                self.cas.push(pair);
                Ok(())
            }
        }
    }

    fn compare(&mut self, expected: &Frame<'_>, found: &Answer) -> Result<(), String> {
        self.compare_head(expected, found)?;
        let header = &expected.header;
        if header.status() == Status::NOT_MY_VBUCKET {
            // With the map of a bucket, or without one where the recorded node had none.
            return Ok(());
        }
        let error = b"{\"error\":{\"context\"";
        if expected.value.starts_with(error) {
            return same("an error", &found.value.starts_with(error), &true);
        }
        let is_told = expected.value.is_empty() && found.value.starts_with(error);
        if header.status() != Status::SUCCESS && is_told {
            return Ok(());
        }
        if header.opcode == Opcode::HELLO {
            return compare_features(expected.value, &found.value);
        }
        same("datatype", &found.datatype, &header.datatype)?;
        self.compare_extras(header, expected.extras, &found.extras)?;
        let is_compressed = header.datatype.contains(Datatype::SNAPPY);
        let [expected, found] = [(0, expected.value), (1, &found.value)].map(|(side, value)| {
            // Encoders differ.
            let inflated = is_compressed.then(|| snap::raw::Decoder::new().decompress_vec(value));
            self.plain(side, &inflated.map_or(value.to_vec(), Result::unwrap))
        });
        same("value", &found, &expected)
    }

    fn compare_extras(
        &mut self,
        header: &Header,
        expected: &[u8],
        found: &[u8],
    ) -> Result<(), String> {
        let (opcode, is_push) = (header.opcode, header.is_request());
        same("extras", &found.len(), &expected.len())?;
        if opcode == Opcode::GET_META && !expected.is_empty() {
            // The expiry is a time.
            let is_set = |extras: &[u8]| extras[8..12] != [0; 4];
            same("expiry", &is_set(found), &is_set(expected))?;
            same("meta", &(&found[..8], &found[12..]), &(&expected[..8], &expected[12..]))
        } else if expected.len() == 16 && !is_push {
            let uuids = [expected, found].map(|it| u64::from_be_bytes(it[..8].try_into().unwrap()));
            same("uuid", &uuids, &*self.uuid.get_or_insert(uuids))?;
            same("seqno", &&found[8..], &&expected[8..])
        } else {
            same("extras", &found, &expected)
        }
    }

    /// The text of a value with names in the place of numbers that differ.
    fn plain(&self, side: usize, value: &[u8]) -> String {
        let mut text = hex(&without_times(value));
        for (index, pair) in self.cas.iter().enumerate() {
            let cas = pair[side];
            text = text.replace(&hex(&cas.to_be_bytes()), &format!("<CAS {index}>"));
            // As a text, in both orders of its bytes.
            for cas in [cas, cas.swap_bytes()] {
                let written = hex(format!("{cas:016x}").as_bytes());
                text = text.replace(&written, &format!("<CAS {index}>"));
            }
        }
        if let Some(uuid) = self.uuid {
            text = text.replace(&hex(format!("{:016x}", uuid[side]).as_bytes()), "<uuid>");
            text = text.replace(&hex(&uuid[side].to_be_bytes()), "<uuid>");
        }
        text
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value without its texts of ten digits between quotes, which are times.
fn without_times(value: &[u8]) -> Vec<u8> {
    let is_time = |window: &[u8]| {
        let (first, digits, last) = (window[0], &window[1..11], window[11]);
        (first, last) == (b'"', b'"') && digits.iter().all(u8::is_ascii_digit)
    };
    let mut bytes = value.to_vec();
    while let Some(at) = bytes.windows(12).position(is_time) {
        bytes.splice(at..at + 12, *b"<time>");
    }
    bytes
}

/// This node grants what a real one does, without what it does not have.
fn compare_features(expected: &[u8], found: &[u8]) -> Result<(), String> {
    let missing = [
        Feature::SYNC_REPLICATION,
        Feature::NON_BLOCKING_THROTTLING,
        Feature::RANGE_SCAN_INCLUDE_XATTR,
        Feature::GET_RANDOM_KEY_INCLUDE_XATTR,
    ];
    let features = |bytes: &[u8]| -> Vec<Feature> {
        bytes.as_chunks::<2>().0.iter().map(|it| Feature(u16::from_be_bytes(*it))).collect()
    };
    let mut expected = features(expected);
    expected.retain(|feature| !missing.contains(feature));
    same("features", &features(found), &expected)
}
