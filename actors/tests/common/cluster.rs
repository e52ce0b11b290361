//! Fake data nodes. The test plays their DCP connections; control connections are answered from
//! state that the test has set.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use dcp_actors::{
    BucketPlan, BucketStatus, CommandError, ControlLimits, Moved, Replication, ReplicationConfig,
    ReplicationHandle,
};
use mcbp::dcp::Open;
use mcbp::{FrameBuilder, Opcode, Status, VbId, VbState};
use relay::Endpoint;
use relay::testing::{BUCKET, FakeConn, FakePeer, Opened, view};
use replica::plan::{Connections, Desired};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Link, PATIENCE, status_until, vbs, words};

/// The answers of a node on its control connections.
#[derive(Clone, Default)]
pub struct Control(Arc<Mutex<Said>>);

#[derive(Default)]
struct Said {
    seqnos: BTreeMap<u16, u64>,
    estimates: VecDeque<(&'static str, u64)>,
    groups: Vec<String>,
    copies: BTreeMap<u16, (VbState, u64)>,
    topology: Option<String>,
    asked_details: Vec<u16>,
    set_active: Vec<u16>,
    hangs_up: bool,
    is_silent: bool,
}

impl Control {
    /// Sets the high seqno of a vBucket.
    pub fn seqno(&self, vb: u16, seqno: u64) {
        self.0.lock().unwrap().seqnos.insert(vb, seqno);
    }

    /// Makes the node stop serving a vBucket, as for a dead one.
    pub fn no_seqno(&self, vb: u16) {
        self.0.lock().unwrap().seqnos.remove(&vb);
    }

