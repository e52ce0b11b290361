//! Configuration: as written ([`file`]), checked ([`check`]), ready to use ([`Config`]).
//!
//! A value in [`Config`] is parsed and needs no further check. All problems of a file are reported,
//! each with file, line, key, what was found and what is allowed.

mod check;
mod checked;
mod differences;
mod embedded;
mod file;
mod limits;
mod links;
mod log;
mod problem;
mod rules;
mod sources;
mod summary;
#[cfg(test)]
mod tests;
mod tls;
mod warnings;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// Where a sidecar listens whose file does not say.
pub(crate) const ADMIN_DEFAULT: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), check::ADMIN_PORT);

/// What a program without the feature `etcd` says to those who want it.
pub(crate) const WITHOUT_ETCD: &str = "this program was built without etcd: build it with `cargo \
    build --release --features etcd`, which needs protoc (Debian: protobuf-compiler \
    libprotobuf-dev)";

pub use checked::{
    Admin, Bucket, Certificate, Config, Embedded, EmbeddedNode, Etcd, EtcdTls, Limits, Log,
    MapSource, Node,
};
pub use differences::{changed, restart_needed};
pub use problem::{Problem, Problems};

pub(crate) use problem::plain;

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads and checks the file at `path`; secrets are read from their files and from the process's
/// environment.
///
/// # Errors
/// All problems of the file, in the order of its lines.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let text = std::fs::read_to_string(path).map_err(|error| Problems::unreadable(path, &error))?;
    parse(path, &text, &|name| std::env::var(name).ok()).and_then(built_with)
}

/// Refuses what this program was built without.
fn built_with(config: Config) -> Result<Config, Problems> {
    match config.source {
        MapSource::Etcd(_) if !cfg!(feature = "etcd") => {
            let (key, text) = ("desired: etcd".to_owned(), WITHOUT_ETCD.to_owned());
            Err(Problems { path: config.path, list: vec![Problem { line: 0, key, text }] })
        }
        MapSource::Etcd(_) | MapSource::File => Ok(config),
    }
}

/// Reads and checks `[desired]` only, for a client of etcd, which may not be able to read the
/// secrets of the data nodes.
///
/// # Errors
/// As [`load`].
pub fn load_source(path: &Path) -> Result<MapSource, Problems> {
    let text = std::fs::read_to_string(path).map_err(|error| Problems::unreadable(path, &error))?;
    match toml::from_str(&text) {
        Ok(file) => check::source(path, &text, &file, &|name| std::env::var(name).ok()),
        Err(error) => Err(Problems::syntax(path, &text, &error)),
    }
}

/// Reads and checks `[admin]` only, for a client of the admin API, which may not be able to read
/// the secrets of the data nodes.
///
/// # Errors
/// As [`load`].
pub fn load_admin(path: &Path) -> Result<Admin, Problems> {
    let text = std::fs::read_to_string(path).map_err(|error| Problems::unreadable(path, &error))?;
    match toml::from_str(&text) {
        Ok(file) => check::admin(path, &text, &file, &|name| std::env::var(name).ok()),
        Err(error) => Err(Problems::syntax(path, &text, &error)),
    }
}

/// Checks `text` as the content of the file at `path`. Relative paths in it are relative to the
/// folder of `path`.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, text: &str, environment: Environment<'_>) -> Result<Config, Problems> {
    match toml::from_str(text) {
        Ok(file) => check::check(path, text, &file, environment),
        Err(error) => Err(Problems::syntax(path, text, &error)),
    }
}
