//! The subcommands that ask a running sidecar.

use clap::Subcommand;
use logger::Filters;

use super::capture_args::CaptureArgs;
use super::event_args::EventsArgs;
use super::parts::{
    Drain, Replicate, Restart, Selection, StreamsFilter, To, Transfer, connections, seconds,
};

/// A request to a running sidecar.
#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub enum Ask {
    /// Show the status of a running sidecar; the exit code is 1 where it is not ready.
    Status {
        /// Show it again every SECONDS (2 where none are given) until Ctrl-C; the exit code is 0
        /// then. With --json, one line each time.
        #[arg(
            long,
            value_name = "SECONDS",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "2",
            value_parser = seconds
        )]
        watch: Option<u64>,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Print the address of the dashboard, with the token that its actions need.
    ///
    /// Whoever has the address may change what is replicated: do not pass it on.
    Dashboard {
        /// Open it in a browser too.
        #[arg(long)]
        open: bool,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Show a running sidecar on the whole terminal, again and again.
    ///
    /// What is wrong, links with rates and lags, the states of all vBuckets, moves, events and
    /// nodes. It only reads. `?` shows its keys, q ends it; the exit code is 0 then, and 2 where
    /// there is no terminal.
    #[command(mut_arg("json", |json| json.hide(true)))]
    Top {
        /// Ask the sidecar every SECONDS.
        #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = seconds)]
        interval: u64,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Show every vBucket that a running sidecar replicates.
    ///
    /// Those with equal errors are in one row; --json has each.
    Streams {
        /// Show only this bucket.
        bucket: Option<String>,
        /// Which of its vBuckets.
        #[command(flatten)]
        filter: StreamsFilter,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Change what is replicated of a bucket; asks before streams are closed.
    ///
    /// It waits until the streams are open or closed. Without --add, --remove or --replace it adds.
    Replicate {
        /// The change.
        #[command(flatten)]
        change: Replicate,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Make vBuckets active here and dead at their producer, without copying their data first.
    ///
    /// One that is active here already counts as done. The sidecar goes on where this program is
    /// interrupted.
    Takeover {
        /// The vBuckets and their producer.
        #[command(flatten)]
        what: Transfer,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Copy vBuckets, and take each over once it is copied.
    ///
    /// One that is active here already counts as done. The sidecar goes on where this program is
    /// interrupted.
    Move {
        /// The vBuckets and their producer.
        #[command(flatten)]
        what: Transfer,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Stop replicating a bucket; asks before it does.
    ///
    /// It waits until the streams are closed.
    Drain {
        /// What to drain.
        #[command(flatten)]
        what: Drain,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Close streams until they are resumed.
    ///
    /// What is wanted stays as it is. A pause outlives restarts of the sidecar. It does not ask.
    Pause {
        /// What to pause.
        #[command(flatten)]
        what: Selection,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Open streams again that are paused.
    Resume {
        /// What to resume.
        #[command(flatten)]
        what: Selection,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Close links or streams and open them again.
    ///
    /// It waits until all are open, and does not ask.
    Restart {
        /// What to restart.
        #[command(flatten)]
        what: Restart,
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Set the number of connections to each producer.
    ///
    /// It waits until the streams are open on them. Streams that change their connection are closed
    /// and opened again; it does not ask.
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
    /// Have the sidecar read its configuration file again.
    ///
    /// It shows what has changed and what needs a restart. Where the file is invalid, it shows the
    /// problems, nothing has changed, and the exit code is 1.
    Reload {
        /// The sidecar.
        #[command(flatten)]
        to: To,
    },
    /// Show what happened to replication, one line for each event.
    Events(EventsArgs),
    /// Record what passes a link to a file, without values and passwords.
    ///
    /// For a report of a problem: each frame of both nodes and of the sidecar is a line of JSON. It
    /// ends after --seconds, before the file is larger than --bytes, or with Ctrl-C.
    #[command(mut_arg("json", |json| json.hide(true)))]
    Capture(CaptureArgs),
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

impl Ask {
    /// The sidecar to ask, and the format of the output.
    #[must_use]
    pub const fn to(&self) -> &To {
        match self {
            Self::Status { to, .. }
            | Self::Dashboard { to, .. }
            | Self::Top { to, .. }
            | Self::Streams { to, .. }
            | Self::Replicate { to, .. }
            | Self::Takeover { to, .. }
            | Self::Move { to, .. }
            | Self::Drain { to, .. }
            | Self::Pause { to, .. }
            | Self::Resume { to, .. }
            | Self::Restart { to, .. }
            | Self::Connections { to, .. }
            | Self::Reload { to }
            | Self::LogLevel { to, .. } => to,
            Self::Events(args) => &args.to,
            Self::Capture(args) => &args.to,
        }
    }
}
