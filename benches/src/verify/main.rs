//! Measures the comparison of two data nodes, beside the floor of any: reading both sides to
//! nowhere, over as many connections.
//!
//! - here: the rounds; `nodes`: two data nodes with equal documents; `floor`: the reading

mod floor;
mod nodes;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bench::{machine, median};
use clap::Parser;

use self::nodes::{BUCKET, Nodes, PASSWORD, USER};

/// An error ends the run; its text is all that is needed.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How often the memory of the comparison is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Measures `dcp-proxy verify` on two nodes with equal documents.
#[derive(Parser, Debug)]
#[command(name = "verify-bench")]
struct Arguments {
    /// Rounds, each with both ways in turn; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Documents
    #[arg(long, default_value_t = 1_000_000)]
    documents: u64,
    /// Bytes of each value
    #[arg(long, default_value_t = 1024)]
    value: usize,
    /// The folder with dcp-proxy and kvnode [default: that of this program]
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// A folder on a disk with room for the documents of both nodes
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Fallible<()> {
    let programs = match &arguments.programs {
        Some(folder) => folder.clone(),
        None => std::env::current_exe()?.with_file_name(""),
    };
    let folder = match &arguments.data {
        Some(data) => tempfile::tempdir_in(data)?,
        None => tempfile::tempdir()?,
    };
    let Arguments { documents, value, rounds, .. } = *arguments;
    println!("{}", machine());
    println!("{documents} documents of {value} bytes, median of {rounds} rounds");
    let nodes = Nodes::start(&programs, folder.path(), documents, value).await?;
    let (mut floors, mut compared, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        let (rows, took) = floor::read(&nodes).await?;
        if rows != 2 * documents {
            return Err(format!("the floor read {rows} rows of both nodes").into());
        }
        floors.push(took.as_secs_f64());
        let (took, bytes) = compare(&programs, &nodes)?;
        compared.push(took.as_secs_f64());
        memory = bytes.max(memory);
    }
    let floor = median(floors).unwrap_or_default();
    let verify = median(compared).unwrap_or_default();
    println!("both sides to nowhere   {floor:.2} s");
    println!("dcp-proxy verify        {verify:.2} s, {:.2} times as long", verify / floor);
    println!("its memory (peak RSS)   {} MiB", memory >> 20);
    Ok(())
}

/// Runs the comparison; returns how long it took, and its peak memory in bytes.
fn compare(programs: &std::path::Path, nodes: &Nodes) -> Fallible<(Duration, u64)> {
    let mut command = Command::new(programs.join("dcp-proxy"));
    command.args(["verify", BUCKET]);
    for address in &nodes.addresses {
        command.args(["--node", address]);
    }
    command.env("DCP_PROXY_USERNAME", USER).env("DCP_PROXY_PASSWORD", PASSWORD);
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let (status_file, mut peak) = (format!("/proc/{}/status", child.id()), 0);
    loop {
        let status = std::fs::read_to_string(&status_file).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kibibytes.unwrap_or_default() * 1024);
        if let Some(status) = child.try_wait()? {
            if status.success() {
                return Ok((began.elapsed(), peak));
            }
            return Err(format!("dcp-proxy verify: {status}, where both nodes are equal").into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
