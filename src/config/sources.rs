//! `[state]` and `[desired]`: where changes at run time are kept, and where desired maps come from.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::check::Checker;
use super::checked::{Etcd, EtcdTls, MapSource};
use super::schema::PREFIX;
use super::{file, rules};

/// The folder of the state of the file at `path`: beside the file and named after it, so that two
/// sidecars with files in one folder do not share it; with systemd the folder that the unit names.
pub(super) fn default_state(path: &Path, environment: impl Fn(&str) -> Option<String>) -> PathBuf {
    match environment("STATE_DIRECTORY") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => path.with_extension("state"),
    }
}

impl Checker<'_, '_> {
    /// The folder of the state.
    pub(super) fn state(&self, path: &Path, written: &file::State) -> PathBuf {
        let by_default = || default_state(path, |name| self.environment(name));
        written
            .directory
            .as_ref()
            .map_or_else(by_default, |directory| self.folder.join(directory.as_ref()))
    }

    pub(super) fn source(&mut self, file: &file::File) -> Option<MapSource> {
        if let Some(cluster) = &file.cluster {
            return self.cluster(file, cluster);
        }
        let Some(desired) = &file.desired else { return Some(MapSource::File) };
        self.without_replicate(file, "[desired] etcd");
        self.etcd(desired.etcd.as_ref()).map(MapSource::Etcd)
    }

    fn etcd(&mut self, etcd: &file::Etcd) -> Option<Etcd> {
        if etcd.endpoints.as_ref().is_empty() {
            let text = "is empty: give host:port of at least one member";
            self.report(etcd.endpoints.span(), "desired: etcd.endpoints", text);
        }
        let endpoints: Vec<_> = etcd
            .endpoints
            .as_ref()
            .iter()
            .map(|it| self.value("desired: etcd.endpoints", it, |text| rules::address(text)))
            .collect();
        let prefix = match &etcd.prefix {
            Some(it) => self.value("desired: etcd.prefix", it, |text| rules::prefix(text)),
            None => Some(PREFIX.to_owned()),
        };
        let first = endpoints.iter().flatten().next().cloned();
        let tls = match &etcd.tls {
            Some(written) => self.etcd_tls(written, first.as_deref()).map(Some),
            None => Some(None),
        };
        self.warn_of_etcd(etcd);
        let login = match (&etcd.username, &etcd.password) {
            (Some(user), Some(password)) => self
                .secret("desired: etcd.password", password)
                .map(|password| Some((user.as_ref().clone(), password))),
            (None, None) => Some(None),
            (Some(user), None) => {
                let text = "is missing: give both it and the username, or neither";
                self.report(user.span(), "desired: etcd.password", text);
                None
            }
            (None, Some(password)) => {
                let text = "is missing: give both it and the password, or neither";
                self.report(password.span(), "desired: etcd.username", text);
                None
            }
        };
        let endpoints = endpoints.into_iter().collect::<Option<_>>()?;
        Some(Etcd { endpoints, prefix: prefix?, tls: tls?, login: login? })
    }

    /// Checks the files, which etcd's own library reads again; without an endpoint there is no name
    /// to verify certificates against.
    fn etcd_tls(
        &mut self,
        written: &Spanned<file::Tls>,
        endpoint: Option<&str>,
    ) -> Option<EtcdTls> {
        self.tls("desired: etcd.", written, endpoint?)?;
        let tls = written.as_ref();
        let place = |path: &Spanned<PathBuf>| self.folder.join(path.as_ref());
        Some(EtcdTls {
            ca: place(tls.ca.as_ref()?),
            identity: tls.certificate.as_ref().map(place).zip(tls.key.as_ref().map(place)),
            server_name: tls.server_name.as_ref().map(|name| name.as_ref().clone()),
        })
    }
}
