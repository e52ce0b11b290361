//! The configuration file, parsed and checked. Errors name file and line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relay::Secret;
use serde::Deserialize;
use toml::Spanned;
use vbucket::store::Durability;

use super::initial_state::Given;
use super::log::{Log, LogTable, level};
use super::values::{Address, InitialState, password};
use crate::bucket::BucketOptions;
use crate::config::Limits;
use crate::tls::Tls;

const MIB: u64 = 1024 * 1024;

/// The largest quota: 4 TiB, more memory than a machine has.
const QUOTA_MIB_MAX: u64 = 4 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<Address>,
    metrics: Option<Address>,
    tls: Option<Spanned<TlsTable>>,
    data: Option<PathBuf>,
    #[serde(default)]
    bucket: Vec<Bucket>,
    #[serde(default)]
    user: Vec<User>,
    #[serde(default)]
    log: LogTable,
    #[serde(default)]
    limits: LimitsTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsTable {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    name: Spanned<String>,
    vbuckets: Option<u16>,
    state: Option<InitialState>,
    durability: Option<DurabilityName>,
    quota_mib: Option<Spanned<u64>>,
    expiry_interval_s: Option<Spanned<u64>>,
    deletions_kept_h: Option<Spanned<u64>>,
    hlc_drift_ahead_ms: Option<Spanned<u64>>,
    hlc_max_future_s: Option<Spanned<u64>>,
}

