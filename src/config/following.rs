//! Checks `[cluster]`, where the maps of a Couchbase cluster are followed.

use std::net::SocketAddr;

use clustermap::{Address, AddressError, ConnectionString, Network};
use relay::Tls;
use toml::Spanned;

use super::check::Checker;
use super::checked::MapSource;
use super::cluster::Cluster;
use super::file;
use super::warnings::is_local;

impl Checker<'_, '_> {
    /// Checks `[cluster]`, and that nothing else says what is replicated.
    pub(super) fn cluster(
        &mut self,
        file: &file::File,
        written: &file::Cluster,
    ) -> Option<MapSource> {
        for producer in &file.producer {
            let key = format!("producer {:?}: name", producer.name.as_ref());
            let text = "must not be set: the nodes come from [cluster] address";
            self.report(producer.name.span(), &key, text);
        }
        if let Some(desired) = &file.desired {
            let text = "must not be set: the desired maps come from [cluster] address";
            self.report(desired.etcd.span(), "desired: etcd", text);
        }
        self.without_replicate(file, "[cluster] address");
        let address = self.value("cluster: address", &written.address, |text| {
            text.parse::<ConnectionString>().map_err(|error: AddressError| error.to_string())
        })?;
        let resolver = self.resolver(written, &address);
        let tls = self.cluster_tls(written, &address);
        let password = self.secret("cluster: password", &written.password);
        let network = match &written.network {
            Some(written) => self.value("cluster: network", written, |text| match text.as_str() {
                "auto" => Ok(None),
                "default" => Ok(Some(Network::Default)),
                "external" => Ok(Some(Network::External)),
                _ => Err(format!("{text:?} is not a network: give auto, default or external")),
            }),
            None => Some(None),
        };
        let has_server_name =
            written.tls.as_ref().is_some_and(|tls| tls.as_ref().server_name.is_some());
        let username = written.username.as_ref().clone();
        Some(MapSource::Cluster(Cluster {
            address,
            resolver: resolver?,
            username,
            password: password?,
            tls: tls?,
            has_server_name,
            network: network?,
        }))
    }

    /// A name server is of use where SRV records are looked up.
    fn resolver(
        &mut self,
        written: &file::Cluster,
        address: &ConnectionString,
    ) -> Option<Option<SocketAddr>> {
        let Some(resolver) = &written.resolver else { return Some(None) };
        if address.srv_name.is_none() {
            let text = "is not used: SRV records are looked up where the address is one name \
                        without a port, such as couchbases://cluster.example";
            self.report(resolver.span(), "cluster: resolver", text);
            return None;
        }
        self.value("cluster: resolver", resolver, |text| clustermap::nameserver(text)).map(Some)
    }

    /// TLS is of the scheme: with `couchbases` it is needed, and otherwise it would not be used.
    fn cluster_tls(
        &mut self,
        written: &file::Cluster,
        address: &ConnectionString,
    ) -> Option<Option<Tls>> {
        let host = address.hosts.first().map_or("", |first| &first.host);
        let is_near = |it: &Address| is_local(&it.to_string());
        match (&written.tls, address.tls) {
            (Some(tls), true) => self.tls("cluster: ", tls, &format!("{host}:0")).map(Some),
            (None, false) => {
                if !address.hosts.iter().all(is_near) {
                    let text = "the password is sent to the nodes unencrypted: give \
                                couchbases:// and tls = { ca = \"...\" }";
                    self.warn(&written.address.span(), "cluster: address", text);
                }
                Some(None)
            }
            (None, true) => {
                let text = "is missing: give tls = { ca = \"...\" } with couchbases://";
                self.report(written.address.span(), "cluster: tls", text);
                None
            }
            (Some(tls), false) => {
                let text = "is not used with couchbase://: give couchbases:// as the address";
                self.report(tls.span(), "cluster: tls", text);
                None
            }
        }
    }

    /// Reports every `replicate` of a bucket, where `source` says what is replicated.
    pub(super) fn without_replicate(&mut self, file: &file::File, source: &str) {
        for bucket in &file.bucket {
            if let Some(producer) = bucket.replicate.keys().next() {
                let key = format!("bucket {:?}: replicate", bucket.name.as_ref());
                let text = format!("must not be set: the desired maps come from {source}");
                self.report(Spanned::span(producer), &key, text);
            }
        }
    }
}
