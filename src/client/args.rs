//! The subcommands that ask a running sidecar, and their arguments.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use logger::Filters;
use replica::plan::{Connections, VbSet};

use super::event_args::EventsArgs;
use super::to::To;

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
    /// Show what happened to replication, one line for each event.
    Events(EventsArgs),
    /// Show or change the log level of a running sidecar, and the levels of single modules.
    LogLevel {
        /// The new level (off, error, warn, info, debug or trace), levels of modules such as
        /// relay=debug, or both with commas between them.
        #[arg(value_parser = |text: &str| text.parse::<Filters>())]
        filters: Option<Filters>,
        /// Return to the level that is configured, without levels of modules.
        #[arg(long, conflicts_with = "filters")]
        reset: bool,
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
            Self::Events(args) => &args.to,
        }
    }
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
