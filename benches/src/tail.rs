//! Measures `dcp-proxy tail`: all documents of a data node as JSON lines to /dev/null, next to the
//! floor, a reader that drops every frame.
//!
//! Both take turns in every round, so that other load of the machine affects both.

use std::fs::read_to_string;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mcbp::Seqno;
use relay::{Client, DcpReader, Deadlines, Endpoint, LinkError, Login, ReaderOptions, Secret};
use relay::{StreamEvent, StreamRange};

use crate::figures::Figures;
use crate::figures::Unit::{Mebibytes, MegabytesPerSecond, Microseconds, Ratio};
use crate::load;
use crate::server::{BUCKET, Mode, PASSWORD, Server, Setting, USER, program, wait_for};

/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Sets that are sent before their answers are read.
const FILL_DEPTH: u64 = 256;
/// The clock ticks of Linux in /proc.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Documents to read
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    documents: u64,
    /// Bytes of each value, which is JSON
    #[arg(long, value_name = "N", default_value_t = 1024)]
    value: usize,
    /// Rounds; their median is reported
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Memory of the data node in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    quota_mib: u64,
    /// Folder in which a temporary one is made for the data
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Folder of the documents to write the results into
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
}

/// Fills a node, reads it in both ways in every round, and reports medians.
pub(crate) fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = bench::temporary(arguments.folder.as_deref())?;
    let setting =
        Setting { mode: Mode::Buffered, quota_mib: arguments.quota_mib, ..Setting::default() };
    let node = Server::node(&folder.path().join("node"), setting)?;
    fill(&node, arguments)?;
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (documents, mut figures) = (arguments.documents as f64, Figures::default());
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        let (began, cpu) = (Instant::now(), cpu_seconds("self", (11, 12))?);
        let read = runtime.block_on(to_nowhere(&node)).map_err(io::Error::other)?;
        let floor = began.elapsed();
        let floor_cpu = cpu_seconds("self", (11, 12))? - cpu;
        if read.0 != arguments.documents {
            return Err(io::Error::other(format!("{} documents came", read.0)));
        }
        let tail = tail(&node, &password)?;
        let speed = |took: Duration| read.1 as f64 / 1e6 / took.as_secs_f64();
        figures.add("bytes to nowhere", MegabytesPerSecond, speed(floor));
        figures.add("tail to /dev/null", MegabytesPerSecond, speed(tail.took));
        figures.add("tail, of bytes to nowhere", Ratio, speed(tail.took) / speed(floor));
        figures.add("processor, bytes to nowhere", Microseconds, floor_cpu * 1e6 / documents);
        figures.add("processor, tail", Microseconds, tail.cpu_seconds * 1e6 / documents);
        figures.add("peak memory of tail", Mebibytes, tail.peak_mib);
    }
    let Arguments { documents, value, rounds, .. } = arguments;
    let options = format!("--documents {documents} --value {value} --rounds {rounds}");
    let report = format!(
        "`cargo xtask bench tail {options}`\non {}. Processor time is of one document.\n\n{}",
        bench::machine(),
        figures.table(),
    );
    bench::docs::tell(&report, arguments.write_docs.as_deref(), "tail-bench")
}

/// Stores JSON documents, each another one.
fn fill(server: &Server, arguments: &Arguments) -> io::Result<()> {
    let mut connection = server.connect()?;
    let mut out = Vec::new();
    for from in (0..arguments.documents).step_by(FILL_DEPTH as usize) {
        let batch = from..arguments.documents.min(from + FILL_DEPTH);
        out.clear();
        for n in batch.clone() {
            load::push_set(&mut out, server, n, document(n, arguments.value).as_bytes());
        }
        connection.send(&out)?;
        connection.successes((batch.end - batch.start) as usize)?;
    }
    Ok(())
}

/// A document like those of applications: some fields of each type, with this many bytes.
fn document(n: u64, bytes: usize) -> String {
    let mut text = format!(
        "{{\"id\":{n},\"type\":\"order\",\"active\":{},\"price\":{}.{:02},\"tags\":[",
        n.is_multiple_of(2),
        n % 1000,
        n % 100,
    );
    while text.len() + 40 < bytes {
        let word = fastrand::u64(1 << 40..);
        text.push_str(&format!("{{\"name\":\"item {word:x}\",\"n\":{}}},", word % 1000));
    }
    let rest = bytes.saturating_sub(text.len() + 4);
    text.push_str(&format!("\"{}\"]}}", "x".repeat(rest)));
    text
}

/// Reads everything and drops it. Returns documents and bytes.
async fn to_nowhere(server: &Server) -> Result<(u64, u64), LinkError> {
    let address = server.address.to_string();
    let endpoint = Endpoint::new("node", address, USER, Secret::new(PASSWORD));
    let login = Login {
        bucket: Some(BUCKET),
        agent: "bench",
        features: &[mcbp::Feature::COLLECTIONS],
        deadlines: Deadlines::default(),
    };
    let mut client = Client::connect(&endpoint, login).await?;
    let seqnos = client.get_all_vb_seqnos().await?;
    let mut reader = DcpReader::open(&endpoint, ReaderOptions::new(BUCKET, "nowhere")).await?;
    for (vb, high) in seqnos.into_iter().filter(|(_, high)| *high > Seqno::ZERO) {
        reader.stream(StreamRange::all(vb, high));
    }
    let (mut documents, mut bytes, mut events) = (0, 0, Vec::new());
    while reader.next_events(&mut events).await? {
        for event in events.drain(..) {
            if let StreamEvent::Change { frame, .. } = event {
                (documents, bytes) = (documents + 1, bytes + frame.len() as u64);
            }
        }
    }
    Ok((documents, bytes))
}

struct Tail {
    took: Duration,
    cpu_seconds: f64,
    peak_mib: f64,
}

fn tail(server: &Server, password: &std::path::Path) -> io::Result<Tail> {
    let mut command = Command::new(program("dcp-proxy")?);
    command.args(["tail", BUCKET, "--node", &server.address.to_string(), "--username", USER]);
    command.arg("--password-file").arg(password).args(["--from", "start", "--until", "now"]);
    let (began, cpu) = (Instant::now(), cpu_seconds("self", (13, 14))?);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let (path, mut peak) = (format!("/proc/{}/status", child.id()), 0.0);
    let status = wait_for(PATIENCE, "the end of tail", || {
        let text = read_to_string(&path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim_end_matches("kB").trim().parse::<f64>().ok());
        peak = kib.map_or(peak, |kib| kib / 1024.0);
        child.try_wait().ok().flatten()
    })?;
    let took = began.elapsed();
    if !status.success() {
        return Err(io::Error::other(format!("tail: {status}")));
    }
    let cpu_seconds = cpu_seconds("self", (13, 14))? - cpu;
    Ok(Tail { took, cpu_seconds, peak_mib: peak })
}

/// The processor time in two fields of /proc/PID/stat, by their place after the name: that of the
/// process, or of its children that have ended.
fn cpu_seconds(process: &str, (user, system): (usize, usize)) -> io::Result<f64> {
    let stat = read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    let ticks = ticks(user).zip(ticks(system)).map(|(user, system)| user + system);
    ticks.map(|ticks| ticks / TICKS_PER_SECOND).ok_or_else(|| io::Error::other("no times in /proc"))
}
