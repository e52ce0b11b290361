//! Measures the data node: sets and gets compared with memcached, backfill, warm-up, memory.
//!
//! Servers take turns in every round, so that other load of the machine affects all of them,
//! and medians are reported. It does not judge the figures.
//!
//! - `server`: a server as a process of its own; `connection`: a client that blocks; `disk`: what
//!   the disk does without one
//! - `load`: sets and gets; `subdoc`: operations on parts of documents; `backfill`: one DCP stream
//!   for each vBucket; `table`: all of these, and a start; `report`: the figures
//! - `durable`: durable writes, by level; `latency`: gets and sets at fixed rates, with `paced`
//! - `bucket`: a whole bucket, from its first get to its deletion; `large`: many documents; of both
//!   `documents` makes the load, and `watch` looks at what the node does by itself
//! - `path`: a data node, the sidecar and another data node
//! - `tail`: the lines of `dcp-proxy tail`
//! - `recovery`: how long replication takes to recover; `figures`: the figures of these two

mod backfill;
mod bucket;
mod connection;
mod disk;
mod documents;
mod durable;
mod figures;
mod large;
mod latency;
mod load;
mod paced;
mod path;
mod recovery;
mod report;
mod server;
mod subdoc;
mod table;
mod tail;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use load::{Kind, Load, Shape};
use server::{Beside, Mode, Setting};

/// The allocator of `kvnode`, because this program serves as a data node too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures the data node, next to memcached where that is installed
#[derive(Parser, Debug)]
#[command(name = "node-bench", version)]
struct Arguments {
    /// Documents to load
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    documents: u64,
    /// Bytes of each value
    #[arg(long, value_name = "N", default_value_t = 256)]
    value: usize,
    /// Rounds; their median is reported
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement of sets and gets
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// The data nodes to measure, by when they acknowledge
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Mode::ALL)]
    modes: Vec<Mode>,
    /// Connections, and the requests in flight on each, as in 16x64
    #[arg(long, value_name = "CxD", value_delimiter = ',', default_values_t = Shape::ALL)]
    shapes: Vec<Shape>,
    /// Folder in which a temporary one is made for the data
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Folder of the documents to write the results into
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
    /// Serves the data in a folder; used by the program to start itself as a data node
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
    #[command(flatten)]
    setting: Setting,
    #[command(flatten)]
    beside: Beside,
    /// Measure sets of the other node with durability level persist-to-majority, too: it must have
    /// a topology for that, itself alone for example
    #[arg(long, requires = "address")]
    beside_persisted: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Measures a whole bucket: the first get after a start, backfills, deletion
    Bucket(bucket::Arguments),
    /// Measures durable writes, over a link without a sidecar and with one
    Durable(durable::Arguments),
    /// Measures a node with many documents: memory, disk, compactions, collection of values
    Large(large::Arguments),
    /// Measures how long gets and sets take at fixed rates
    Latency(latency::Arguments),
    /// Measures the whole path: a data node, the sidecar, another data node
    Path(path::Arguments),
    /// Measures recovery: a killed node, a mass rollback, another number of connections
    Recovery(recovery::Arguments),
    /// Measures `dcp-proxy tail`, next to a reader that drops everything
    Tail(tail::Arguments),
}

impl Arguments {
    /// Whether only some of the table is asked for: then the rest of the measurements is left out.
    fn is_part(&self) -> bool {
        self.modes != Mode::ALL || self.shapes != Shape::ALL
    }

    fn load(&self, kind: Kind, Shape { connections, depth }: Shape) -> Load {
        let time = Duration::from_secs_f64(self.seconds);
        let &Self { documents, value, .. } = self;
        Load { kind, connections, depth, documents, value, time }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (&arguments.serve, &arguments.command) {
        (Some(folder), _) => server::serve(folder, arguments.setting),
        (_, Some(Command::Bucket(bucket))) => bucket::measure(bucket),
        (_, Some(Command::Large(large))) => large::measure(large),
        (_, Some(Command::Durable(durable))) => durable::measure(durable),
        (_, Some(Command::Latency(latency))) => latency::measure(latency),
        (_, Some(Command::Path(path))) => path::measure(path),
        (_, Some(Command::Recovery(recovery))) => recovery::measure(recovery),
        (_, Some(Command::Tail(tail))) => tail::measure(tail),
        _ => table::measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("node-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
