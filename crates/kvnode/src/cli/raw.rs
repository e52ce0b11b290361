//! The configuration file as written: structure and spans, without checks.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::initial_state::Given;
use super::log::LogTable;
use super::values::InitialState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) metrics: Option<Spanned<String>>,
    pub(super) tls: Option<Spanned<TlsTable>>,
    pub(super) data: Option<PathBuf>,
    #[serde(default)]
    pub(super) bucket: Vec<Bucket>,
    #[serde(default)]
    pub(super) user: Vec<User>,
    pub(super) users_file: Option<Spanned<PathBuf>>,
    pub(super) select_user_bucket: Option<bool>,
    pub(super) anonymous_bucket: Option<String>,
    #[serde(default)]
    pub(super) log: LogTable,
    #[serde(default)]
    pub(super) limits: LimitsTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bucket {
    pub(super) name: Spanned<String>,
    pub(super) vbuckets: Option<u16>,
    pub(super) state: Option<InitialState>,
    pub(super) durability: Option<DurabilityName>,
    pub(super) quota_mib: Option<u64>,
    pub(super) expiry_interval_s: Option<u64>,
    pub(super) deletions_kept_h: Option<u64>,
    pub(super) hlc_drift_ahead_ms: Option<u64>,
    pub(super) hlc_max_future_s: Option<u64>,
    pub(super) conflict_resolution: Option<ResolutionName>,
    pub(super) history_retention_bytes: Option<u64>,
    pub(super) history_retention_seconds: Option<u64>,
}

impl Bucket {
    pub(super) fn given(&self) -> Option<Given> {
        Some(Given { bucket: self.name.as_ref().clone(), state: self.state? })
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DurabilityName {
    Synced,
    Buffered,
    MemoryFirst,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ResolutionName {
    Seqno,
    Lww,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) name: Spanned<String>,
    pub(super) password: Spanned<PasswordSource>,
    pub(super) role: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) buckets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordSource {
    pub(super) file: Spanned<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    pub(super) connections_max: Option<usize>,
    pub(super) authentication_s: Option<u64>,
    pub(super) worker_threads: Option<usize>,
    pub(super) shutdown_s: Option<u64>,
}
