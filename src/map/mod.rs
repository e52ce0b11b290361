//! `dcp-proxy map`: the maps of a whole cluster in etcd.
//!
//! `put`, `get`, `edit` and `watch` are one file each; `connect` finds etcd, `show` has the lines
//! that people read. Without the feature `etcd` only the arguments are there.

mod args;
#[cfg(feature = "etcd")]
mod connect;
#[cfg(feature = "etcd")]
mod edit;
#[cfg(feature = "etcd")]
mod failure;
#[cfg(feature = "etcd")]
mod get;
#[cfg(feature = "etcd")]
mod output;
#[cfg(feature = "etcd")]
mod put;
#[cfg(feature = "etcd")]
mod show;
#[cfg(feature = "etcd")]
mod watch;

use std::path::Path;

use crate::client::Exit;

pub use self::args::{Map, To};
#[cfg(feature = "etcd")]
pub use self::connect::etcd_config;

/// Carries out a command, for the etcd that its arguments name, else the one of the file `config`.
#[cfg(feature = "etcd")]
#[must_use]
pub fn run(map: &Map, config: &Path) -> Exit {
    let done = failure::runtime().and_then(|runtime| {
        runtime.block_on(async {
            let etcd = connect::find(map.to(), config)?;
            let json = map.to().json;
            match map {
                Map::Put { file, dry_run, prune, if_revision, .. } => {
                    let how =
                        put::How { dry_run: *dry_run, prune: *prune, if_revision: *if_revision };
                    put::put(&etcd, file, how, json).await
                }
                Map::Get { node, bucket, .. } => {
                    get::get(&etcd, node.as_deref(), bucket.as_deref(), json).await
                }
                Map::Edit { .. } => edit::edit(&etcd, json).await,
                Map::Watch { node, .. } => watch::watch(&etcd, node.as_deref(), json).await,
            }
        })
    });
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => failure.report(map.to().json),
    }
}

/// Says that this program was built without etcd.
#[cfg(not(feature = "etcd"))]
#[must_use]
pub fn run(map: &Map, _config: &Path) -> Exit {
    let text = crate::config::WITHOUT_ETCD;
    if map.to().json {
        use std::io::Write as _;
        _ = writeln!(std::io::stdout().lock(), "{:#}", serde_json::json!({ "error": text }));
    } else {
        eprintln!("{text}");
    }
    Exit::Wrong
}
