//! Measures what concerns a whole bucket: the first get after a start, a backfill with few and with
//! many streams at once, and its deletion beside another bucket.
//!
//! A bucket is deleted as a sidecar's node is emptied: with DEL_VBUCKET for each of its vBuckets.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mcbp::{FrameBuilder, Opcode, VbId};

use crate::backfill::read_some_at_once;
use crate::documents::Documents;
use crate::figures::{
    Figures,
    Unit::{Mebibytes, MegabytesPerSecond, Microseconds, Milliseconds, PerSecond, Seconds},
};
use crate::large::{MIB, started_anew};
use crate::paced::{Latencies, Paced};
use crate::server::{BUCKET, Mode, SECOND, Server, Setting, VBUCKETS};
use crate::watch::{disk_bytes, until_quiet};

/// Documents of the other bucket.
const BESIDE: u64 = 100_000;
/// How long the deletion of rows may take.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Documents to load
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    documents: u64,
    /// Bytes of each value
    #[arg(long, value_name = "N", default_value_t = 256)]
    value: usize,
    /// Streams at once, one backfill after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,16,1024")]
    streams: Vec<u16>,
    /// Rounds of starts and backfills; their median is reported
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Gets for each second from another bucket during the deletion
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rate: u32,
    /// Memory of each bucket in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    quota_mib: u64,
    /// Folder in which a temporary one is made for the data
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Folder of the documents to write the results into
    #[arg(long, value_name = "DIR")]
    write_docs: Option<PathBuf>,
}

/// Fills two buckets, starts the node, reads one bucket and deletes it.
pub(crate) fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = bench::temporary(arguments.folder.as_deref())?;
    let quota_mib = arguments.quota_mib;
    let setting =
        Setting { mode: Mode::MemoryFirst, quota_mib, second: true, ..Setting::default() };
    let mut node = Server::node(&folder.path().join("node"), setting)?;
    let documents = Documents { value: arguments.value, first: 0 };
    let mut figures = Figures::default();
    documents.store(&node, SECOND, 0..BESIDE)?;
    let took = documents.store(&node, BUCKET, 0..arguments.documents)?;
    figures.add("load", PerSecond, arguments.documents as f64 / took.as_secs_f64());
    until_quiet(&node, &node.folder, PATIENCE)?;
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        node = starts(arguments, node, documents, &mut figures)?;
        backfills(arguments, &node, &mut figures)?;
    }
    deletion(arguments, &node, documents, &mut figures)?;
    let Arguments { documents, value, streams, rounds, rate, .. } = arguments;
    let streams: Vec<_> = streams.iter().map(u16::to_string).collect();
    let report = format!(
        "`cargo xtask bench bucket --documents {documents} --value {value} --streams {} \
         --rounds {rounds} --rate {rate} --quota-mib {quota_mib}`\non {}.\n\n{}",
        streams.join(","),
        bench::machine(),
        figures.table()
    );
    bench::docs::tell(&report, arguments.write_docs.as_deref(), "bucket-bench")
}

fn starts(
    arguments: &Arguments,
    mut node: Server,
    documents: Documents,
    figures: &mut Figures,
) -> io::Result<Server> {
    for (name, clean) in [("a clean stop", true), ("a kill", false)] {
        let took;
        (node, took) = started_anew(node, clean, documents, arguments.documents)?;
        figures.add(&format!("first get after {name}"), Seconds, took.as_secs_f64());
    }
    Ok(node)
}

fn backfills(arguments: &Arguments, node: &Server, figures: &mut Figures) -> io::Result<()> {
    for &streams in &arguments.streams {
        let (began, cpu) = (Instant::now(), node.own_cpu_seconds()?);
        let read = read_some_at_once(node, VBUCKETS, streams)?;
        let seconds = began.elapsed().as_secs_f64();
        let cpu = node.own_cpu_seconds()? - cpu;
        let count = read.documents as f64;
        if read.documents != arguments.documents {
            let text = format!("{} documents came of {}", read.documents, arguments.documents);
            return Err(io::Error::other(text));
        }
        let name = format!("backfill, {streams} at once");
        figures.add(&format!("{name}: documents"), PerSecond, count / seconds);
        figures.add(&name, MegabytesPerSecond, read.bytes as f64 / 1e6 / seconds);
        let name = format!("{name}: processor for a document");
        figures.add(&name, Microseconds, cpu * 1e6 / count);
    }
    Ok(())
}

/// Deletes the bucket's vBuckets, with gets from the other bucket beside it.
fn deletion(
    arguments: &Arguments,
    node: &Server,
    documents: Documents,
    figures: &mut Figures,
) -> io::Result<()> {
    let push = |out: &mut Vec<u8>| documents.push_get(out, fastrand::u64(..BESIDE));
    let paced = Paced { server: node, bucket: SECOND, rate: arguments.rate, push: &push };
    told("gets of another bucket before", &paced.run(Duration::from_secs(5))?, figures);
    let folder = node.folder.join(BUCKET);
    let (full, written) = (disk_bytes(&folder)?, node.written_bytes()?);
    let cpu = node.own_cpu_seconds()?;
    let ((answered, quiet), gets) = paced.during(|| {
        let began = Instant::now();
        delete_all(node)?;
        let answered = began.elapsed();
        Ok((answered, until_quiet(node, &folder, PATIENCE)?))
    })?;
    let cpu = node.own_cpu_seconds()? - cpu;
    let left = disk_bytes(&folder)?;
    figures.add("deletion until it is answered", Seconds, answered.as_secs_f64());
    let freed = answered + quiet.freed_after.unwrap_or_default();
    figures.add("deletion until the space is free", Seconds, freed.as_secs_f64());
    let after = answered + quiet.after;
    figures.add("deletion until the node is quiet", Seconds, after.as_secs_f64());
    figures.add("processor of the deletion", Seconds, cpu);
    figures.add("disk before", Mebibytes, full as f64 / MIB);
    figures.add("disk at most", Mebibytes, quiet.disk_bytes_most as f64 / MIB);
    figures.add("disk after", Mebibytes, left as f64 / MIB);
    figures.add("written", Mebibytes, (node.written_bytes()? - written) as f64 / MIB);
    told("gets of another bucket meanwhile", &gets, figures);
    figures.add("peak RSS", Mebibytes, node.peak_mib()?.unwrap_or_default());
    Ok(())
}

fn told(name: &str, took: &Latencies, figures: &mut Figures) {
    for (quantile, of) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "most")] {
        let ms = took.percentile(quantile).unwrap_or_default();
        figures.add(&format!("{name}, {of}"), Milliseconds, ms);
    }
}

fn delete_all(node: &Server) -> io::Result<()> {
    let mut connection = node.connect()?;
    let mut requests = Vec::new();
    for vb in (0..VBUCKETS).map(VbId) {
        let request = FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(vb);
        requests.extend_from_slice(&request.build());
    }
    connection.send(&requests)?;
    connection.successes(usize::from(VBUCKETS))
}
