//! Measures a change of the number of connections while a client writes: the time until every
//! stream is open.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::{Node, Template};
use super::sidecar::Sidecar;
use crate::figures::Figures;
use crate::figures::Unit::{Count, Milliseconds};
use crate::load;
use crate::server::wait_for;

/// Requests of the client in flight.
const DEPTH: usize = 64;
/// Bytes of each value that it writes.
const VALUE_BYTES: usize = 256;
/// Writes before each change, and their deadline.
const WRITES_BEFORE: u64 = 20_000;
const WRITE_WAIT: Duration = Duration::from_secs(60);
/// The number of connections before and after.
const CHANGES: [(u8, u8); 2] = [(1, 4), (4, 1)];

/// Changes from one connection to four and back.
pub(super) fn measure(template: &Template, figures: &mut Figures) -> io::Result<()> {
    let (alpha, beta) = (template.node("alpha")?, template.empty()?);
    let sidecar = template.sidecar(&alpha, &beta, "")?;
    sidecar.replicate()?;
    alpha.same_as(&beta)?;
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&alpha, template.documents, &stop, &written));
        let changed = change(&sidecar, &written, figures);
        stop.store(true, Relaxed);
        writer.join().map_err(|_| io::Error::other("the writer died"))??;
        changed
    })?;
    alpha.same_as(&beta)?;
    let failures = sidecar.failures()?;
    figures.add("changes of connections: refusals", Count, failures.refusals as f64);
    figures.add("changes of connections: streams that failed", Count, failures.streams as f64);
    figures.add("changes of connections: links lost", Count, failures.links as f64);
    Ok(())
}

fn change(sidecar: &Sidecar, written: &AtomicU64, figures: &mut Figures) -> io::Result<()> {
    for (from, to) in CHANGES {
        let goal = written.load(Relaxed) + WRITES_BEFORE;
        wait_for(WRITE_WAIT, "writes before a change of connections", || {
            (written.load(Relaxed) >= goal).then_some(())
        })?;
        let (began, before) = (Instant::now(), written.load(Relaxed));
        sidecar.connections(to)?;
        let took = began.elapsed();
        let writes = written.load(Relaxed) - before;
        let name = format!("connections {from} to {to} under writes: until all are open");
        figures.add(&name, Milliseconds, took.as_secs_f64() * 1e3);
        figures.add(&format!("connections {from} to {to}: writes meanwhile"), Count, writes as f64);
    }
    Ok(())
}

/// Overwrites documents until it is stopped.
fn write(node: &Node, documents: u64, stop: &AtomicBool, written: &AtomicU64) -> io::Result<()> {
    let value = load::noise(VALUE_BYTES);
    let mut connection = node.server.connect()?;
    let mut out = Vec::new();
    while !stop.load(Relaxed) {
        out.clear();
        for _ in 0..DEPTH {
            load::push_set(&mut out, &node.server, fastrand::u64(..documents), &value);
        }
        connection.send(&out)?;
        connection.successes(DEPTH)?;
        written.fetch_add(DEPTH as u64, Relaxed);
    }
    Ok(())
}