impl Bucket {
    fn given(&self) -> Option<Given> {
        Some(Given { bucket: self.name.as_ref().clone(), state: self.state? })
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DurabilityName {
    Synced,
    Buffered,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: Spanned<String>,
    password: Spanned<PasswordSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordSource {
    file: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    connections_max: Option<Spanned<usize>>,
    authentication_s: Option<Spanned<u64>>,
    worker_threads: Option<Spanned<usize>>,
    shutdown_s: Option<Spanned<u64>>,
}

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
    pub(super) users: Vec<(String, Secret)>,
    pub(super) log: Log,
    pub(super) limits: Limits,
}

/// Reads and checks a file. Relative paths in it are relative to its folder.
pub(super) fn read(path: &Path) -> Result<Partial, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path:?}: {error}"))?;
    let file: File = toml::from_str(&text).map_err(|error| match error.span() {
        Some(at) => {
            format!("{}:{}: {}", path.display(), line_of(&text, at.start), error.message())
        }
        None => format!("{}: {}", path.display(), error.message()),
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let checker = Checker { path, text: &text, folder };
    Ok(Partial {
        listen: file.listen.map(|Address(address)| address),
        metrics: file.metrics.map(|Address(address)| address),
        tls: file.tls.as_ref().map(|tls| checker.tls(tls)).transpose()?,
        certificate: file.tls.as_ref().map(|tls| folder.join(&tls.as_ref().certificate)),
        data: file.data.map(|data| folder.join(data)),
        states: file.bucket.iter().filter_map(Bucket::given).collect(),
        buckets: file.bucket.iter().map(|b| checker.bucket(b)).collect::<Result<_, _>>()?,
        users: file.user.iter().map(|user| checker.user(user)).collect::<Result<_, _>>()?,
        log: checker.log(&file.log)?,
        limits: checker.limits(&file.limits)?,
    })
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

struct Checker<'a> {
    path: &'a Path,
    text: &'a str,
    folder: &'a Path,
}

impl Checker<'_> {
    fn problem<T>(&self, at: &Spanned<T>, what: impl std::fmt::Display) -> String {
        format!("{}:{}: {what}", self.path.display(), line_of(self.text, at.span().start))
    }

    /// Returns a number within `min..=max`, or the default if none is given.
    fn number<T: Copy + PartialOrd + std::fmt::Display>(
        &self,
        given: Option<&Spanned<T>>,
        default: T,
        (min, max): (T, T),
    ) -> Result<T, String> {
        let Some(given) = given else { return Ok(default) };
        let number = *given.as_ref();
        if number < min || number > max {
            let what = format!("{number} is out of range: give {min} to {max}");
            return Err(self.problem(given, what));
        }
        Ok(number)
    }

    fn tls(&self, written: &Spanned<TlsTable>) -> Result<Tls, String> {
        let TlsTable { certificate, key, client_ca } = written.as_ref();
        let client_ca = client_ca.as_ref().map(|path| self.folder.join(path));
        let (certificate, key) = (self.folder.join(certificate), self.folder.join(key));
        Tls::load(&certificate, &key, client_ca.as_deref())
            .map_err(|what| self.problem(written, what))
    }

    fn bucket(&self, bucket: &Bucket) -> Result<BucketOptions, String> {
        let mut options = BucketOptions::new(bucket.name.as_ref());
        options.vbuckets = bucket.vbuckets.unwrap_or(options.vbuckets);
        if let Some(state) = bucket.state {
            options.initial_state = state.vb_state();
        }
        options.durability = match bucket.durability {
            Some(DurabilityName::Buffered) => Durability::Buffered,
            Some(DurabilityName::Synced) | None => Durability::Synced,
        };
        let quota = (BucketOptions::QUOTA_BYTES_MIN / MIB, QUOTA_MIB_MAX);
        let default = options.quota_bytes / MIB;
        options.set_quota(self.number(bucket.quota_mib.as_ref(), default, quota)? * MIB);
        let interval = options.expiry_pager_interval.as_secs();
        let interval = self.number(bucket.expiry_interval_s.as_ref(), interval, (1, 86_400))?;
        options.expiry_pager_interval = Duration::from_secs(interval);
        let hours = options.deletions_kept.as_secs() / 3600;
        let hours = self.number(bucket.deletions_kept_h.as_ref(), hours, (1, 1440))?;
        options.deletions_kept = Duration::from_secs(hours * 3600);
        let ahead = options.drift.ahead.as_millis() as u64;
        let ahead = self.number(bucket.hlc_drift_ahead_ms.as_ref(), ahead, (1, 86_400_000))?;
        options.drift.ahead = Duration::from_millis(ahead);
        let future = options.drift.future_max.as_secs();
        let future = self.number(bucket.hlc_max_future_s.as_ref(), future, (1, 31_622_400))?;
        options.drift.future_max = Duration::from_secs(future);
        options.check().map_err(|what| self.problem(&bucket.name, what))?;
        Ok(options)
    }

    fn user(&self, user: &User) -> Result<(String, Secret), String> {
        let path = self.folder.join(&user.password.as_ref().file);
        let secret = password(&path).map_err(|what| self.problem(&user.password, what))?;
        Ok((user.name.as_ref().clone(), secret))
    }

    fn log(&self, table: &LogTable) -> Result<Log, String> {
        let level =
            |name: &Spanned<String>| level(name.as_ref()).map_err(|what| self.problem(name, what));
        let format = |name: &Spanned<String>| {
            name.as_ref().parse().map_err(|what: String| self.problem(name, what))
        };
        Ok(Log {
            level: table.level.as_ref().map(level).transpose()?,
            format: table.format.as_ref().map(format).transpose()?,
        })
    }

    fn limits(&self, table: &LimitsTable) -> Result<Limits, String> {
        let Limits { connections_max, authentication, worker_threads, shutdown } =
            Limits::default();
        let seconds = |given: &Option<_>, default: Duration| {
            self.number(given.as_ref(), default.as_secs(), (1, 3600)).map(Duration::from_secs)
        };
        let connections = table.connections_max.as_ref();
        let threads = table.worker_threads.as_ref();
        Ok(Limits {
            connections_max: self.number(connections, connections_max, (1, 100_000))?,
            authentication: seconds(&table.authentication_s, authentication)?,
            worker_threads: self.number(threads, worker_threads, (1, 64))?,
            shutdown: seconds(&table.shutdown_s, shutdown)?,
        })
    }
}
