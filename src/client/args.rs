//! The subcommands that ask a running sidecar, and their arguments.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use log::LevelFilter;
use replica::plan::{Connections, VbSet};

/// A request to a running sidecar.
#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub enum Ask {
    /// Show the status of a running sidecar; the exit code is 1 where it is not ready.
    Status {
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Show every vBucket that a running sidecar replicates; those with equal errors in one row.
    Streams {
        /// Show only this bucket.
        bucket: Option<String>,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Replicate vBuckets of a bucket besides those that are, and wait until their streams are
    /// open.
    Replicate {
        /// The bucket.
        bucket: String,
        /// A producer and the vBuckets to replicate from it, such as alpha=0-511,600.
        #[arg(required = true, value_name = "PRODUCER=SET", value_parser = share)]
        shares: Vec<Share>,
        /// Replicate these vBuckets only: all others of the bucket are removed.
        #[arg(long)]
        replace: bool,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Make vBuckets active here and dead at their producer, without copying their data first.
    Takeover {
        /// The vBuckets and their producer.
        #[command(flatten)]
        what: Transfer,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Copy vBuckets, and take each over once it is copied.
    Move {
        /// The vBuckets and their producer.
        #[command(flatten)]
        what: Transfer,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Stop replicating a bucket, and wait until its streams are closed.
    Drain {
        /// The bucket.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        bucket: Option<String>,
        /// Every bucket.
        #[arg(long)]
        all: bool,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Set the number of connections to each producer, and wait until the streams are open on them.
    Connections {
        /// The bucket.
        bucket: String,
        /// The number of connections, 1 to 64.
        #[arg(value_parser = connections)]
        count: u8,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Show or change the log level of a running sidecar.
    LogLevel {
        /// The new level: off, error, warn, info, debug or trace.
        #[arg(value_parser = level)]
        level: Option<LevelFilter>,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
}

/// vBuckets and the producer that has them.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct Transfer {
    /// The bucket.
    pub bucket: String,
    /// One vBucket, or a set such as 0-511,600, of which each is moved in turn.
    #[arg(value_name = "SET", value_parser = |text: &str| text.parse::<VbSet>())]
    pub vbs: VbSet,
    /// The producer that has the vBuckets now.
    #[arg(long, value_name = "PRODUCER")]
    pub from: String,
}

/// The sidecar to ask, and the format of the output.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct To {
    /// The URL of the admin API [default: from the configuration file, or
    /// http://127.0.0.1:4870 without a file].
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
    /// The admin token [default: DCP_PROXY_TOKEN, or without --admin the one of the configuration
    /// file].
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Print JSON, for programs; errors too.
    #[arg(long)]
    pub json: bool,
}

/// The vBuckets to replicate from one producer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Share {
    /// The producer.
    pub producer: String,
    /// The vBuckets.
    pub set: VbSet,
}

impl Ask {
    /// The sidecar to ask, and the format of the output.
    #[must_use]
    pub const fn to(&self) -> &To {
        match self {
            Self::Status { to }
            | Self::Streams { to, .. }
            | Self::Replicate { to, .. }
            | Self::Takeover { to, .. }
            | Self::Move { to, .. }
            | Self::Drain { to, .. }
            | Self::Connections { to, .. }
            | Self::LogLevel { to, .. } => to,
        }
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    let levels = "give off, error, warn, info, debug or trace";
    text.parse().map_err(|_| format!("unknown log level {text:?}: {levels}"))
}

fn connections(text: &str) -> Result<u8, String> {
    let count = text.parse().map_err(|_| format!("{text:?} is not a number: give 1 to 64"))?;
    Connections::new(count).map(Connections::count).map_err(|error| error.to_string())
}

fn share(text: &str) -> Result<Share, String> {
    let (producer, set) = text.split_once('=').ok_or("give PRODUCER=SET, such as alpha=0-511")?;
    let set = set.parse::<VbSet>().map_err(|error| error.to_string())?;
    Ok(Share { producer: producer.to_owned(), set })
}

/// The desired map as the API takes it. Shares of the same producer are merged.
pub(super) fn desired(shares: &[Share]) -> BTreeMap<&str, VbSet> {
    let mut map: BTreeMap<&str, VbSet> = BTreeMap::new();
    for Share { producer, set } in shares {
        let all = map.entry(producer).or_default();
        for vb in set.iter() {
            all.insert(vb);
        }
    }
    map
}
