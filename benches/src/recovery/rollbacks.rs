//! Measures a mass rollback: every vBucket of the consumer has another history.

use std::io;
use std::time::{Duration, Instant};

use super::cluster::{COPY_WAIT, Node, Template};
use super::slow::SlowConsumer;
use super::{alone, sidecar::Sidecar};
use crate::figures::Figures;
use crate::figures::Unit::{Count, Milliseconds, Ratio};
use crate::server::VBUCKETS;

/// With data nodes: the consumer alone, then through the sidecar.
pub(super) fn measure(template: &Template, figures: &mut Figures) -> io::Result<()> {
    let mut add = |name: &str, unit, figure| {
        figures.add(&format!("mass rollback, kvnode: {name}"), unit, figure);
    };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let alpha = template.node("alpha")?;
    let recording = alone::Recording::of(&alpha.server)?;
    let need = alone::roll_back(&template.node("other")?.server, &recording)?;
    add("the consumer alone", Milliseconds, ms(need));
    add("empty replicas instead, through the sidecar", Milliseconds, ms(fill(template, &alpha)?));
    let beta = template.node("other")?;
    let sidecar = template.sidecar(&alpha, &beta, "")?;
    let began = Instant::now();
    sidecar.replicate()?;
    let open = began.elapsed();
    alpha.same_as(&beta)?;
    add("until all are open", Milliseconds, ms(open));
    add("to the consumer alone", Ratio, open.as_secs_f64() / need.as_secs_f64());
    let failures = sidecar.failures()?;
    add("streams that failed", Count, failures.streams as f64);
    add("links lost", Count, failures.links as f64);
    Ok(())
}

/// The same documents into empty replicas: the time without rollbacks.
fn fill(template: &Template, alpha: &Node) -> io::Result<Duration> {
    let beta = template.empty()?;
    let sidecar = template.sidecar(alpha, &beta, "")?;
    let began = Instant::now();
    sidecar.replicate()?;
    Ok(began.elapsed())
}

/// With a played consumer that rolls back one vBucket at a time, in `unit` each, and a deadline far
/// shorter than the total.
pub(super) fn one_at_a_time(
    template: &Template,
    unit: Duration,
    setup_ms: u64,
    figures: &mut Figures,
) -> io::Result<()> {
    let alpha = template.node("alpha")?;
    let consumer = SlowConsumer::start(unit)?;
    let addresses = (consumer.address, alpha.server.address);
    let limits = format!("setup_ms = {setup_ms}");
    let sidecar = Sidecar::start(&template.fresh("sidecar")?, addresses, &limits)?;
    let began = Instant::now();
    sidecar.replicate()?;
    let open = began.elapsed();
    let documents = consumer.wait_for_documents(template.documents, COPY_WAIT)?;
    let did = consumer.did();
    let need = did.busy.div_f64(did.rollbacks as f64 / f64::from(VBUCKETS));
    let mut add = |name: &str, unit, figure| {
        figures.add(&format!("mass rollback, one at a time: {name}"), unit, figure);
    };
    add("what the consumer needs", Milliseconds, need.as_secs_f64() * 1e3);
    add("until all are open", Milliseconds, open.as_secs_f64() * 1e3);
    add("to what the consumer needs", Ratio, open.as_secs_f64() / need.as_secs_f64());
    add("rollbacks", Count, did.rollbacks as f64);
    add("closed while rolling back", Count, did.closed as f64);
    add("connections that were lost", Count, (did.connections - 1) as f64);
    if documents != template.documents {
        return Err(io::Error::other(format!("the consumer has {documents} documents")));
    }
    Ok(())
}