    /// Sets the answers about a takeover, one after the other; the last one is repeated.
    pub fn estimates(&self, answers: &[(&'static str, u64)]) {
        self.0.lock().unwrap().estimates = answers.iter().copied().collect();
    }

    /// Sets the copy of a vBucket: a state and a high seqno. Without this the node has no copy.
    pub fn copy(&self, vb: u16, state: VbState, high: u64) {
        self.0.lock().unwrap().copies.insert(vb, (state, high));
    }

    /// Sets the topology of every vBucket.
    pub fn topology(&self, text: &str) {
        self.0.lock().unwrap().topology = Some(text.to_owned());
    }

    /// Returns the vBuckets whose details were requested, in order.
    pub fn asked_details(&self) -> Vec<u16> {
        self.0.lock().unwrap().asked_details.clone()
    }

    /// Returns the vBuckets that were set active, in order.
    pub fn set_active(&self) -> Vec<u16> {
        self.0.lock().unwrap().set_active.clone()
    }

    /// Returns the requested groups of statistics.
    pub fn groups(&self) -> Vec<String> {
        self.0.lock().unwrap().groups.clone()
    }

    /// Sets whether the node closes a control connection on any request.
    pub fn hang_up(&self, hangs_up: bool) {
        self.0.lock().unwrap().hangs_up = hangs_up;
    }

    /// Sets whether the node reads requests and answers none.
    pub fn silence(&self, is_silent: bool) {
        self.0.lock().unwrap().is_silent = is_silent;
    }

    async fn serve(&self, mut conn: FakeConn) {
        while let Some(request) = conn.recv().await {
            if self.0.lock().unwrap().hangs_up {
                return;
            }
            if self.0.lock().unwrap().is_silent {
                continue;
            }
            let frame = view(&request);
            match frame.opcode() {
                Opcode::GET_ALL_VB_SEQNOS => {
                    let value = self.seqnos_in_state(frame.extras);
                    conn.answer_with(&request, Status::SUCCESS, &[], &value).await;
                }
                Opcode::SET_VBUCKET => {
                    assert_eq!(frame.extras, [VbState::Active as u8]);
                    let vb = frame.header.vbucket().0;
                    {
                        let mut said = self.0.lock().unwrap();
                        said.set_active.push(vb);
                        said.copies.get_mut(&vb).unwrap().0 = VbState::Active;
                    }
                    conn.answer(&request, Status::SUCCESS).await;
                }
                Opcode::STAT => {
                    let group = str::from_utf8(frame.key).unwrap();
                    let lines = match group.strip_prefix("vbucket-details ") {
                        Some(vb) => self.details(vb.parse().unwrap()),
                        None => Some(self.estimate(group).into()),
                    };
                    let Some(lines) = lines else {
                        conn.answer(&request, Status::NOT_MY_VBUCKET).await;
                        continue;
                    };
                    for (key, value) in lines {
                        let answer = FrameBuilder::response(Opcode::STAT, Status::SUCCESS)
                            .opaque(frame.header.opaque);
                        conn.send(answer.key(key.as_bytes()).value(value.as_bytes())).await;
                    }
                }
                other => panic!("{other} on a control connection"),
            }
        }
    }

    /// The answer to GET_ALL_VB_SEQNOS with these extras. Copies are replicas unless set otherwise.
    fn seqnos_in_state(&self, extras: &[u8]) -> Vec<u8> {
        let said = self.0.lock().unwrap();
        let is_asked = |vb: &u16| match *extras {
            [] => true,
            [.., state] => {
                let copy = said.copies.get(vb).map_or(VbState::Replica, |copy| copy.0);
                copy as u8 == state
            }
        };
        let entry =
            |(vb, seqno): (&u16, &u64)| [&vb.to_be_bytes()[..], &seqno.to_be_bytes()[..]].concat();
        said.seqnos.iter().filter(|(vb, _)| is_asked(vb)).flat_map(entry).collect()
    }

    /// All copies are on one branch of history.
    fn details(&self, vb: u16) -> Option<Vec<(String, String)>> {
        let mut said = self.0.lock().unwrap();
        said.asked_details.push(vb);
        if let Some(topology) = &said.topology {
            return Some(vec![(format!("vb_{vb}:topology"), topology.clone()), Default::default()]);
        }
        let (state, high) = *said.copies.get(&vb)?;
        let stats = [("", state.name().to_owned()), (":uuid", 9.to_string())];
        let stats = stats.into_iter().chain([(":high_seqno", high.to_string())]);
        let lines = stats.map(|(key, value)| (format!("vb_{vb}{key}"), value));
        Some(lines.chain([Default::default()]).collect())
    }

    fn estimate(&self, group: &str) -> [(String, String); 3] {
        let mut said = self.0.lock().unwrap();
        said.groups.push(group.to_owned());
        let (status, estimate) = match said.estimates.len() {
            0 => ("in-memory", 0),
            1 => said.estimates[0],
            _ => said.estimates.pop_front().unwrap(),
        };
        let status = ("status".to_owned(), status.to_owned());
        [status, ("estimate".to_owned(), estimate.to_string()), Default::default()]
    }
}

/// One fake data node.
pub struct Node {
    pub control: Control,
    dcp: mpsc::UnboundedReceiver<FakeConn>,
    /// Connections that the test did not take yet.
    early: Vec<FakeConn>,
}

impl Node {
    fn start(peer: FakePeer) -> Self {
        let (control, (found, dcp)) = (Control::default(), mpsc::unbounded_channel());
        let shared = control.clone();
        tokio::spawn(async move {
            while !found.is_closed() {
                let (conn, control, found) =
                    (peer.accept_raw().await, shared.clone(), found.clone());
                tokio::spawn(async move {
                    match handshake(conn).await {
                        Some((conn, true)) => _ = found.send(conn),
                        Some((conn, false)) => control.serve(conn).await,
                        None => {}
                    }
                });
            }
        });
        Self { control, dcp, early: Vec::new() }
    }

    /// The next DCP connection.
    pub async fn next(&mut self) -> FakeConn {
        if !self.early.is_empty() {
            return self.early.remove(0);
        }
        timeout(PATIENCE, self.dcp.recv()).await.expect("a connection in time").unwrap()
    }

    /// The DCP connection of this name.
    async fn named(&mut self, name: &str) -> FakeConn {
        let mut others = Vec::new();
        let found = loop {
            let conn = self.next().await;
            if conn.opened.as_ref().unwrap().name == name {
                break conn;
            }
            others.push(conn);
        };
        self.early.append(&mut others);
        found
    }
}

/// Plays the handshake. Returns whether this is a DCP connection; `None` if the peer closed it.
async fn handshake(mut conn: FakeConn) -> Option<(FakeConn, bool)> {
    loop {
        let request = conn.recv().await?;
        let frame = view(&request);
        let is_control = conn.opened.is_some();
        match frame.opcode() {
            Opcode::HELLO => {
                conn.answer_with(&request, Status::SUCCESS, &[], frame.value).await;
                // A control connection says HELLO before it selects a bucket.
                let none = Opened { flags: 0, name: String::new(), value: String::new() };
                conn.opened.get_or_insert(none);
            }
            Opcode::SELECT_BUCKET => {
                conn.answer(&request, Status::SUCCESS).await;
                if is_control {
                    return Some((conn, false));
                }
            }
            Opcode::DCP_OPEN => {
                let open = Open::decode(&frame).unwrap();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let (flags, name, value) = (open.flags, text(open.name), text(open.value));
                conn.opened = Some(Opened { flags, name, value });
                conn.answer(&request, Status::SUCCESS).await;
                return Some((conn, true));
            }
            _ => conn.answer(&request, Status::SUCCESS).await,
        }
    }
}

/// Replication from fake producers to the fake node `beta`.
pub struct Cluster {
    pub beta: Node,
    pub producers: BTreeMap<&'static str, Node>,
    /// Where the producers are.
    pub endpoints: BTreeMap<&'static str, Endpoint>,
    pub handle: ReplicationHandle,
}

impl Cluster {
    /// Starts with nothing desired.
    pub async fn start(limits: ControlLimits, names: &[&'static str]) -> Self {
        let beta = FakePeer::bind().await;
        let node = beta.endpoint("beta");
        let (mut endpoints, mut producers) = (BTreeMap::new(), BTreeMap::new());
        for name in names {
            let peer = FakePeer::bind().await;
            endpoints.insert(*name, peer.endpoint(name));
            producers.insert(*name, Node::start(peer));
        }
        let bucket = BucketPlan {
            name: BUCKET.to_owned(),
            connections: Connections::ONE,
            desired: Desired::default(),
        };
        let of = endpoints.values().cloned().collect();
        let config = ReplicationConfig { node, producers: of, buckets: vec![bucket], limits };
        let handle = Replication::start(config).unwrap();
        Self { beta: Node::start(beta), producers, endpoints, handle }
    }

    /// Starts a producer, in place of one of the same name. Replication does not know it yet.
    pub async fn start_producer(&mut self, name: &'static str) {
        let peer = FakePeer::bind().await;
        self.endpoints.insert(name, peer.endpoint(name));
        self.producers.insert(name, Node::start(peer));
    }

    /// Sets the producers of the replication to those of the test.
    pub fn set_producers(&self) {
        self.handle.set_producers(self.endpoints.values().cloned().collect());
    }

    /// Sets the desired map, by producer.
    pub fn set(&self, map: &[(&str, &[u16])]) -> Answer<usize> {
        let desired = map.iter().map(|(name, ids)| ((*name).to_owned(), vbs(ids))).collect();
        self.ask(async move |handle| handle.set_desired(BUCKET, desired).await)
    }

    pub fn takeover(&self, vb: u16, from: &'static str) -> Answer<Moved> {
        self.ask(async move |handle| handle.takeover(BUCKET, VbId(vb), from).await)
    }

    pub fn move_vbucket(&self, vb: u16, from: &'static str) -> Answer<Moved> {
        self.ask(async move |handle| handle.move_vbucket(BUCKET, VbId(vb), from).await)
    }

    /// Gives a command, whose answer comes while the test plays the nodes.
    pub fn ask<T, F, Fut>(&self, command: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(ReplicationHandle) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, CommandError>> + Send,
    {
        let handle = self.handle.clone();
        tokio::spawn(async move { command(handle).await })
    }

    /// Takes the next link.
    pub async fn accept(&mut self) -> Link {
        let consumer = self.beta.next().await;
        let name = consumer.opened.as_ref().unwrap().name.clone();
        let from = name.strip_prefix("replication:").unwrap().split("->").next().unwrap();
        let producer = self.producers.get_mut(from).unwrap().named(&name).await;
        Link::of(consumer, producer)
    }

    /// A link from `alpha` with these streams open.
    pub async fn opened<const N: usize>(&mut self, ids: [u16; N]) -> (Link, [super::Pending; N]) {
        let set_up = self.set(&[("alpha", &ids)]);
        let mut link = self.accept().await;
        let streams = link.requests().await;
        for stream in &streams {
            link.open(stream).await;
        }
        assert_eq!(answer(set_up).await, Ok(N));
        (link, streams)
    }

    /// Reads the status until `right` accepts it.
    pub async fn status_until(&self, right: impl Fn(&BucketStatus) -> bool) -> BucketStatus {
        status_until(&self.handle, right).await
    }
}

/// A command that runs.
pub type Answer<T> = JoinHandle<Result<T, CommandError>>;

/// The answer to a command, which must come within a second.
pub async fn answer<T>(command: Answer<T>) -> Result<T, CommandError> {
    let second = std::time::Duration::from_secs(1);
    timeout(second, command).await.expect("an answer within a second").unwrap()
}

/// The one failure of a command: reason and status.
pub async fn failure<T: std::fmt::Debug>(command: Answer<T>) -> (String, Option<String>) {
    match answer(command).await {
        Err(CommandError::Failed(mut failures)) if failures.len() == 1 => {
            let failure = failures.remove(0);
            (failure.cause.reason().name().to_owned(), words(&failure))
        }
        other => panic!("one failure was expected: {other:?}"),
    }
}
