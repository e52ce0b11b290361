//! One step of growth: a load with gets beside it, what is left to do after it, gets and starts.

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::Arguments;
use super::table::Table;
use crate::documents::{Documents, KEY_BYTES};
use crate::paced::Paced;
use crate::server::{BUCKET, Server};
use crate::watch::{disk_bytes, forget, until_quiet};

/// So many documents are there before gets of them begin.
const BEGUN: u64 = 100_000;
pub(crate) const MIB: f64 = 1_048_576.0;

/// Loads the documents of these numbers, and measures.
pub(super) fn step(
    arguments: &Arguments,
    node: Server,
    new: Range<u64>,
    table: &mut Table,
) -> io::Result<Server> {
    let documents = arguments.small();
    table.step(format!("{:.1} million", new.end as f64 / 1e6));
    if !new.is_empty() {
        let begun = new.start.max(BEGUN.min(new.end));
        documents.store(&node, BUCKET, new.start..begun)?;
        load(arguments, &node, begun..new.end, table)?;
        debt(arguments, &node, new.end, table)?;
    }
    let push = |out: &mut Vec<u8>| documents.push_get(out, fastrand::u64(..new.end));
    let (rate, bucket) = (arguments.rate, BUCKET);
    let gets = |server: &Server| {
        let before = server.own_cpu_seconds()?;
        let took = Paced { server, bucket, rate, push: &push }.run(arguments.gets())?;
        let cpu = server.own_cpu_seconds()? - before;
        Ok::<_, io::Error>((took, cpu * 1e6 / (f64::from(rate) * arguments.seconds)))
    };
    let (took, cpu_us) = gets(&node)?;
    table.latencies("gets afterwards", &took);
    table.add("processor us a get", cpu_us);
    let mut node = node;
    for (name, clean) in [("clean stop", true), ("kill", false)] {
        let took;
        (node, took) = started_anew(node, clean, documents, new.end)?;
        table.add(&format!("first get after a {name}, s"), took.as_secs_f64());
    }
    table.add("RSS after the start, MiB", node.resident_mib()?);
    forget(&node.folder)?;
    let (took, _) = gets(&node)?;
    table.latencies("gets, nothing in the system's cache", &took);
    table.add("RSS after them, MiB", node.resident_mib()?);
    Ok(node)
}

fn load(
    arguments: &Arguments,
    node: &Server,
    new: Range<u64>,
    table: &mut Table,
) -> io::Result<()> {
    let documents = arguments.small();
    let (count, before) = ((new.end - new.start) as f64, node.written_bytes()?);
    let cpu_before = node.own_cpu_seconds()?;
    let push = |out: &mut Vec<u8>| documents.push_get(out, fastrand::u64(..new.start));
    let paced = Paced { server: node, bucket: BUCKET, rate: arguments.rate, push: &push };
    let (took, gets) = paced.during(|| documents.store(node, BUCKET, new.clone()))?;
    let cpu = node.own_cpu_seconds()? - cpu_before;
    table.add("load, s", took.as_secs_f64());
    table.add("load, documents/s", count / took.as_secs_f64());
    table.add("load, processor us a document", cpu * 1e6 / count);
    let bytes = count * (KEY_BYTES as f64 + arguments.value as f64);
    let written = node.written_bytes()? - before;
    table.add("load, bytes written for each of a document", written as f64 / bytes);
    table.latencies("gets meanwhile", &gets);
    table.add("RSS at the end, MiB", node.resident_mib()?);
    Ok(())
}

/// What compactions have left to do.
fn debt(arguments: &Arguments, node: &Server, all: u64, table: &mut Table) -> io::Result<()> {
    let quiet = until_quiet(node, &node.folder, arguments.patience())?;
    table.add("quiet after, s", quiet.after.as_secs_f64());
    table.add("written until then, MiB", quiet.written_bytes as f64 / MIB);
    table.add("processor until then, s", quiet.cpu_seconds);
    table.add("RSS then, MiB", node.resident_mib()?);
    table.add("peak RSS, MiB", node.peak_mib()?.unwrap_or_default());
    table.add("bytes on disk, a document", disk_bytes(&node.folder)? as f64 / all as f64);
    table.add("bytes on disk, MiB", disk_bytes(&node.folder)? as f64 / MIB);
    Ok(())
}

/// Starts a node anew, with nothing of its files in the system's memory. Returns it, and how long
/// it took until its first get was answered.
pub(crate) fn started_anew(
    node: Server,
    clean: bool,
    documents: Documents,
    count: u64,
) -> io::Result<(Server, Duration)> {
    forget(&node.folder)?;
    let (node, started) = node.restart(clean)?;
    let began = Instant::now();
    let (mut connection, mut out) = (node.connect_to(BUCKET)?, Vec::new());
    documents.push_get(&mut out, fastrand::u64(..count));
    connection.send(&out)?;
    connection.successes(1)?;
    Ok((node, started + began.elapsed()))
}
