//! The arguments of the subcommands, and their parsers.

use std::collections::BTreeMap;

use clap::{ArgGroup, Args};
use replica::plan::{Connections, VbSet};

/// The longest time that an option in seconds accepts: a day.
pub(super) const SECONDS_MAX: u64 = 86_400;

/// A change of what is replicated of a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[group(skip)]
pub struct Replicate {
    /// The bucket.
    pub bucket: String,
    /// A producer and vBuckets of it, such as alpha=0-511,600.
    #[arg(required = true, value_name = "PRODUCER=SET", value_parser = share)]
    pub shares: Vec<Share>,
    /// Add these vBuckets, in place of their present producers; all others stay [default].
    #[arg(long, conflicts_with_all = ["remove", "replace"])]
    pub add: bool,
    /// Remove these vBuckets; all others stay.
    #[arg(long, conflicts_with = "replace")]
    pub remove: bool,
    /// Replicate these vBuckets only: all others of the bucket are removed.
    #[arg(long)]
    pub replace: bool,
    /// Show what would open, close and stay, and change nothing.
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Close streams without asking; needed where nobody can be asked.
    #[arg(long)]
    pub yes: bool,
}

/// What to stop replicating.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[group(skip)]
pub struct Drain {
    /// The bucket.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub bucket: Option<String>,
    /// Every bucket.
    #[arg(long)]
    pub all: bool,
    /// Wait no longer than this; the exit code is 1 then, and the sidecar goes on closing.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<u64>,
    /// Close streams without asking; needed where nobody can be asked.
    #[arg(long)]
    pub yes: bool,
}

/// vBuckets and the producer that has them.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[group(skip)]
pub struct Transfer {
    /// The bucket.
    pub bucket: String,
    /// One vBucket, or a set such as 0-511,600, of which each is moved in turn.
    #[arg(value_name = "SET", value_parser = set)]
    pub vbs: VbSet,
    /// The producer that has the vBuckets now.
    #[arg(long, value_name = "PRODUCER")]
    pub from: String,
}

/// vBuckets of a bucket: all, or those of a producer, of a set, or of both.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[group(skip)]
pub struct Selection {
    /// The bucket.
    pub bucket: String,
    /// Only these vBuckets, such as 0-511,600.
    #[arg(value_name = "SET", value_parser = set)]
    pub vbs: Option<VbSet>,
    /// Only those that are wanted from this producer.
    #[arg(long)]
    pub producer: Option<String>,
}

/// Links to a producer, or streams.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[group(skip)]
#[command(group(ArgGroup::new("which").required(true)))]
pub struct Restart {
    /// The bucket.
    pub bucket: String,
    /// The streams of these vBuckets, such as 0-511,600.
    #[arg(value_name = "SET", value_parser = set, group = "which")]
    pub vbs: Option<VbSet>,
    /// The links to this producer.
    #[arg(long, group = "which")]
    pub producer: Option<String>,
    /// Only the link with this number, from 0.
    #[arg(long, value_name = "N", requires = "producer", conflicts_with = "vbs")]
    pub connection: Option<u8>,
}

/// Which streams to show; where there are several conditions, all must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
#[group(skip)]
pub struct StreamsFilter {
    /// Those that are not open because of an error.
    #[arg(long)]
    pub failed: bool,
    /// Those that lag by more than N seqnos (0 where no N is given), or by an unknown number.
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0"
    )]
    pub lagging: Option<u64>,
    /// Those of these vBuckets, such as 0-511,600.
    #[arg(long, value_name = "SET", value_parser = set)]
    pub vb: Option<VbSet>,
    /// Those from this producer.
    #[arg(long)]
    pub producer: Option<String>,
    /// The vBuckets that are paused, instead of streams: since when, and by whom.
    #[arg(long, conflicts_with_all = ["failed", "lagging"])]
    pub paused: bool,
}

/// The sidecar to ask, and the format of the output.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[group(skip)]
pub struct To {
    /// The admin API, such as 127.0.0.1:4870 or [::1]:4870 [default: from the configuration file,
    /// or 127.0.0.1:4870 without a file].
    #[arg(long, value_name = "HOST:PORT", display_order = 900)]
    pub admin: Option<String>,
    /// The admin token [default: DCP_PROXY_TOKEN, the one of the configuration file, or that of
    /// session.json in its [state] directory].
    #[arg(long, value_name = "TOKEN", display_order = 901)]
    pub token: Option<String>,
    /// Print JSON, for programs; errors too.
    #[arg(long, display_order = 902)]
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

pub(super) fn connections(text: &str) -> Result<u8, String> {
    let count = text.parse().map_err(|_| format!("{text:?} is not a number: give 1 to 64"))?;
    Connections::new(count).map(Connections::count).map_err(|error| error.to_string())
}

pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
    seconds.ok_or_else(|| format!("{text:?} is no number of seconds: give 1 to {SECONDS_MAX}"))
}

fn set(text: &str) -> Result<VbSet, String> {
    text.parse::<VbSet>().map_err(|error| error.to_string())
}

fn share(text: &str) -> Result<Share, String> {
    let (producer, set) = text.split_once('=').ok_or("give PRODUCER=SET, such as alpha=0-511")?;
    let set = set.parse::<VbSet>().map_err(|error| error.to_string())?;
    Ok(Share { producer: producer.to_owned(), set })
}

/// The map as the API takes it. Shares of the same producer are merged.
pub(super) fn desired(shares: &[Share]) -> BTreeMap<String, VbSet> {
    let mut map: BTreeMap<String, VbSet> = BTreeMap::new();
    for Share { producer, set } in shares {
        let all = map.entry(producer.clone()).or_default();
        for vb in set.iter() {
            all.insert(vb);
        }
    }
    map
}
