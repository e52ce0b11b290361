//! What is allowed and probably not meant: `dcp-proxy check` warns about it, and the log at the
//! start.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use toml::Spanned;

use super::check::Checker;
use super::file;

impl Checker<'_, '_> {
    /// Warns of a file with a secret that others may read.
    pub(super) fn warn_of_readers(&mut self, key: &str, written: &Spanned<file::Secret>) {
        if let file::Secret::File(path) = written.as_ref() {
            self.warn_of_file(key, &written.span(), path);
        }
    }

    fn warn_of_file(&mut self, key: &str, at: &Range<usize>, path: &Path) {
        let path = self.folder.join(path);
        if let Some(mode) = readable_by_others(&path) {
            let path = path.display();
            let text = format!("file {path} can be read by others (mode {mode:03o}): chmod 600 it");
            self.warn(at, key, text);
        }
    }

    /// Warns of a key that others may read, of a password that everybody on the way can read, and
    /// of members that are named twice.
    pub(super) fn warn_of_etcd(&mut self, etcd: &file::Etcd) {
        if let Some(key) = etcd.tls.as_ref().and_then(|tls| tls.as_ref().key.as_ref()) {
            self.warn_of_file("desired: etcd.tls.key", &key.span(), key.as_ref());
        }
        let mut seen = BTreeMap::new();
        for endpoint in etcd.endpoints.as_ref() {
            let text = endpoint.as_ref();
            if etcd.tls.is_none() && etcd.password.is_some() && !is_local(text) {
                let text = format!(
                    "the password is sent to {text} unencrypted: give tls = {{ ca = \"...\" }}"
                );
                self.warn(&endpoint.span(), "desired: etcd.tls", text);
            }
            if seen.insert(normal(text), ()).is_some() {
                let text = format!("{text} is named twice: remove one of them");
                self.warn(&endpoint.span(), "desired: etcd.endpoints", text);
            }
        }
    }

    /// Warns of relations between the sections.
    pub(super) fn warn_of_use(&mut self, file: &file::File) {
        let sections = file.node.iter().map(|node| ("node", node));
        let producers = file.producer.iter().map(|node| ("producer", node));
        let nodes: Vec<_> = sections.chain(producers).collect();
        let key = |section: &str, node: &file::Node| match section {
            "node" => "node".to_owned(),
            _ => format!("producer {:?}", node.name.as_ref()),
        };
        let mut first_at = BTreeMap::new();
        for (section, node) in nodes {
            let key = key(section, node);
            if let Some(written) = &node.address {
                let place = self.words(&written.span());
                if let Some(first) = first_at.insert(normal(written.as_ref()), place) {
                    let text = format!(
                        "{} is the address in {first} too: no node replicates from itself",
                        written.as_ref()
                    );
                    self.warn(&written.span(), &format!("{key}: address"), text);
                }
                if node.tls.is_none() && node.password.is_some() && !is_local(written.as_ref()) {
                    self.warn_of_listeners(&key, node, written);
                }
            }
            let tls_key = node.tls.as_ref().and_then(|tls| tls.as_ref().key.as_ref());
            if let Some(written) = tls_key {
                self.warn_of_file(&format!("{key}: tls.key"), &written.span(), written.as_ref());
            }
            let is_used = |bucket: &file::Bucket| {
                bucket.replicate.keys().any(|name| name.as_ref() == node.name.as_ref())
            };
            let needs_use = section == "producer" && file.desired.is_none();
            if needs_use && !file.bucket.iter().any(is_used) {
                let text = "no bucket replicates from it: name it in replicate of a [[bucket]]";
                self.warn(&node.name.span(), &key, text);
            }
        }
    }
}

impl Checker<'_, '_> {
    /// Warns of a connection over a network without TLS.
    fn warn_of_listeners(&mut self, key: &str, node: &file::Node, address: &Spanned<String>) {
        let allowed = node.allow_plain.as_ref().filter(|allowed| *allowed.as_ref());
        let (at, field, what) = match allowed {
            Some(allowed) => (allowed.span(), "allow_plain", "the password may be sent"),
            None => (address.span(), "tls", "documents are sent"),
        };
        let address = address.as_ref();
        let text = format!("{what} to {address} unencrypted: give tls = {{ ca = \"...\" }}");
        self.warn(&at, &format!("{key}: {field}"), text);
    }
}

/// The permissions of a file that others than its owner may read.
fn readable_by_others(path: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(path).ok()?;
    let mode = metadata.mode() & 0o777;
    (mode & for_others(metadata.uid(), metadata.gid()) != 0).then_some(mode)
}

/// The bits that let others read. A file of root that a group may read is meant for that group:
/// packages and Kubernetes hand over secrets in this way.
const fn for_others(owner: u32, group: u32) -> u32 {
    if owner == 0 && group != 0 { 0o004 } else { 0o044 }
}

/// The host of an address, without the brackets of IPv6.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

pub(super) fn is_local(address: &str) -> bool {
    let host = host(address);
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

/// An address so that two spellings of the same one are equal.
fn normal(address: &str) -> String {
    let (host, port) = (host(address), address.rsplit_once(':').map_or("", |(_, port)| port));
    match host.to_ascii_lowercase().as_str() {
        "localhost" => format!("127.0.0.1:{port}"),
        host => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_read_what_root_gave_it() {
        let warned = |mode: u32, owner, group| mode & for_others(owner, group) != 0;
        assert!(!warned(0o600, 1000, 1000) && !warned(0o600, 0, 0));
        assert!(warned(0o640, 1000, 1000) && warned(0o640, 0, 0) && warned(0o604, 0, 0));
        assert!(!warned(0o640, 0, 998) && !warned(0o440, 0, 65532));
        assert!(warned(0o644, 0, 998) && warned(0o604, 0, 998));
    }
}
