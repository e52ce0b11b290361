//! What was found out about configuration, machine, sidecar and data nodes. Facts only: what they
//! mean is decided by the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mcbp::{Feature, Side, Status, VbId, VbState};

use super::failure::Failure;
use crate::descriptors::TooFew;

/// All facts.
#[derive(Debug)]
pub(super) struct Facts {
    /// The clock of this machine, in seconds since 1970.
    pub(super) now_s: i64,
    pub(super) machine: Machine,
    pub(super) sidecar: Sidecar,
    /// Our node first, then the producers in the order of the file.
    pub(super) nodes: Vec<NodeFacts>,
    pub(super) etcd: Vec<Member>,
    /// Of each bucket, where a cluster is followed.
    pub(super) maps: Vec<MapFacts>,
}

/// This machine.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) descriptors: Result<(), TooFew>,
    pub(super) folders: Vec<Folder>,
    /// The files of our certificates: the node, the key in the file, the path, when it expires in
    /// seconds since 1970.
    pub(super) certificates: Vec<(String, &'static str, PathBuf, Option<i64>)>,
}

/// A folder that the sidecar writes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Folder {
    /// The setting that names it.
    pub(super) key: &'static str,
    pub(super) path: PathBuf,
    /// The folder itself, or the nearest one above it that exists.
    pub(super) existing: PathBuf,
    /// Whether files can be created in `existing`.
    pub(super) writable: Result<(), String>,
    pub(super) free_bytes: Option<u64>,
}

/// What answers at `[admin] listen`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sidecar {
    /// The address is not known.
    Unknown(String),
    /// Nothing answers.
    Silent(String),
    /// It answers, and not as our sidecar does.
    Stranger(String),
    /// A sidecar.
    Runs(Running),
}

/// A running sidecar.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Running {
    pub(super) url: String,
    pub(super) node: String,
    /// Why it is not ready; empty when it is.
    pub(super) not_ready: Vec<String>,
    /// Links that are open, by bucket.
    pub(super) links_up: BTreeMap<String, u64>,
    /// The settings in which its configuration differs from the file.
    pub(super) differs: Vec<String>,
}

/// A member of etcd.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Member {
    pub(super) address: String,
    pub(super) connected: Result<(), String>,
}

/// What a cluster said of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct MapFacts {
    pub(super) bucket: String,
    /// The node that has sent the map, and its revision; or why there is none.
    pub(super) map: Result<(String, String), String>,
    /// How many nodes it is replicated from.
    pub(super) nodes: usize,
}

/// A data node. A field is `None` where the check was not reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NodeFacts {
    pub(super) side: Side,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) has_tls: bool,
    /// Whether the password may be sent without TLS to another machine.
    pub(super) allow_plain: bool,
    /// Why it is not checked: it is embedded.
    pub(super) unchecked: Option<String>,
    /// What each address of its name answered, or why there is none.
    pub(super) addresses: Option<Result<Vec<Tried>, String>>,
    pub(super) tls: Option<Result<TlsFacts, Failure>>,
    /// The mechanisms that it offers.
    pub(super) mechanisms: Option<Result<Vec<String>, Failure>>,
    /// The features that it grants after the login.
    pub(super) login: Option<Result<Vec<Feature>, Failure>>,
    pub(super) version: Option<String>,
    pub(super) buckets: Vec<BucketFacts>,
    /// The checks did not end within this time.
    pub(super) unfinished: Option<Duration>,
}

/// An address of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tried {
    pub(super) address: SocketAddr,
    /// How long the connect took, one round trip.
    pub(super) connected: Result<Duration, String>,
    /// Whether it is an address of this machine.
    pub(super) is_here: bool,
}

/// A TLS handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TlsFacts {
    pub(super) version: String,
    pub(super) server_name: String,
    /// When the first certificate of the chain expires, in seconds since 1970.
    pub(super) expires_s: Option<i64>,
}

/// A bucket of a node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct BucketFacts {
    pub(super) bucket: String,
    pub(super) opened: Option<Result<(), Failure>>,
    /// The status of each request that a sidecar needs.
    pub(super) answers: BTreeMap<Need, Status>,
    /// Why the checks of this bucket ended early.
    pub(super) broken: Option<Failure>,
    /// The state of every vBucket that exists.
    pub(super) states: Option<BTreeMap<VbId, VbState>>,
    /// How many vBuckets the bucket has on all nodes together.
    pub(super) vbuckets_max: Option<u32>,
    pub(super) clock: Option<Clock>,
    /// The replicas that the topologies of some vBuckets name.
    pub(super) topologies: Vec<BTreeSet<String>>,
    /// The highest CAS of some vBuckets.
    pub(super) max_cas: BTreeMap<VbId, u64>,
    /// The DCP connections that were open.
    pub(super) connections: Option<Vec<DcpConnection>>,
    /// Whether DCP_OPEN succeeded.
    pub(super) dcp: Option<Result<(), Failure>>,
    /// The flow-control window of our connection as a consumer, in bytes.
    pub(super) window_bytes: Option<u64>,
}

/// A request that a sidecar needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Need {
    /// GET_ALL_VB_SEQNOS: lag, and which vBuckets are served.
    Seqnos,
    /// STAT without a group and of a vBucket: topologies, takeovers.
    Statistics,
    /// STAT dcp: rivals, and how much of a move is left.
    Connections,
    /// SET_VBUCKET: takeovers.
    SetState,
}

/// The clock of a node: its time in whole seconds, read between two times of this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Clock {
    pub(super) node_s: i64,
    pub(super) asked_ms: i64,
    pub(super) answered_ms: i64,
}

/// A DCP connection as a node lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DcpConnection {
    pub(super) name: String,
    /// Whether it is being closed.
    pub(super) is_ending: bool,
    pub(super) window_bytes: Option<u64>,
}

impl NodeFacts {
    pub(super) fn new(side: Side, name: &str, address: &str, has_tls: bool) -> Self {
        Self {
            side,
            name: name.to_owned(),
            address: address.to_owned(),
            has_tls,
            allow_plain: false,
            unchecked: None,
            addresses: None,
            tls: None,
            mechanisms: None,
            login: None,
            version: None,
            buckets: Vec::new(),
            unfinished: None,
        }
    }

    /// The facts about a bucket.
    pub(super) fn bucket(&self, name: &str) -> Option<&BucketFacts> {
        self.buckets.iter().find(|bucket| bucket.bucket == name)
    }

    /// The shortest connect, one round trip.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        let tried = self.addresses.as_ref()?.as_ref().ok()?;
        tried.iter().filter_map(|tried| tried.connected.as_ref().ok().copied()).min()
    }
}
