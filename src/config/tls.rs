//! `tls` of a data node: checks that the files exist, are valid and belong together.

use std::ops::Range;
use std::path::{Path, PathBuf};

use relay::{Tls, TlsFiles, TlsPart, TlsProblem};
use toml::Spanned;

use super::check::Checker;
use super::checked::Certificate;
use super::file;

impl Checker<'_, '_> {
    /// The `tls` of a peer that is reached at `address`; the keys of its problems begin with
    /// `section`, such as `node: `.
    pub(super) fn tls(
        &mut self,
        section: &str,
        written: &Spanned<file::Tls>,
        address: &str,
    ) -> Option<Tls> {
        let (span, tls) = (written.span(), written.as_ref());
        let Some(ca) = &tls.ca else {
            let text = "is missing: give the file of the certificate authorities to trust";
            self.report(span, &format!("{section}tls.ca"), text);
            return None;
        };
        let lonely = match (&tls.certificate, &tls.key) {
            (Some(_), None) => Some(("key", "certificate")),
            (None, Some(_)) => Some(("certificate", "key")),
            _ => None,
        };
        if let Some((missing, given)) = lonely {
            let text = format!("is missing: give both it and the {given}, or neither");
            self.report(span, &format!("{section}tls.{missing}"), text);
            return None;
        }
        let place = |path: &Spanned<PathBuf>| self.folder.join(path.as_ref());
        let identity = tls.certificate.as_ref().map(place).zip(tls.key.as_ref().map(place));
        let loaded = Tls::load(TlsFiles {
            ca: &place(ca),
            identity: identity.as_ref().map(borrowed),
            server_name: tls.server_name.as_ref().map_or(host(address), |name| name.as_ref()),
        });
        let report = |TlsProblem { part, text }| {
            let (name, at) = spot(part, written);
            self.report(at, &format!("{section}tls.{name}"), text);
        };
        loaded.map_err(|problems| problems.into_iter().for_each(report)).ok()
    }
}

impl Checker<'_, '_> {
    /// The files of the certificates of every node.
    pub(super) fn certificates(&self, file: &file::File) -> Vec<Certificate> {
        let mut found = Vec::new();
        for node in file.node.iter().chain(&file.producer) {
            let Some(tls) = node.tls.as_ref().map(Spanned::as_ref) else { continue };
            for (key, path) in [("ca", &tls.ca), ("certificate", &tls.certificate)] {
                if let Some(path) = path {
                    let path = self.folder.join(path.as_ref());
                    found.push(Certificate { node: node.name.as_ref().clone(), key, path });
                }
            }
        }
        let of_cluster = file.cluster.as_ref().and_then(|cluster| cluster.tls.as_ref());
        if let Some(tls) = of_cluster.map(Spanned::as_ref) {
            for (key, path) in [("ca", &tls.ca), ("certificate", &tls.certificate)] {
                if let Some(path) = path {
                    let path = self.folder.join(path.as_ref());
                    found.push(Certificate { node: "cluster".to_owned(), key, path });
                }
            }
        }
        found
    }
}

fn borrowed((certificate, key): &(PathBuf, PathBuf)) -> (&Path, &Path) {
    (certificate, key)
}

/// The host of `host:port`, the name that a certificate is verified against.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The key of a part and its span; the span of the whole table if the part is not written.
fn spot(part: TlsPart, written: &Spanned<file::Tls>) -> (&'static str, Range<usize>) {
    let tls = written.as_ref();
    let (name, span) = match part {
        TlsPart::Ca => ("ca", tls.ca.as_ref().map(Spanned::span)),
        TlsPart::Certificate => ("certificate", tls.certificate.as_ref().map(Spanned::span)),
        TlsPart::Key => ("key", tls.key.as_ref().map(Spanned::span)),
        TlsPart::ServerName => ("server_name", tls.server_name.as_ref().map(Spanned::span)),
    };
    (name, span.unwrap_or_else(|| written.span()))
}
