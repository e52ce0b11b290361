//! Measures kill -9 of either node: the time until every stream is open again.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::Template;
use crate::figures::Figures;
use crate::figures::Unit::{Count, Milliseconds};
use crate::load;

/// Documents that are overwritten just before each kill, and the bytes of each.
const WRITES: u64 = 10_240;
const WRITE_BYTES: usize = 256;

/// Kills producer and consumer, with an immediate start and with one after `away`.
pub(super) fn measure(
    template: &Template,
    away: Duration,
    figures: &mut Figures,
) -> io::Result<()> {
    let (mut alpha, mut beta) = (template.node("alpha")?, template.empty()?);
    let sidecar = template.sidecar(&alpha, &beta, "")?;
    sidecar.replicate()?;
    alpha.same_as(&beta)?;
    for (name, is_producer) in [("producer", true), ("consumer", false)] {
        for pause in [Duration::ZERO, away] {
            // Some of these are not replicated yet when the node is killed.
            load::fill(&alpha.server, WRITES, WRITE_BYTES)?;
            let node = if is_producer { &mut alpha } else { &mut beta };
            let killed = Instant::now();
            node.server.kill_9()?;
            sidecar.wait_for_all_open(false)?;
            thread::sleep(pause);
            let answered = node.restart()?;
            sidecar.wait_for_all_open(true)?;
            let open = Instant::now();
            let what = match pause.as_secs_f64() {
                0.0 => format!("{name} killed and started"),
                seconds => format!("{name} killed, started after {seconds} s"),
            };
            for (part, time) in [
                ("from the kill until it answers", answered - killed),
                ("from its answer until all are open", open - answered),
                ("from the kill until all are open", open - killed),
            ] {
                figures.add(&format!("{what}: {part}"), Milliseconds, time.as_secs_f64() * 1e3);
            }
            alpha.same_as(&beta)?;
        }
    }
    let refusals = sidecar.failures()?.refusals;
    figures.add("all kills: streams refused meanwhile", Count, refusals as f64);
    Ok(())
}
