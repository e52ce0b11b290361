//! STAT dcp and dcp-vbtakeover, with the names of kv_engine.

use std::time::Instant;

use vbucket::stats::Stats;

use super::registry::{Connection, Machine, ServedBucket};
use crate::bucket::Vb;
use crate::sync::lock;

/// Sums over all connections.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
    pub(crate) streams: usize,
    pub(crate) backfills: usize,
    pub(crate) backfills_waiting: usize,
    pub(crate) read_ahead_bytes: usize,
    pub(crate) unacked_bytes: u64,
    pub(crate) silent: usize,
    bytes: u64,
    items: u64,
}

/// The statistics group `dcp`. `filter` is the value of the request: empty, or JSON that names the
/// user whose connections are wanted.
///
/// # Errors
/// A filter that is no JSON.
pub(crate) fn stats(
    served: &ServedBucket,
    filter: &[u8],
) -> Result<Vec<(String, String)>, serde_json::Error> {
    let user = wanted_user(filter)?;
    let mut totals = Totals::default();
    let mut lines = Vec::new();
    for (name, connection) in served.connections.all() {
        totals.add(&connection);
        if user.as_ref().is_none_or(|user| *user == connection.user) {
            let began = served.connections.began;
            connection_stats(&name, &connection, began, &mut lines);
        }
    }
    totals.put(&mut lines);
    Ok(lines)
}

fn wanted_user(filter: &[u8]) -> Result<Option<String>, serde_json::Error> {
    if filter.is_empty() {
        return Ok(None);
    }
    let filter: serde_json::Value = serde_json::from_slice(filter)?;
    let user = filter.pointer("/filter/user").and_then(serde_json::Value::as_str);
    Ok(user.map(str::to_owned))
}

/// `began` is when the bucket was opened.
fn connection_stats(
    name: &str,
    connection: &Connection,
    began: Instant,
    lines: &mut Vec<(String, String)>,
) {
    let prefix = format!("eq_dcpq:{name}:");
    let mut stats = Stats::new(&prefix, lines);
    stats.put("user", &connection.user);
    let age = connection.opened.elapsed();
    // A time, as in kv_engine, whose clock begins with the process.
    stats.put("created", connection.opened.saturating_duration_since(began).as_secs());
    stats.put("pending_disconnect", connection.displaced().is_cancelled());
    match &connection.machine {
        Machine::Producer(machine) => lock(machine).stats(age, &mut stats),
        Machine::Consumer(machine) => lock(machine).stats(&mut stats),
    }
}

impl Totals {
    /// The sums over the connections that are open now.
    pub(crate) fn of(served: &ServedBucket) -> Self {
        let mut totals = Self::default();
        served.connections.all().iter().for_each(|(_, connection)| totals.add(connection));
        totals
    }

    fn add(&mut self, connection: &Connection) {
        match &connection.machine {
            Machine::Producer(machine) => {
                let sent = lock(machine).totals();
                self.producers += 1;
                self.streams += sent.streams;
                self.bytes += sent.bytes;
                self.items += sent.items;
                self.backfills += sent.backfills;
                self.backfills_waiting += sent.backfills_waiting;
                self.read_ahead_bytes += sent.read_ahead_bytes;
                self.unacked_bytes += sent.unacked_bytes;
                self.silent += usize::from(sent.silent);
            }
            Machine::Consumer(_) => self.consumers += 1,
        }
    }

    fn put(&self, lines: &mut Vec<(String, String)>) {
        let mut stats = Stats::new("ep_dcp_", lines);
        stats.put("count", self.producers + self.consumers);
        stats.put("producer_count", self.producers);
        stats.put("consumer_count", self.consumers);
        stats.put("total_bytes", self.bytes);
        stats.put("items_sent", self.items);
        stats.put("num_running_backfills", self.backfills);
        stats.put("dead_conn_count", 0);
    }
}

/// The statistics group `dcp-vbtakeover`, for a vBucket and the name of a connection: how far the
/// stream of the vBucket is from its end.
pub(crate) fn takeover_stats(served: &ServedBucket, vb: &Vb, name: &str) -> Vec<(String, String)> {
    let high = vb.high_seqno().0;
    // The name may have the prefix that the statistics show it with.
    let name = name.strip_prefix("eq_dcpq:").unwrap_or(name);
    let (status, lag) = match served.connections.get(name).map(|found| found.machine) {
        Some(Machine::Producer(machine)) => match lock(&machine).stream(vb.id()) {
            Some(stream) => (stream.phase_name(), high.saturating_sub(stream.last_sent_seqno().0)),
            // MB-35061: asked for at any time, whatever became of the stream.
            None => ("does_not_exist", 0),
        },
        Some(Machine::Consumer(_)) | None => ("connection_does_not_exist", 0),
    };
    let mut lines = Vec::new();
    let mut stats = Stats::new("", &mut lines);
    stats.put("name", format_args!("eq_dcpq:{name}"));
    stats.put("status", status);
    stats.put("estimate", lag);
    stats.put("chk_items", lag);
    stats.put("vb_items", high);
    stats.put("on_disk_deletes", 0);
    lines
}
