//! Measures the whole path: documents from a data node through the sidecar to another, until they
//! are durable there. Also each part alone, the disk, and the lag of steady writes.
//!
//! - `sidecar`: dcp-proxy as a process; `replay`: a recorded stream straight into a node
//! - `lag`: writes at a constant rate, and when the target has them
//! - `seqnos`: the seqnos of a node; `report`: the command that measured, and its table

mod lag;
mod replay;
mod report;
pub(crate) mod seqnos;
pub(crate) mod sidecar;

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::backfill;
use crate::disk;
use crate::figures::Figures;
use crate::figures::Unit::{MegabytesPerSecond, Milliseconds, ProcessorSecondsPerGigabyte};
use crate::load;
use crate::server::{Mode, Server, Setting, VBUCKETS};
use replay::Recording;
use seqnos::Seqnos;
use sidecar::Sidecar;

/// How often a node is asked whether it has all changes.
const POLL: Duration = Duration::from_millis(10);
/// How long a copy may take.
const COPY_WAIT: Duration = Duration::from_secs(300);

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Documents to copy
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    documents: u64,
    /// Bytes of each value, which do not compress
    #[arg(long, value_name = "N", default_value_t = 1024)]
    value: usize,
    /// Rounds; their median is reported
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Memory of each data node in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    quota_mib: u64,
    /// Writes per second while the lag is measured
    #[arg(long, value_name = "N", default_value_t = 2000)]
    writes: u32,
    /// Seconds for which the lag is measured
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Folder in which a temporary one is made for the data
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The sidecar to measure [default: the one in the folder of this program]
    #[arg(long)]
    proxy: Option<PathBuf>,
    /// Folder of the documents to write the results into
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
}

/// Fills a node, copies it in every way in every round, and reports medians.
pub(crate) fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = bench::temporary(arguments.folder.as_deref())?;
    let path = folder.path();
    let setting =
        Setting { mode: Mode::Synced, quota_mib: arguments.quota_mib, ..Setting::default() };
    // Not synced while it is filled, which is faster. Its second start syncs, with nothing cached.
    let source = Server::node(&path.join("source"), Setting { mode: Mode::Buffered, ..setting })?;
    load::fill(&source, arguments.documents, arguments.value)?;
    let (source, _) = source.restart_as(setting, true)?;
    Seqnos::of(&source)?;
    let bench = Bench { arguments, path, setting, source };
    let mut figures = Figures::default();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        bench.parts(&mut figures)?;
        bench.whole(&mut figures)?;
    }
    let report = report::markdown(&figures, arguments);
    bench::docs::tell(&report, arguments.write_docs.as_deref(), "path-bench")
}

/// The times of a copy. Every seqno is a document of the same size here.
struct Copied {
    /// When the first documents had arrived.
    flowing: Instant,
    /// The fraction of all documents that arrived after that.
    rest: f64,
    done: Instant,
}

/// The state shared by all rounds.
struct Bench<'a> {
    arguments: &'a Arguments,
    path: &'a Path,
    setting: Setting,
    source: Server,
}

impl Bench<'_> {
    /// Each part alone: the source, the disk, the target.
    fn parts(&self, figures: &mut Figures) -> io::Result<()> {
        let began = Instant::now();
        let bytes = backfill::read_all(&self.source, VBUCKETS)?.bytes;
        let mut speed = |name, took: Duration| {
            figures.add(name, MegabytesPerSecond, bytes as f64 / 1e6 / took.as_secs_f64());
        };
        speed("the source alone, to a consumer that drops all", began.elapsed());
        speed("the disk: one file, written and synced", disk::write(self.path, bytes)?);
        let recording = Recording::of(&self.source)?;
        let target = self.target()?;
        let (began, _connection) = recording.play(&target)?;
        self.wait_for_all(&target)?;
        speed("the target alone, out of memory", began.elapsed());
        Ok(())
    }

    /// The copy through the sidecar, and the lag of what is written after it.
    fn whole(&self, figures: &mut Figures) -> io::Result<()> {
        let bytes = backfill::read_all(&self.source, VBUCKETS)?.bytes;
        let target = self.target()?;
        let (of_source, of_target) = (self.source.own_cpu_seconds()?, target.own_cpu_seconds()?);
        let written_before = target.written_bytes()?;
        let began = Instant::now();
        let proxy = self.arguments.proxy.as_deref();
        let sidecar = Sidecar::start(proxy, self.path, &self.source, &target)?;
        let copied = self.wait_for_all(&target)?;
        let speed = |bytes: f64, since: Instant| {
            bytes / 1e6 / copied.done.duration_since(since).as_secs_f64()
        };
        let [all, rest] = [1.0, copied.rest].map(|part| part * bytes as f64);
        figures.add("the whole path, from its start", MegabytesPerSecond, speed(all, began));
        let written = (target.written_bytes()? - written_before) as f64;
        let name = "the disk meanwhile: all that the target writes";
        figures.add(name, MegabytesPerSecond, speed(written, began));
        let set_up = copied.flowing.duration_since(began).as_secs_f64() * 1e3;
        figures.add("set-up, until the first documents are there", Milliseconds, set_up);
        let rate = speed(rest, copied.flowing);
        figures.add("the whole path, from then on", MegabytesPerSecond, rate);
        let spent = [
            ("processor of the source", self.source.own_cpu_seconds()? - of_source),
            ("processor of the sidecar", sidecar.cpu_seconds()?),
            ("processor of the target", target.own_cpu_seconds()? - of_target),
        ];
        for (name, seconds) in spent {
            figures.add(name, ProcessorSecondsPerGigabyte, seconds * 1e9 / bytes as f64);
        }
        let load = lag::Load {
            writes_per_s: self.arguments.writes,
            time: Duration::from_secs_f64(self.arguments.seconds),
            documents: self.arguments.documents,
            value: self.arguments.value,
        };
        let lag = load.run(&self.source, &target)?;
        for (name, ms) in
            [("lag, p50", lag.p50_ms), ("lag, p99", lag.p99_ms), ("lag, most", lag.most_ms)]
        {
            figures.add(name, Milliseconds, ms);
        }
        Ok(())
    }

    /// A new data node with empty replicas, in place of the last one.
    fn target(&self) -> io::Result<Server> {
        let folder = self.path.join("target");
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let node = Server::node(&folder, Setting { replica: true, ..self.setting })?;
        Seqnos::of(&node)?;
        Ok(node)
    }

    /// Waits until `target` has all changes of the source.
    fn wait_for_all(&self, target: &Server) -> io::Result<Copied> {
        let wanted = Seqnos::of(&self.source)?.ask()?;
        let mut target = Seqnos::of(target)?;
        let deadline = Instant::now() + COPY_WAIT;
        let mut first = None;
        loop {
            let there = target.ask()?;
            let now = Instant::now();
            let there_sum: u64 = there.iter().sum();
            if there_sum > 0 && first.is_none() {
                let rest = 1.0 - there_sum as f64 / wanted.iter().sum::<u64>() as f64;
                first = Some((now, rest));
            }
            if there == wanted {
                let (flowing, rest) = first.unwrap_or((now, 0.0));
                return Ok(Copied { flowing, rest, done: now });
            }
            if now > deadline {
                return Err(io::Error::other(format!("no whole copy within {COPY_WAIT:?}")));
            }
            thread::sleep(POLL);
        }
    }
}
