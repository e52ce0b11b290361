//! The configuration file, parsed and checked. All of its mistakes are reported.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use settings::{Document, Findings, Problems, Source};
use toml::Spanned;
use vbucket::conflict::Resolution;
use vbucket::store::Durability;

use super::initial_state::Given;
use super::log::{Log, LogTable, level};
use super::raw::{Bucket, DurabilityName, File, LimitsTable, ResolutionName, TlsTable, User};
use super::schema::{INTRO, VARIABLES, settings};
use super::values::{parse_address, password};
use crate::bucket::BucketOptions;
use crate::config::{self, Bucketless, Grant, Limits, Role};
use crate::tls::Tls;

const MIB: u64 = 1024 * 1024;

/// The checked contents of a file. The command line gives what it leaves out.
#[derive(Default)]
pub(super) struct Partial {
    pub(super) listen: Option<SocketAddr>,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) tls: Option<Tls>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) data: Option<PathBuf>,
    pub(super) buckets: Vec<BucketOptions>,
    pub(super) states: Vec<Given>,
    pub(super) users: Vec<config::User>,
    /// The file of more users, unread.
    pub(super) users_file: Option<PathBuf>,
    pub(super) bucketless: Bucketless,
    pub(super) log: Log,
    pub(super) limits: Limits,
    /// The effective value of every setting, and where it comes from.
    pub(super) entries: Vec<settings::Entry>,
}

/// What the environment variables say, without a file.
///
/// # Errors
/// All mistakes.
pub(super) fn of_environment() -> Result<Partial, Problems> {
    parse(Path::new(""), "", &settings::variables(VARIABLES))
}

/// Reads and checks a file, with the environment variables that override it. Relative paths in it
/// are relative to its folder.
///
/// # Errors
/// All mistakes.
pub(super) fn read(path: &Path) -> Result<Partial, Problems> {
    let overrides = settings::variables(VARIABLES);
    let text = settings::read(path, "name another file with --config")?;
    parse(path, &text, &overrides)
}

/// The whole file with every setting, its default and a comment.
pub(super) fn default_file() -> String {
    settings::default_file(&settings(), INTRO)
}

/// The settings of file and environment as a file, with where each comes from.
pub(super) fn effective_file(path: Option<&Path>) -> Result<String, Problems> {
    let partial = path.map_or_else(of_environment, read)?;
    let path = path.unwrap_or(Path::new("the environment"));
    Ok(settings::effective_file(path, &partial.entries))
}

/// As [`read`], with `text` as the content of the file.
pub(super) fn parse(
    path: &Path,
    text: &str,
    overrides: &[(String, String)],
) -> Result<Partial, Problems> {
    let settings = settings();
    let source = Source::new(path, text, overrides);
    let mut document = Document::read(&source, &settings, VARIABLES)?;
    if let Some(file) = document.written::<File>() {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut checker = Checker { findings: &mut document.findings, folder };
        let partial = checker.partial(&file);
        if document.findings.is_good() {
            let entries = document.entries();
            return Ok(Partial { entries, ..partial });
        }
    }
    Err(document.into_problems())
}

struct Checker<'c, 'a> {
    findings: &'c mut Findings<'a>,
    folder: &'c Path,
}

impl Checker<'_, '_> {
    /// What is wrong is reported and left out.
    fn partial(&mut self, file: &File) -> Partial {
        let folder = self.folder;
        let names = file.bucket.iter().map(|bucket| &bucket.name);
        self.unique("bucket", names);
        self.unique("user", file.user.iter().map(|user| &user.name));
        Partial {
            listen: self.address("listen", file.listen.as_ref()),
            metrics: self.address("metrics", file.metrics.as_ref()),
            tls: file.tls.as_ref().and_then(|tls| self.tls(tls)),
            certificate: file.tls.as_ref().map(|tls| folder.join(&tls.as_ref().certificate)),
            data: file.data.as_ref().map(|data| folder.join(data)),
            states: file.bucket.iter().filter_map(Bucket::given).collect(),
            buckets: file.bucket.iter().filter_map(|bucket| self.bucket(bucket)).collect(),
            users: file.user.iter().filter_map(|user| self.user(user)).collect(),
            users_file: file.users_file.as_ref().map(|path| folder.join(path.as_ref())),
            bucketless: Bucketless {
                select_user_bucket: file.select_user_bucket.unwrap_or_default(),
                anonymous_bucket: file.anonymous_bucket.clone(),
            },
            log: self.log(&file.log),
            limits: limits(&file.limits),
            entries: Vec::new(),
        }
    }

