//! What can be asked on the command line.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use log::LevelFilter;
use replica::plan::VbSet;

/// What to ask a running sidecar.
#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub enum Ask {
    /// Show how a running sidecar is.
    Status {
        /// Which sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Show every vBucket that a running sidecar replicates.
    Streams {
        /// Only of this bucket.
        bucket: Option<String>,
        /// Which sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Set what is replicated of a bucket, all of it, and wait until it is.
    Replicate {
        /// The bucket.
        bucket: String,
        /// From which producer which vBuckets come, such as alpha=0-511,600.
        #[arg(required = true, value_name = "PRODUCER=SET", value_parser = share)]
        shares: Vec<Share>,
        /// Which sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Make vBuckets active here and dead at their producer, now.
    Takeover {
        /// What is to come from where.
        #[command(flatten)]
        what: Transfer,
        /// Which sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Copy vBuckets, and take each over once it is copied.
    Move {
        /// What is to come from where.
        #[command(flatten)]
        what: Transfer,
        /// Which sidecar.
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
        /// Which sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Spread the streams of each producer over so many connections, and wait until they are.
    Connections {
        /// The bucket.
        bucket: String,
        /// How many, 1 to 64.
        #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
        count: u8,
        /// Which sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Show or change how much a running sidecar logs.
    LogLevel {
        /// The new level: off, error, warn, info, debug or trace.
        level: Option<LevelFilter>,
        /// Which sidecar.
        #[command(flatten)]
        to: To,
    },
}

/// vBuckets and their present home.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct Transfer {
    /// The bucket.
    pub bucket: String,
    /// One vBucket, or a set such as 0-511,600: each is moved by itself, in turn.
    #[arg(value_name = "SET", value_parser = |text: &str| text.parse::<VbSet>())]
    pub vbs: VbSet,
    /// The producer that has them now.
    #[arg(long, value_name = "PRODUCER")]
    pub from: String,
}

/// Which sidecar to ask, and how to print the answer.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct To {
    /// The admin API; without it, the one that the configuration file names, or
    /// http://127.0.0.1:8091 where there is no file.
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
    /// The admin token; without it, DCP_PROXY_TOKEN, or the one of the configuration file unless
    /// --admin leads elsewhere.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Print JSON, for programs; errors too.
    #[arg(long)]
    pub json: bool,
}

/// What comes from one producer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Share {
    /// The producer.
    pub producer: String,
    /// The vBuckets.
    pub set: VbSet,
}

impl Ask {
    /// Which sidecar.
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

fn share(text: &str) -> Result<Share, String> {
    let (producer, set) = text.split_once('=').ok_or("give PRODUCER=SET, such as alpha=0-511")?;
    let set = set.parse::<VbSet>().map_err(|error| error.to_string())?;
    Ok(Share { producer: producer.to_owned(), set })
}

/// The map that the API takes; the shares of a producer that is named twice become one.
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
