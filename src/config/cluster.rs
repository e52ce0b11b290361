//! `[cluster]`: a Couchbase cluster whose maps say what is replicated, and from which nodes.

use std::net::SocketAddr;

use clustermap::{Address, ConnectionString, Network};
use relay::{Endpoint, Secret, Tls};

/// A cluster that is followed: the nodes with active vBuckets are the producers.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The nodes to begin with.
    pub address: ConnectionString,
    /// The name server that is asked for SRV records; `None` for those of the system.
    pub resolver: Option<SocketAddr>,
    /// The user to log in as, at every node.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// TLS; set if and only if the scheme is `couchbases`.
    pub tls: Option<Tls>,
    /// Whether the certificate of every node must be for the name in `tls`, and not for its host.
    pub has_server_name: bool,
    /// Which addresses of the nodes are used; `None` for those of the network of the node that was
    /// asked.
    pub network: Option<Network>,
}

impl Cluster {
    /// How to reach the node at this address. Its name is the address.
    ///
    /// # Errors
    /// A text, where the host cannot be the name in a certificate.
    pub fn endpoint(&self, address: &Address) -> Result<Endpoint, String> {
        let (name, password) = (address.to_string(), self.password.clone());
        let endpoint = Endpoint::new(&name, &name, &self.username, password);
        Ok(match &self.tls {
            None => endpoint,
            Some(tls) if self.has_server_name => endpoint.with_tls(tls.clone()),
            Some(tls) => {
                let tls = tls.for_host(&address.host).map_err(|problem| problem.text)?;
                endpoint.with_tls(tls)
            }
        })
    }

    /// The endpoint of the producer of this name, which is its address.
    #[must_use]
    pub fn producer(&self, name: &str) -> Option<Endpoint> {
        self.endpoint(&name.parse().ok()?).ok()
    }
}
