//! Configuration: as written ([`file`]), checked ([`check`]), ready to use ([`Config`]).
//!
//! A value in [`Config`] is parsed and needs no further check. All problems of a file are reported,
//! each with file, line, column, key, what was found and what is allowed.

mod check;
mod checked;
mod cluster;
mod contradictions;
mod embedded;
mod file;
mod following;
mod limits;
mod links;
mod log;
mod rules;
mod schema;
mod sources;
mod summary;
#[cfg(test)]
mod tests;
mod tls;
mod verification;
mod verify;
mod warnings;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where a sidecar listens whose file does not say.
pub(crate) const ADMIN_DEFAULT: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), ADMIN_PORT);
/// The default port of the admin API: none that Couchbase or another usual program listens on.
const ADMIN_PORT: u16 = 4870;
/// The default share of wanted streams for `/ready`: all of them, so that no failure is hidden.
const READY_PERCENT: u8 = 100;

/// What a program without the feature `etcd` says to those who want it.
pub(crate) const WITHOUT_ETCD: &str = "this program was built without etcd: build it with `cargo \
    build --release --features etcd`, which needs protoc (Debian: protobuf-compiler \
    libprotobuf-dev)";

pub use ::settings::{Problem, Problems};
pub use checked::{
    Admin, Bucket, Certificate, Config, Embedded, EmbeddedNode, Etcd, EtcdTls, Limits, Log,
    MapSource, Node,
};
pub use cluster::Cluster;
pub use schema::{VARIABLES, settings};
pub use verification::Verification;

pub(crate) use ::settings::plain;

use check::Given;

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads and checks the file at `path`; overrides and secrets are read from the process's
/// environment, secrets from their files too.
///
/// # Errors
/// All problems of the file, in the order of its lines.
pub fn load(path: &Path) -> Result<Config, Problems> {
    with_process(path, check::check).and_then(built_with)
}

/// Refuses what this program was built without.
fn built_with(config: Config) -> Result<Config, Problems> {
    match config.source {
        MapSource::Etcd(_) if !cfg!(feature = "etcd") => {
            Err(Problems::whole(&config.path, format!("desired: etcd: {WITHOUT_ETCD}")))
        }
        MapSource::Etcd(_) | MapSource::File | MapSource::Cluster(_) => Ok(config),
    }
}

/// Reads and checks `[desired]` only, for a client of etcd, which may not be able to read the
/// secrets of the data nodes.
///
/// # Errors
/// As [`load`].
pub fn load_source(path: &Path) -> Result<MapSource, Problems> {
    with_process(path, check::source)
}

/// Reads and checks `[admin]` and `[state] directory` only, for a client of the admin API, which
/// may not be able to read the secrets of the data nodes.
///
/// # Errors
/// As [`load`].
pub fn load_admin(path: &Path) -> Result<(Admin, PathBuf), Problems> {
    with_process(path, check::admin)
}

/// `[state] directory` of the file at `path` where it does not name one, or cannot be read.
#[must_use]
pub fn default_state(path: &Path) -> PathBuf {
    sources::default_state(path, |name| std::env::var(name).ok())
}

fn with_process<T>(
    path: &Path,
    check: impl FnOnce(Given<'_>) -> Result<T, Problems>,
) -> Result<T, Problems> {
    let text = ::settings::read(path, REMEDY)?;
    let environment: Environment<'_> = &|name| std::env::var(name).ok();
    let overrides = ::settings::variables(VARIABLES);
    check(Given { path, text: &text, environment, overrides: &overrides })
}

/// What to do where the file cannot be read.
const REMEDY: &str = "name another file with --config";

/// Checks `text` as the content of the file at `path`, without overrides. Relative paths in it are
/// relative to the folder of `path`.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, text: &str, environment: Environment<'_>) -> Result<Config, Problems> {
    parse_with(path, text, environment, &[])
}

/// As [`parse`], with environment variables that override the file, by name and value.
///
/// # Errors
/// As [`load`].
pub fn parse_with(
    path: &Path,
    text: &str,
    environment: Environment<'_>,
    overrides: &[(String, String)],
) -> Result<Config, Problems> {
    check::check(Given { path, text, environment, overrides })
}

/// The whole file with every setting, its default and a comment.
#[must_use]
pub fn default_file() -> String {
    ::settings::default_file(&settings(), schema::INTRO)
}

/// The keys of which the values differ, such as `bucket default: replicate`; a section alone where
/// all of it is new or gone.
#[must_use]
pub fn changed(old: &Config, new: &Config) -> Vec<String> {
    ::settings::changed(&old.entries, &new.entries)
}

/// As [`changed`], of the keys that a running sidecar cannot take over.
#[must_use]
pub fn restart_needed(old: &Config, new: &Config) -> Vec<String> {
    ::settings::restart_needed(&old.entries, &new.entries)
}
