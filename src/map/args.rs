//! The arguments of `dcp-proxy map`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// A command about the maps in etcd.
#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub enum Map {
    /// Write the maps of a file, such as {"beta":{"default":{"alpha":"0-511"}}}, by node, bucket
    /// and producer. Maps that it does not name stay.
    Put {
        /// The file; - for standard input.
        file: PathBuf,
        /// Show what changes, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Delete the maps that the file does not name. Their sidecars keep what they replicate.
        #[arg(long)]
        prune: bool,
        /// Write only if no map is newer than this revision, as `map get --json` shows it.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<i64>,
        /// The etcd.
        #[command(flatten)]
        to: To,
    },
    /// Print the maps, in the form that put reads.
    Get {
        /// Print only those of this node.
        node: Option<String>,
        /// Print only that of this bucket.
        bucket: Option<String>,
        /// The etcd.
        #[command(flatten)]
        to: To,
    },
    /// Open the maps in $VISUAL or $EDITOR, and write what was changed, unless somebody else has
    /// changed it in the meantime. Maps that are removed from the text are deleted.
    Edit {
        /// The etcd.
        #[command(flatten)]
        to: To,
    },
    /// Print the maps and what each sidecar reports, then every change, until Ctrl-C.
    Watch {
        /// Print only what is about this node.
        node: Option<String>,
        /// The etcd.
        #[command(flatten)]
        to: To,
    },
}

/// The etcd, and the format of the output.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct To {
    /// Members of etcd [default: `[desired] etcd` of the configuration file, with its prefix, TLS
    /// and login].
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub etcd: Vec<String>,
    /// What the keys begin with [default: /dcp-proxy].
    #[arg(long, value_name = "PREFIX", requires = "etcd")]
    pub prefix: Option<String>,
    /// The authorities to trust; without it the connection is not encrypted.
    #[arg(long, value_name = "FILE", requires = "etcd")]
    pub ca: Option<PathBuf>,
    /// The own certificate.
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key"])]
    pub certificate: Option<PathBuf>,
    /// The key of the certificate.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// The user; the password is in DCP_PROXY_ETCD_PASSWORD.
    #[arg(long, value_name = "USER", requires = "etcd")]
    pub username: Option<String>,
    /// Print JSON, for programs; errors too.
    #[arg(long)]
    pub json: bool,
}

impl Map {
    /// The etcd, and the format of the output.
    #[must_use]
    pub const fn to(&self) -> &To {
        match self {
            Self::Put { to, .. }
            | Self::Get { to, .. }
            | Self::Edit { to, .. }
            | Self::Watch { to, .. } => to,
        }
    }
}