    fn address(&mut self, key: &str, written: Option<&Spanned<String>>) -> Option<SocketAddr> {
        self.findings.value(key, written?, |text| parse_address(text))
    }

    fn unique<'n>(&mut self, what: &str, names: impl Iterator<Item = &'n Spanned<String>>) {
        let mut seen: Vec<&Spanned<String>> = Vec::new();
        for name in names {
            match seen.iter().find(|other| other.as_ref() == name.as_ref()) {
                Some(first) => {
                    let first = self.findings.source().words(&first.span());
                    let key = format!("{what} {:?}: name", name.as_ref());
                    let text = format!("duplicate name, first used in {first}");
                    self.findings.report(&name.span(), &key, text);
                }
                None => seen.push(name),
            }
        }
    }

    fn tls(&mut self, written: &Spanned<TlsTable>) -> Option<Tls> {
        let folder = self.folder;
        let TlsTable { certificate, key, .. } = written.as_ref();
        if certificate.as_os_str().is_empty() || key.as_os_str().is_empty() {
            // It is reported as missing.
            return None;
        }
        self.findings.value("tls", written, |TlsTable { certificate, key, client_ca }| {
            let client_ca = client_ca.as_ref().map(|path| folder.join(path));
            let (certificate, key) = (folder.join(certificate), folder.join(key));
            Tls::load(&certificate, &key, client_ca.as_deref())
        })
    }

    fn bucket(&mut self, bucket: &Bucket) -> Option<BucketOptions> {
        let mut options = BucketOptions::new(bucket.name.as_ref());
        options.vbuckets = bucket.vbuckets.unwrap_or(options.vbuckets);
        if let Some(state) = bucket.state {
            options.initial_state = state.vb_state();
        }
        options.durability = match bucket.durability {
            Some(DurabilityName::Buffered | DurabilityName::MemoryFirst) => Durability::Buffered,
            Some(DurabilityName::Synced) | None => Durability::Synced,
        };
        options.memory_first = matches!(bucket.durability, Some(DurabilityName::MemoryFirst));
        if let Some(quota) = bucket.quota_mib {
            options.set_quota(quota * MIB);
        }
        let seconds = |written: Option<u64>, default| written.map_or(default, Duration::from_secs);
        options.expiry_pager_interval =
            seconds(bucket.expiry_interval_s, options.expiry_pager_interval);
        let kept = bucket.deletions_kept_h.map(|hours| hours * 3600);
        options.deletions_kept = seconds(kept, options.deletions_kept);
        let ahead = bucket.hlc_drift_ahead_ms.map(Duration::from_millis);
        options.drift.ahead = ahead.unwrap_or(options.drift.ahead);
        options.drift.future_max = seconds(bucket.hlc_max_future_s, options.drift.future_max);
        options.resolution = match bucket.conflict_resolution {
            Some(ResolutionName::Lww) => Resolution::LastWriteWins,
            Some(ResolutionName::Seqno) | None => Resolution::Seqno,
        };
        options.retention.bytes = bucket.history_retention_bytes.unwrap_or_default();
        options.retention.seconds = bucket.history_retention_seconds.unwrap_or_default();
        let key = format!("bucket {:?}: name", bucket.name.as_ref());
        self.findings.value(&key, &bucket.name, |_| options.check())?;
        Some(options)
    }

    fn user(&mut self, user: &User) -> Option<config::User> {
        let name = user.name.as_ref();
        let file = &user.password.as_ref().file;
        let path = self.folder.join(file.as_ref());
        let key = format!("user {name:?}: password");
        let secret = self.findings.value(&key, file, |_| password(&path))?;
        // Another name was reported.
        let role = user.role.as_ref().and_then(|role| Role::named(role.as_ref()));
        let grant = Grant { role: role.unwrap_or_default(), buckets: user.buckets.clone() };
        Some(config::User { grant, ..config::User::admin(name, secret) })
    }

    fn log(&mut self, table: &LogTable) -> Log {
        let LogTable { level: name, format } = table;
        let format = format.as_ref();
        Log {
            level: name
                .as_ref()
                .and_then(|name| self.findings.value("log: level", name, |name| level(name))),
            format: format
                .and_then(|name| self.findings.value("log: format", name, |name| name.parse())),
        }
    }
}

fn limits(table: &LimitsTable) -> Limits {
    let default = Limits::default();
    let seconds = |written: Option<u64>, default| written.map_or(default, Duration::from_secs);
    Limits {
        connections_max: table.connections_max.unwrap_or(default.connections_max),
        authentication: seconds(table.authentication_s, default.authentication),
        worker_threads: table.worker_threads.unwrap_or(default.worker_threads),
        shutdown: seconds(table.shutdown_s, default.shutdown),
    }
}
