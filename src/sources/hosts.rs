//! The nodes to begin with: the hosts of the connection string, or those that DNS SRV records name
//! in place of its one host, as for clients of Couchbase.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use clustermap::{Address, ConnectionString};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use logline::value;

use super::lookup::look_up;
use crate::config::Cluster;

/// The longest that a lookup may take: so long nodes that are known wait where no name server
/// answers.
const LOOKUP_MAX: Duration = Duration::from_secs(5);

type Found = Result<Vec<Address>, String>;

/// See the module.
pub(super) struct Hosts {
    address: ConnectionString,
    resolver: Option<SocketAddr>,
    /// Whose map the nodes are asked for.
    bucket: String,
    limit: Duration,
    /// The lookup that has not ended.
    lookup: Option<BoxFuture<'static, Found>>,
    /// The nodes or the error that was logged last, and is not logged again. Name servers change
    /// the order of equal records, which is no news.
    told: Option<Result<BTreeSet<String>, String>>,
}

impl Hosts {
    /// The nodes to begin with of this cluster; a lookup takes no longer than `limit`.
    pub(super) fn new(cluster: &Cluster, bucket: String, limit: Duration) -> Self {
        let (address, resolver) = (cluster.address.clone(), cluster.resolver);
        Self { address, resolver, bucket, limit: limit.min(LOOKUP_MAX), lookup: None, told: None }
    }

    /// Returns the nodes in the order in which they are tried. Records change, so they are looked
    /// up each time. Where there are none, or none can be had, it is the host itself. If the future
    /// is dropped, the next one waits for the same lookup.
    pub(super) async fn get(&mut self) -> Vec<Address> {
        let hosts = self.address.hosts.clone();
        let Some(name) = self.address.srv_name.clone() else { return hosts };
        let found = match &mut self.lookup {
            Some(lookup) => lookup.await,
            none => {
                let lookup = look_up(name.clone(), self.resolver, self.limit);
                none.insert(lookup.boxed()).await
            }
        };
        self.lookup = None;
        let shown = found.as_ref().map(|nodes| nodes.iter().map(ToString::to_string).collect());
        self.tell(&name, shown);
        found.ok().filter(|nodes| !nodes.is_empty()).unwrap_or(hosts)
    }

    /// Logs what was found, if it has changed.
    fn tell(&mut self, name: &str, found: Result<Vec<String>, &String>) {
        let now = found.clone().map(BTreeSet::from_iter).map_err(Clone::clone);
        if self.told.as_ref() == Some(&now) {
            return;
        }
        self.told = Some(now);
        let bucket = &self.bucket;
        match found {
            Ok(nodes) if nodes.is_empty() => log::info!(
                "no DNS SRV records for the cluster, its host is used bucket={bucket} name={name}"
            ),
            Ok(nodes) => {
                let nodes = value(nodes.join(","));
                log::info!("DNS SRV records name nodes bucket={bucket} name={name} nodes={nodes}");
            }
            Err(error) => {
                let error = value(error);
                log::warn!(
                    "DNS SRV lookup failed, the host of the cluster is used bucket={bucket} \
                     name={name} error={error}"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! What is used where a name server has no records.

    use super::*;

    impl Hosts {
        pub(in super::super) fn of(address: &str, resolver: Option<SocketAddr>) -> Self {
            let (address, bucket) = (address.parse().unwrap(), "default".to_owned());
            Self { address, resolver, bucket, limit: LOOKUP_MAX, lookup: None, told: None }
        }
    }

    /// The hosts of this address, with a name server that is not there.
    fn hosts(address: &str) -> Hosts {
        let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Hosts::of(address, Some(gone))
    }

    #[tokio::test]
    async fn without_records_it_is_the_host_itself() {
        let mut hosts = hosts("couchbases://cb.example");
        let found = hosts.get().await;
        assert_eq!(found, [Address::new("cb.example", 11_207).unwrap()]);
        assert!(matches!(&hosts.told, Some(Err(error)) if error.contains("refused")), "{found:?}");
    }

    #[tokio::test]
    async fn hosts_with_a_port_are_not_looked_up() {
        let mut hosts = hosts("couchbase://cb.example:11210");
        assert_eq!(hosts.get().await, [Address::new("cb.example", 11_210).unwrap()]);
        assert!(hosts.told.is_none());
    }

    #[test]
    fn another_order_is_no_news() {
        let mut hosts = hosts("couchbase://cb.example");
        let nodes = |names: &[&str]| Ok(names.iter().map(ToString::to_string).collect());
        hosts.tell("name", nodes(&["a:1", "b:1"]));
        let told = hosts.told.clone();
        hosts.tell("name", nodes(&["b:1", "a:1"]));
        assert_eq!(hosts.told, told);
        hosts.tell("name", nodes(&["b:1"]));
        assert_ne!(hosts.told, told);
    }
}
