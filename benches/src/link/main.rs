//! Measures one link: a load that plays producer and consumer, over each way between the two.
//!
//! - `ways`: direct, haproxy, dcp-proxy, each started as a process; `process`: what the process
//!   costs
//! - `socket`, `frames`: the protocol of the load; `peers`: two data nodes up to open streams
//! - `load`: throughput, NOOP round trips, the set-up of streams; `results`: medians and ratios
//! - `soak`: whether the sidecar grows, over an hour and many restarts of links
//! - `report`, `plot`: the tables and the diagram of docs/performance.md

mod frames;
mod load;
mod peers;
mod plot;
mod process;
mod report;
mod results;
mod soak;
mod socket;
mod ways;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use results::{Cell, Results};
use ways::{Way, Workshop};

/// An error ends the run; its text is all that is needed.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How many streams are set up in the timed set-up.
const SET_UP_STREAMS: u16 = 1024;
/// Streams of the other measurements, over all links together.
const STREAMS: u16 = 64;

/// Measures throughput, processor time, memory, latency and set-up of a replication link.
#[derive(Parser, Debug)]
#[command(name = "link-bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Rounds, each with all ways in turn; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement of throughput
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Sizes of frames in bytes, 64 to 20 MiB
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256, 1024, 16_384, 1_048_576])]
    frames: Vec<usize>,
    /// Numbers of links
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16])]
    links: Vec<u16>,
    /// Ways to measure [default: all that are installed]
    #[arg(long, value_delimiter = ',', value_enum)]
    ways: Vec<Way>,
    /// NOOP round trips to time in each round
    #[arg(long, default_value_t = 5_000)]
    noops: usize,
    /// The sidecar to measure [default: the one in the folder of this program]
    #[arg(long)]
    proxy: Option<PathBuf>,
    /// Folder of the documents to write the results into
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Watches memory, threads and descriptors of the sidecar for a long time, at a low rate
    Soak(soak::Arguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("link-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Fallible<()> {
    if let Some(Command::Soak(soak)) = &arguments.command {
        return soak::run(soak);
    }
    let workshop = Workshop::new(arguments.proxy.as_deref())?;
    let wanted = if arguments.ways.is_empty() { Way::ALL } else { &arguments.ways };
    let ways: Vec<Way> = wanted.iter().copied().filter(|way| workshop.has(*way)).collect();
    let mut results = Results::default();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        measure(arguments, &workshop, &ways, &mut results)?;
    }
    let report = report::markdown(&results, &ways, arguments);
    println!("{report}");
    if let Some(folder) = &arguments.write_docs {
        bench::docs::put(folder, "link-bench", &report)?;
        plot::write(&folder.join("link.svg"), &results, &ways, arguments)?;
    }
    Ok(())
}

/// One round: every way is measured at a cell before the next cell.
fn measure(
    arguments: &Arguments,
    workshop: &Workshop,
    ways: &[Way],
    results: &mut Results,
) -> Fallible<()> {
    let time = Duration::from_secs_f64(arguments.seconds.clamp(0.1, 600.0));
    for &links in &arguments.links {
        for &frame_bytes in &arguments.frames {
            for &way in ways {
                let cell = Cell { way, links, frame_bytes };
                let sample = load::throughput(workshop, cell, time)?;
                eprintln!("  {cell}: {sample}");
                results.throughput(cell, sample);
            }
        }
    }
    for &way in ways {
        let mut trips = load::round_trips(workshop, way, arguments.noops)?;
        let latency = results::percentiles(&mut trips);
        eprintln!("  {way}: NOOP {latency}");
        results.latency(way, latency);
        if let Some(set_up) = load::set_up(workshop, way)? {
            eprintln!("  {way}: {SET_UP_STREAMS} streams {set_up}");
            results.set_up(way, set_up);
        }
    }
    Ok(())
}
