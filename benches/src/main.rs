//! Measures the data node: sets and gets compared with memcached, backfill, warm-up, memory.
//!
//! Servers take turns in every round, so that other load of the machine affects all of them,
//! and medians are reported. It does not judge the figures.
//!
//! - `server`: a server as a process of its own; `connection`: a client that blocks
//! - `load`: sets and gets; `subdoc`: operations on parts of documents; `backfill`: one DCP stream
//!   for each vBucket; `report`: the figures
//! - `durable`: durable writes, by level; `latency`: gets and sets at fixed rates, with `paced`
//! - `bucket`: a whole bucket, from its first get to its deletion; `large`: many documents; of both
//!   `documents` makes the load, and `watch` looks at what the node does by itself
//! - `path`: a data node, the sidecar and another data node
//! - `tail`: the lines of `dcp-proxy tail`
//! - `recovery`: how long replication takes to recover; `figures`: the figures of these two

mod backfill;
mod bucket;
mod connection;
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
mod tail;
mod watch;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use load::{Kind, Load, Shape};
use report::Report;
use server::{Beside, Mode, Server, Setting, VBUCKETS};

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
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("node-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = bench::temporary(arguments.folder.as_deref())?;
    let node = |mode: Mode| {
        let setting = Setting { mode, ..arguments.setting };
        Server::node(&folder.path().join(mode.name()), setting)
    };
    let mut servers = arguments.modes.iter().copied().map(node).collect::<io::Result<Vec<_>>>()?;
    servers.extend(Server::beside(&arguments.beside)?);
    match Server::memcached(arguments.documents, arguments.value) {
        Ok(memcached) => servers.push(memcached),
        Err(error) => println!("memcached is left out: {error}"),
    }
    for server in &servers {
        let began = Instant::now();
        load::fill(server, arguments.documents, arguments.value)?;
        let rate = arguments.documents as f64 / began.elapsed().as_secs_f64();
        println!("{}: {} documents at {rate:.0}/s", server.name, arguments.documents);
    }
    let mut report = Report::default();
    for round in 1..=arguments.rounds {
        println!("round {round} of {}", arguments.rounds);
        sets_and_gets(arguments, &servers, &mut report)?;
    }
    for server in &servers {
        if let Some(mib) = server.peak_mib()? {
            report.add("peak RSS, MiB", &server.name, mib);
        }
    }
    if arguments.is_part() {
        print!("{report}");
        return Ok(());
    }
    let mut buffered = servers.into_iter().filter(|it| it.name == Mode::Buffered.name());
    if let Some(buffered) = buffered.next() {
        from_disk(arguments, buffered, &mut report)?;
    }
    let parts = Server::node(&folder.path().join("parts"), arguments.setting)?;
    sub_documents(arguments, &parts, &mut report)?;
    print!("{report}");
    let Some(folder) = &arguments.write_docs else { return Ok(()) };
    let Arguments { documents, rounds, seconds, .. } = arguments;
    let quota = arguments.setting.quota_mib;
    let heading = format!(
        "`cargo xtask bench node --documents {documents} --rounds {rounds} --seconds {seconds} \
         --quota-mib {quota}`\non {}.\n",
        bench::machine()
    );
    bench::docs::put(folder, "node-bench", &format!("{heading}\n{}", report.table()))
}

fn sets_and_gets(arguments: &Arguments, servers: &[Server], report: &mut Report) -> io::Result<()> {
    // Reads do not depend on when writes are acknowledged: one of our nodes is enough.
    let reads = arguments.modes.iter().max_by_key(|&&mode| mode == Mode::Buffered);
    let is_other = |server: &&Server| {
        let is_ours = Mode::ALL.iter().any(|mode| mode.name() == server.name);
        is_ours && reads.is_none_or(|mode| mode.name() != server.name)
    };
    for kind in [Kind::Set, Kind::Get] {
        for &shape in &arguments.shapes {
            for server in servers {
                if kind == Kind::Get && is_other(&server) {
                    continue;
                }
                let load = arguments.load(kind, shape);
                let name = format!("{kind}s/s, {shape}");
                let outcome = load.run(server)?;
                report.add(&name, &server.name, outcome.rate);
                let name = format!("CPU us a {kind}, {shape}");
                if let Some(cpu_us) = outcome.cpu_us {
                    report.add(&name, &server.name, cpu_us);
                }
            }
        }
    }
    Ok(())
}

/// Lookups and changes of parts of documents, and gets of the same documents.
fn sub_documents(arguments: &Arguments, node: &Server, report: &mut Report) -> io::Result<()> {
    let documents = arguments.documents.min(subdoc::DOCUMENTS_MAX);
    subdoc::fill(node, documents, arguments.value)?;
    for _ in 0..arguments.rounds {
        for kind in [Kind::Whole, Kind::Lookup, Kind::Counter] {
            for shape in Shape::ALL {
                let load = Load { documents, ..arguments.load(kind, shape) };
                let outcome = load.run(node)?;
                report.add(&format!("{kind}s/s, {shape}"), &node.name, outcome.rate);
                if let Some(cpu_us) = outcome.cpu_us {
                    report.add(&format!("CPU us a {kind}, {shape}"), &node.name, cpu_us);
                }
            }
        }
    }
    Ok(())
}

/// Starts the node after some writes, cleanly stopped and killed, and reads everything over
/// DCP.
fn from_disk(arguments: &Arguments, mut node: Server, report: &mut Report) -> io::Result<()> {
    for _ in 0..arguments.rounds {
        for (name, clean) in
            [("start after a clean stop, s", true), ("start after a kill, s", false)]
        {
            // The journal is replayed.
            arguments.load(Kind::Set, Shape::new(16, 64)).run(&node)?;
            let began;
            (node, began) = node.restart(clean)?;
            report.add(name, &node.name, began.as_secs_f64());
        }
        let began = Instant::now();
        let read = backfill::read_all(&node, VBUCKETS)?;
        let seconds = began.elapsed().as_secs_f64();
        if read.documents < arguments.documents {
            let text = format!("{} documents came of {}", read.documents, arguments.documents);
            return Err(io::Error::other(text));
        }
        report.add("backfill, MB/s", &node.name, read.bytes as f64 / 1e6 / seconds);
        report.add("backfill, documents/s", &node.name, read.documents as f64 / seconds);
    }
    if let Some(mib) = node.peak_mib()? {
        report.add("peak RSS of the last start, MiB", &node.name, mib);
    }
    Ok(())
}
