//! The command line of `kvnode`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use mcbp::VbState;
use replica::plan::VbSet;

use super::user::UserCommand;

/// A data node that speaks the memcached binary protocol and DCP.
///
/// Without a command it runs a node until Ctrl-C or SIGTERM; with one it asks a running node. Exit
/// codes: 0 done, 1 failed (also where there is no such key), 2 wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "kvnode", version, args_conflicts_with_subcommands = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) node: kvnode::cli::Arguments,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    Ask(Box<Ask>),
    /// Manage the users in a file, which has salted verifiers instead of passwords.
    #[command(subcommand)]
    User(UserCommand),
    /// Print a script that completes commands and options in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// A request to a running node.
#[derive(Debug, Subcommand)]
pub(super) enum Ask {
    /// Print a document as it is; exit code 1 where there is none.
    Get {
        /// The key, 1 to 250 bytes.
        key: OsString,
        #[command(flatten)]
        of: OneVb,
        #[command(flatten)]
        at: At,
    },
    /// Write a document, and wait until the node has stored it.
    Set {
        /// The key, 1 to 250 bytes.
        key: OsString,
        /// The value, at most 20 MiB; - reads it from standard input.
        value: OsString,
        /// Seconds until the document expires; 0 for never.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        expiry: u32,
        #[command(flatten)]
        of: OneVb,
        #[command(flatten)]
        at: At,
    },
    /// Delete a document; exit code 1 where there is none.
    Delete {
        /// The key, 1 to 250 bytes.
        key: OsString,
        #[command(flatten)]
        of: OneVb,
        #[command(flatten)]
        at: At,
    },
    /// Show vBuckets, or set their state.
    ///
    /// Before a vBucket is set active, make sure that no other node has it active: two active
    /// copies diverge.
    Vbuckets {
        /// These only, such as 0-511,600 [default: all].
        #[arg(value_name = "SET", value_parser = |text: &str| text.parse::<VbSet>())]
        set: Option<VbSet>,
        /// Set their state: active, replica, pending or dead. One that is not there is created.
        #[arg(long, value_name = "STATE", value_parser = state, requires = "set")]
        set_state: Option<VbState>,
        /// With --set-state active: the nodes that durable writes count, this one first, by the
        /// names that their sidecars give them, such as alpha,beta,gamma. Without it the vBuckets
        /// take no durable writes.
        #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "set_state")]
        topology: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// Show scopes and collections, or change them.
    ///
    /// Where a cluster has a manager, change them there: it sets the manifests of its nodes.
    /// Replicas follow their producers; set nothing at a node that has only replicas.
    Collections {
        /// Create a collection, and its scope if that is not there.
        #[arg(long, value_name = "SCOPE.COLLECTION", conflicts_with_all = ["drop", "set"],
              group = "one")]
        create: Option<String>,
        /// Change a collection: give --history.
        #[arg(long, value_name = "SCOPE.COLLECTION", conflicts_with_all = ["drop", "set"],
              requires = "history", group = "one")]
        modify: Option<String>,
        /// Its documents live at most as long, in seconds.
        #[arg(long, value_name = "SECONDS", requires = "create",
              value_parser = clap::value_parser!(u32).range(1..=2_147_483_647))]
        max_ttl: Option<u32>,
        /// Whether older versions of its documents are kept, as far as the bucket's
        /// history_retention_bytes and history_retention_seconds allow.
        #[arg(long, value_name = "true|false", requires = "one")]
        history: Option<bool>,
        /// Drop a collection with its documents, or a scope with its collections.
        #[arg(long, value_name = "SCOPE[.COLLECTION]", conflicts_with = "set")]
        drop: Option<String>,
        /// Set the manifest in a file (JSON); - reads standard input.
        #[arg(long, value_name = "FILE")]
        set: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
    /// Show statistics of the node and its bucket.
    Stats {
        /// The group, such as vbucket-details 7; without one, the general statistics.
        group: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// Write sample documents, a quarter of them binary and the others JSON.
    Seed {
        /// How many.
        #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
        count: u64,
        /// The number of the first one, to add to those of an earlier run.
        #[arg(long, value_name = "NUMBER", default_value_t = 0,
              value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
        first: u64,
        /// Bytes of each value, 64 to 20971520 [default: 64 to 65536, most of them small].
        #[arg(long, value_name = "BYTES",
              value_parser = clap::value_parser!(u32).range(64..=20_971_520))]
        size: Option<u32>,
        #[command(flatten)]
        at: At,
    },
}

/// The vBucket and the collection of a document.
#[derive(Debug, Args)]
pub(super) struct OneVb {
    /// The vBucket to ask [default: the key's, by CRC32 as Couchbase clients choose it].
    #[arg(long, value_name = "N")]
    pub(super) vbucket: Option<u16>,
    /// The collection [default: the default one].
    #[arg(long, value_name = "SCOPE.COLLECTION")]
    pub(super) collection: Option<String>,
}

/// The node to ask, and the format of the output.
#[derive(Debug, Args)]
pub(super) struct At {
    /// The node [default: the address in the file of --config, or 127.0.0.1:11210].
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) node: Option<String>,
    /// The file that the node was started with: its address, bucket, user and password.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The bucket [default: the first one in the file of --config, or default].
    #[arg(long, value_name = "NAME")]
    pub(super) bucket: Option<String>,
    /// The user [default: KVNODE_USERNAME, or the first one in the file of --config].
    #[arg(long, value_name = "NAME")]
    pub(super) username: Option<String>,
    /// File with the password; one line break at its end is ignored [default: KVNODE_PASSWORD, or
    /// the user's in the file of --config].
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Authorities of the node's certificate (PEM); the connection then uses TLS.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// The name or address in the node's certificate [default: the host of the node].
    #[arg(long, value_name = "NAME", requires = "ca")]
    pub(super) server_name: Option<String>,
    /// Our certificate (PEM), where the node wants one.
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key_file"])]
    pub(super) certificate: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(super) key_file: Option<PathBuf>,
    /// Print JSON, for programs; errors too.
    #[arg(long)]
    pub(super) json: bool,
}

impl Ask {
    pub(super) const fn at(&self) -> &At {
        match self {
            Self::Get { at, .. }
            | Self::Set { at, .. }
            | Self::Delete { at, .. }
            | Self::Vbuckets { at, .. }
            | Self::Collections { at, .. }
            | Self::Stats { at, .. }
            | Self::Seed { at, .. } => at,
        }
    }
}

fn state(name: &str) -> Result<VbState, String> {
    let states = [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead];
    let found = states.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| format!("{name:?} is no state: give active, replica, pending or dead"))
}
