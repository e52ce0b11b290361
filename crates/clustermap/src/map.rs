//! A checked map, and what is to be replicated by it.

use std::collections::BTreeMap;

use mcbp::VbId;
use replica::plan::{Desired, VBUCKETS_MAX, VbSet};

use crate::address::{Address, AddressError};
use crate::node::{ASKED, Network, Node};
use crate::revision::Revision;
use crate::written::{Written, WrittenVbuckets};

/// The largest map, in bytes: some ten times that of a large cluster.
pub const MAP_BYTES_MAX: usize = 1024 * 1024;
/// The most nodes of a cluster.
pub const NODES_MAX: usize = 1024;

/// A map of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map {
    /// How new it is.
    pub revision: Revision,
    /// The bucket.
    pub bucket: String,
    /// All nodes of the cluster.
    pub nodes: Vec<Node>,
    /// Of each vBucket the place in `nodes` of its active copy; `None` where no node has one.
    pub active: Vec<Option<usize>>,
}

/// What is to be replicated by a map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The addresses of the nodes that have active copies, without repetition; the text of each is
    /// the name of the producer.
    pub producers: Vec<Address>,
    /// The vBuckets from each producer.
    pub desired: Desired,
}

/// What is wrong with a map.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MapError {
    /// It is longer than [`MAP_BYTES_MAX`].
    #[error("a map of {0} bytes: at most {MAP_BYTES_MAX} are read")]
    TooLarge(usize),
    /// It is not JSON, or a member that is needed is missing or of another type.
    #[error("malformed map: {0}")]
    Malformed(String),
    /// Epoch or revision is below 1.
    #[error("the map has the revision {0}: epoch and number are at least 1")]
    Revision(Revision),
    /// It has no vBuckets: it is the map of the cluster, or of a bucket of another type.
    #[error("the map has no vBuckets: select a bucket that is not of type memcached")]
    NoVbuckets,
    /// It has more nodes than [`NODES_MAX`].
    #[error("the map has {0} nodes: at most {NODES_MAX} are read")]
    Nodes(usize),
    /// It has more vBuckets than a bucket may have, or none.
    #[error("the map has {0} vBuckets: a bucket has 1 to {VBUCKETS_MAX}")]
    Vbuckets(usize),
    /// A vBucket names a server that `serverList` does not have.
    #[error("vBucket {vb} is on server {server}, and serverList has {servers}")]
    NoServer {
        /// The vBucket.
        vb: usize,
        /// Its active server, from 0.
        server: i32,
        /// How many servers there are.
        servers: usize,
    },
    /// A server of `serverList` is no node of `nodesExt`.
    #[error("server {0} of serverList is no node with a data service in nodesExt")]
    NoNode(String),
    /// A node with active copies has no data service in the network that is used.
    #[error(
        "node {host} has active vBuckets and no port {}: {}",
        if *tls { "with TLS (kvSSL)" } else { "without TLS (kv)" },
        if *external { "give it an alternate address with that port" } else {
            "use the other scheme, couchbase:// or couchbases://"
        }
    )]
    NoService {
        /// The node.
        host: String,
        /// Whether TLS is used.
        tls: bool,
        /// Whether alternate addresses are used.
        external: bool,
    },
    /// A node has no host that there can be.
    #[error("a node of the map: {0}")]
    Host(#[from] AddressError),
}

impl Map {
    /// Parses the map that the node at host `asked` has sent.
    ///
    /// # Errors
    /// A [`MapError`]: any map that cannot be followed as a whole.
    pub fn parse(text: &[u8], asked: &str) -> Result<Self, MapError> {
        if text.len() > MAP_BYTES_MAX {
            return Err(MapError::TooLarge(text.len()));
        }
        let written: Written = serde_json::from_slice(text)
            .map_err(|error| MapError::Malformed(logline::capped(error, 200)))?;
        let revision = Revision { epoch: written.epoch, number: written.rev };
        if revision.epoch < 1 || revision.number < 1 {
            return Err(MapError::Revision(revision));
        }
        let (Some(vbuckets), Some(bucket)) = (written.vbuckets, written.name) else {
            return Err(MapError::NoVbuckets);
        };
        if written.nodes.len() > NODES_MAX || vbuckets.servers.len() > NODES_MAX {
            return Err(MapError::Nodes(written.nodes.len().max(vbuckets.servers.len())));
        }
        let nodes: Vec<_> = written.nodes.into_iter().map(|node| Node::of(node, asked)).collect();
        let active = active(&vbuckets, &nodes, asked)?;
        Ok(Self { revision, bucket, nodes, active })
    }

    /// What is to be replicated: every vBucket from the node that has its active copy.
    ///
    /// # Errors
    /// [`MapError::NoService`] and [`MapError::Host`].
    pub fn wanted(&self, network: Network, tls: bool) -> Result<Wanted, MapError> {
        let mut sets: BTreeMap<Address, VbSet> = BTreeMap::new();
        for (vb, place) in (0..).map(VbId).zip(&self.active) {
            let Some(node) = place.and_then(|place| self.nodes.get(place)) else { continue };
            let missing = || MapError::NoService {
                host: logline::value(&node.host).to_string(),
                tls,
                external: network == Network::External,
            };
            let address = node.address(network, tls)?.ok_or_else(missing)?;
            sets.entry(address).or_default().insert(vb);
        }
        let producers = sets.keys().cloned().collect();
        let sets = sets.into_iter().map(|(address, set)| (address.to_string(), set));
        // Every vBucket was inserted into one set.
        let desired = Desired::new(sets.collect())
            .map_err(|error| MapError::Malformed(logline::capped(error, 200)))?;
        Ok(Wanted { producers, desired })
    }

    /// Where the map can be asked for again: the nodes with a data service, the one that has sent
    /// this map last, so that a map of an isolated node is not believed for long.
    #[must_use]
    pub fn addresses(&self, network: Network, tls: bool) -> Vec<Address> {
        let mut nodes: Vec<_> = self.nodes.iter().collect();
        nodes.sort_by_key(|node| node.this_node);
        let address = |node: &Node| node.address(network, tls).ok().flatten();
        nodes.into_iter().filter_map(address).collect()
    }
}

/// The places of the active copies.
fn active(
    written: &WrittenVbuckets,
    nodes: &[Node],
    asked: &str,
) -> Result<Vec<Option<usize>>, MapError> {
    let count = written.chains.len();
    if !(1..=usize::from(VBUCKETS_MAX)).contains(&count) {
        return Err(MapError::Vbuckets(count));
    }
    // A server is looked for once, and only if it has an active copy.
    let mut places: Vec<Option<usize>> = vec![None; written.servers.len()];
    let mut found = Vec::with_capacity(count);
    for (vb, chain) in written.chains.iter().enumerate() {
        let server = chain.first().copied().unwrap_or(-1);
        if server == -1 {
            found.push(None);
            continue;
        }
        let at = usize::try_from(server).ok();
        let named = at.and_then(|at| written.servers.get(at).zip(places.get_mut(at)));
        let Some((name, place)) = named else {
            return Err(MapError::NoServer { vb, server, servers: written.servers.len() });
        };
        if place.is_none() {
            let name = name.replace(ASKED, asked);
            let is_meant = nodes.iter().position(|node| node.is(&name)).or_else(|| {
                // A node that serves TLS alone has no other port to compare.
                at.filter(|&at| nodes.get(at).is_some_and(|node| node.is_only_tls(&name)))
            });
            let missing = || MapError::NoNode(logline::value(&name).to_string());
            *place = Some(is_meant.ok_or_else(missing)?);
        }
        found.push(*place);
    }
    Ok(found)
}
