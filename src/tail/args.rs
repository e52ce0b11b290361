//! The arguments of `dcp-proxy tail`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use replica::plan::VbSet;

use crate::nodes::LoginArgs;

/// What to show, from where to where.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[group(skip)]
pub struct TailArgs {
    /// The bucket.
    pub bucket: String,
    /// The node: its name in the configuration file, or HOST:PORT [default: the local node].
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
    /// Where to begin [default: the checkpoint if there is one, else now].
    #[arg(long, value_name = "WHERE", value_enum)]
    pub from: Option<From>,
    /// Keep in this file how far lines were taken, to go on from there.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Show these vBuckets only, such as 0-511,600 [default: all that the node has].
    #[arg(long, value_name = "SET", value_parser = |text: &str| text.parse::<VbSet>())]
    pub vb: Option<VbSet>,
    /// Show keys only that begin with this.
    #[arg(long, value_name = "PREFIX")]
    pub key: Option<String>,
    /// Show one collection only: SCOPE.COLLECTION, or its id, such as 0x8.
    #[arg(long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Show every version of a document that the node keeps, not the newest alone. It keeps them
    /// of collections with history; see `kvnode collections`.
    #[arg(long)]
    pub history: bool,
    /// Show no values; the node does not send them.
    #[arg(long)]
    pub keys_only: bool,
    /// Show every value as base64, attributes included, as the node sends it.
    #[arg(long, conflicts_with = "keys_only")]
    pub raw: bool,
    /// End at what the node has now, at seqnos such as 0=1200,1=1100, or at those of a file, such
    /// as a checkpoint; or at the end of the snapshots that contain them. Without --vb, seqnos
    /// choose the vBuckets too: others are not shown.
    #[arg(long, value_name = "WHERE")]
    pub until: Option<String>,
    /// Show the bounds of the snapshot of each change.
    #[arg(long)]
    pub snapshots: bool,
    /// Write the lines to this shell command, which answers with how many it has done.
    #[arg(long, value_name = "COMMAND")]
    pub exec: Option<String>,
    /// How to log in.
    #[command(flatten)]
    pub login: LoginArgs,
}

/// Where to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum From {
    /// With the changes from now on.
    Now,
    /// With the first change that the node still has.
    Start,
    /// Where the checkpoint says.
    Checkpoint,
}
