//! Measures durable writes: how long each level takes over a link without a sidecar and with one,
//! and how many of them a node takes. Source and target are the majority of two.
//!
//! - `link`: a link without a sidecar; `report`: the command that measured, and its table

mod link;
mod report;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mcbp::framing::Level;
use mcbp::kv::StoreExtras;
use mcbp::{Datatype, FrameBuilder, Opaque, Opcode, VbId, VbState};

use self::link::DirectLink;
use crate::figures::Figures;
use crate::figures::Unit::{Milliseconds, PerSecond};
use crate::load;
use crate::path::seqnos::Seqnos;
use crate::path::sidecar::Sidecar;
use crate::server::{Mode, Server, Setting, VBUCKETS, wait_for};

/// How long a link may take until every vBucket takes durable writes.
const OPEN_WAIT: Duration = Duration::from_secs(60);
/// The requests in flight where a rate is measured.
const DEPTH: usize = 64;
/// The levels, and what they are called here; 0 is a plain write.
const LEVELS: [(u8, &str); 4] =
    [(0, "plain"), (1, "majority"), (2, "persist on active"), (3, "persist to majority")];

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Writes of each level in a round, one after the other
    #[arg(long, value_name = "N", default_value_t = 2000)]
    writes: u64,
    /// Bytes of each value
    #[arg(long, value_name = "N", default_value_t = 256)]
    value: usize,
    /// Rounds; their median is reported
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
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

/// Measures both ways in every round, and reports medians.
pub(crate) fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = bench::temporary(arguments.folder.as_deref())?;
    let mut figures = Figures::default();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        let path = folder.path().join(round.to_string());
        std::fs::create_dir(&path)?;
        let (source, target) = nodes(&path)?;
        let direct = DirectLink::open(&source, &target, "target")?;
        arguments.one_way("direct", &source, &mut figures)?;
        drop(direct);
        let sidecar = Sidecar::start(arguments.proxy.as_deref(), &path, &source, &target)?;
        arguments.one_way("sidecar", &source, &mut figures)?;
        drop((sidecar, source, target));
        std::fs::remove_dir_all(&path)?;
    }
    let report = report::markdown(&figures, arguments);
    bench::docs::tell(&report, arguments.write_docs.as_deref(), "durable-bench")
}

/// Two data nodes without links; those of the source are counted with `target`.
fn nodes(folder: &Path) -> io::Result<(Server, Server)> {
    let setting = Setting { mode: Mode::Buffered, quota_mib: 256, ..Setting::default() };
    let source = Server::node(&folder.join("source"), setting)?;
    let target = Server::node(&folder.join("target"), Setting { replica: true, ..setting })?;
    Seqnos::of(&source)?;
    Seqnos::of(&target)?;
    let mut connection = source.connect()?;
    let topology = br#"{"topology":[["source","target"]]}"#;
    for vb in (0..VBUCKETS).map(VbId) {
        let request = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(vb);
        let request = request.extras(&[VbState::Active as u8]).datatype(Datatype::JSON);
        connection.ask(&request.value(topology))?;
    }
    Ok((source, target))
}

impl Arguments {
    fn one_way(&self, way: &str, source: &Server, figures: &mut Figures) -> io::Result<()> {
        self.until_open(source)?;
        for (level, name) in LEVELS {
            let mut took = self.one_by_one(source, level)?;
            took.sort_unstable();
            for (percent, title) in [(50, "p50"), (99, "p99")] {
                let at = took.get(took.len() * percent / 100).copied().unwrap_or_default();
                let figure = format!("{name}, {way}, {title}");
                figures.add(&figure, Milliseconds, at.as_secs_f64() * 1e3);
            }
            let rate = self.rate(source, level)?;
            figures.add(&format!("{name}, {way}, {DEPTH} in flight"), PerSecond, rate);
        }
        Ok(())
    }

    /// Waits until each vBucket has taken a durable write.
    fn until_open(&self, source: &Server) -> io::Result<()> {
        let mut connection = source.connect()?;
        for vb in 0..u64::from(VBUCKETS) {
            let frame = self.frame(vb, 1);
            wait_for(OPEN_WAIT, "a durable write", || {
                connection.send(&frame).and_then(|()| connection.successes(1)).ok()
            })?;
        }
        Ok(())
    }

    /// How long each of the writes took, one after the other.
    fn one_by_one(&self, source: &Server, level: u8) -> io::Result<Vec<Duration>> {
        let mut connection = source.connect()?;
        let mut took = Vec::new();
        for n in 0..self.writes {
            let frame = self.frame(n, level);
            let began = Instant::now();
            connection.send(&frame)?;
            connection.successes(1)?;
            took.push(began.elapsed());
        }
        Ok(took)
    }

    /// Writes in a second, each batch of [`DEPTH`] to as many vBuckets.
    fn rate(&self, source: &Server, level: u8) -> io::Result<f64> {
        let mut connection = source.connect()?;
        let began = Instant::now();
        let mut written = 0;
        while written < self.writes {
            let batch = written..written + DEPTH as u64;
            let out: Vec<u8> = batch.flat_map(|n| self.frame(n, level)).collect();
            connection.send(&out)?;
            connection.successes(DEPTH)?;
            written += DEPTH as u64;
        }
        Ok(written as f64 / began.elapsed().as_secs_f64())
    }

    /// A SET of document `n`.
    fn frame(&self, n: u64, level: u8) -> Vec<u8> {
        let extras = StoreExtras::default().encode();
        let vb = u16::try_from(n % u64::from(VBUCKETS)).unwrap_or_default();
        let (key, value) = (format!("durable-{n:08}"), load::noise(self.value));
        let request = FrameBuilder::request(Opcode::SET).vbucket(VbId(vb)).opaque(Opaque(1));
        let request = request.extras(&extras).key(key.as_bytes()).value(&value);
        let framing = Level::from_wire(level).map(load::durability).unwrap_or_default();
        request.framing(&framing).build().to_vec()
    }
}
