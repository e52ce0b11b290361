//! The arguments of `dcp-proxy replay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use mcbp::Side;

use super::shape::Compare;
use crate::nodes::LoginArgs;

/// What to replay, and to whom.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct ReplayArgs {
    /// The recording: JSON lines, as `capture` writes them; - reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What the recorded conversation is played to.
    #[arg(long, value_enum)]
    pub against: Against,
    /// The node, with --against node: a name of the configuration file, or HOST:PORT [default:
    /// the node of [node]].
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
    /// Which recorded node this one stands for [default: the only one in the recording].
    #[arg(long = "as", value_enum, value_name = "SIDE")]
    pub stands_for: Option<StandsFor>,
    /// The bucket, where the recording names none or another one.
    #[arg(long, value_name = "BUCKET")]
    pub bucket: Option<String>,
    /// How much of each frame is compared.
    #[arg(long, value_enum, default_value_t)]
    pub compare: Compare,
    /// How long nothing that is awaited may come before it is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub wait: u64,
    /// Print every frame, also those that the machine of a link does not look at.
    #[arg(long)]
    pub all: bool,
    /// Change the node: --as consumer writes documents, --as producer also sends takeovers.
    #[arg(long)]
    pub yes: bool,
    /// Print JSON lines.
    #[arg(long)]
    pub json: bool,
    /// How to log in to the node.
    #[command(flatten)]
    pub login: LoginArgs,
}

impl ReplayArgs {
    pub(super) const fn wait(&self) -> Duration {
        Duration::from_secs(self.wait)
    }
}

/// What a conversation is played to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Against {
    /// The rules of a link in this program, without any connection.
    Machine,
    /// A data node, which stands for one of the recorded ones.
    Node,
    /// A sidecar: this program, started between both recorded nodes.
    Sidecar,
}

/// A recorded node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum StandsFor {
    /// The node that got the documents.
    Consumer,
    /// The node that sent them.
    Producer,
}

impl From<StandsFor> for Side {
    fn from(stands_for: StandsFor) -> Self {
        match stands_for {
            StandsFor::Consumer => Self::Consumer,
            StandsFor::Producer => Self::Producer,
        }
    }
}
