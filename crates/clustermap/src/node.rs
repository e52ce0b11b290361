//! How a node of a map is reached.

use crate::address::{Address, AddressError};
use crate::written::{Services, WrittenNode};

/// The name of the only other network that clusters have.
const EXTERNAL: &str = "external";
/// Stands for the host that was asked.
pub(crate) const ASKED: &str = "$HOST";

/// Which addresses of the nodes are used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Network {
    /// Those by which the nodes reach each other.
    Default,
    /// Their alternate addresses, for clients outside of the network of the nodes.
    External,
}

/// A node of a cluster. The data service may be missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its host among the nodes themselves.
    pub host: String,
    /// Whether it is the node that has sent the map.
    pub this_node: bool,
    services: Services,
    external: Option<(String, Services)>,
}

impl Node {
    /// A node as written; `asked` is the host of the node that was asked.
    pub(crate) fn of(written: WrittenNode, asked: &str) -> Self {
        let WrittenNode { hostname, services, this_node, mut alternate } = written;
        let host = hostname.unwrap_or_else(|| asked.to_owned()).replace(ASKED, asked);
        let external = alternate.remove(EXTERNAL);
        let external = external.map(|it| (it.hostname, it.ports.unwrap_or(services)));
        Self { host, this_node, services, external }
    }

    /// Its address in a network; `None` if it has no data service there, with TLS or without.
    ///
    /// # Errors
    /// An [`AddressError`] where the map names no host that there can be.
    pub fn address(&self, network: Network, tls: bool) -> Result<Option<Address>, AddressError> {
        let (host, services) = match network {
            Network::Default => (&self.host, self.services),
            Network::External => match &self.external {
                Some((host, services)) => (host, *services),
                None => return Ok(None),
            },
        };
        let port = if tls { services.kv_tls } else { services.kv };
        port.map(|port| Address::new(host, port)).transpose()
    }

    /// Whether this is the node that `server`, a `host:port` of `serverList`, stands for.
    pub(crate) fn is(&self, server: &str) -> bool {
        let Some((host, port)) = server.rsplit_once(':') else { return false };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let own = self.host.trim_start_matches('[').trim_end_matches(']');
        own == host && self.services.kv.is_some_and(|kv| port.parse() == Ok(kv))
    }

    /// Whether it is reached by TLS alone and has the host of `server`. Its port in `serverList` is
    /// one that `services` does not name.
    pub(crate) fn is_only_tls(&self, server: &str) -> bool {
        let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
        self.services.kv.is_none() && self.services.kv_tls.is_some() && self.host == host
    }
}

impl Network {
    /// The network by which `asked` was reached: that of the first node which has this host in
    /// one. A host that no node has is some other name of the network of the nodes.
    #[must_use]
    pub fn of(nodes: &[Node], asked: &str) -> Self {
        let is_external =
            |node: &Node| node.external.as_ref().is_some_and(|(host, _)| host == asked);
        if !nodes.iter().any(|node| node.host == asked) && nodes.iter().any(is_external) {
            return Self::External;
        }
        Self::Default
    }
}
