//! Reads the facts about a vBucket from statistics, as kv_engine and kvnode spell them. Pure.

use std::collections::BTreeMap;
use std::str::FromStr;

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbId, VbState, VbUuid};

use super::facts::{DcpStream, VbCopy};

/// The most DCP streams of a vBucket that are kept of a node's list.
const STREAMS_MAX: usize = 64;
/// The states of vBuckets.
const STATES: [VbState; 4] = [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead];

type Stats = [(String, String)];

/// The statistics of one vBucket by their names without its own.
struct OfVb<'a> {
    stats: &'a Stats,
    prefix: String,
}

impl<'a> OfVb<'a> {
    fn new(vb: VbId, stats: &'a Stats) -> Self {
        Self { stats, prefix: format!("vb_{}:", vb.0) }
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        let named = |key: &str| key.strip_prefix(&self.prefix) == Some(name);
        Some(self.stats.iter().find(|(key, _)| named(key))?.1.as_str())
    }

    fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }
}

/// Takes what `vbucket-details VB` says.
pub(super) fn details(vb: VbId, stats: &Stats, copy: &mut VbCopy) {
    let of = OfVb::new(vb, stats);
    let named =
        |(name, _): &&(String, String)| name.trim_end_matches(':') == format!("vb_{}", vb.0);
    let state = stats.iter().find(named).map(|(_, state)| state.as_str());
    copy.state = STATES.into_iter().find(|known| Some(known.name()) == state);
    copy.uuid = of.number("uuid");
    copy.high = of.number("high_seqno");
    copy.persisted = of.number("persistence_seqno");
    copy.purge = of.number("purge_seqno");
    copy.max_cas = of.number("max_cas");
    copy.documents = of.number("num_items");
    copy.high_prepared = of.number("high_prepared_seqno");
    copy.high_completed = of.number("high_completed_seqno");
    copy.pending_prepares = of.number("num_prepared_sync_writes");
    copy.topology = match of.text("topology") {
        Some("null") => Some(Vec::new()),
        text => text.and_then(|text| serde_json::from_str(text).ok()),
    };
}

/// Takes what `vbucket-seqno VB` says.
pub(super) fn seqnos(vb: VbId, stats: &Stats, copy: &mut VbCopy) {
    let of = OfVb::new(vb, stats);
    copy.high = of.number("high_seqno").or(copy.high);
    copy.persisted = of.number("last_persisted_seqno").or(copy.persisted);
    copy.uuid = of.number("uuid").or(copy.uuid);
    copy.purge = of.number("purge_seqno").or(copy.purge);
    let start = of.number("last_persisted_snap_start");
    copy.snapshot = start.zip(of.number("last_persisted_snap_end"));
}

/// Returns the failover log that `failovers VB` shows, newest entry first; `None` where it is
/// malformed or has no entry.
pub(super) fn failovers(vb: VbId, stats: &Stats) -> Option<Vec<FailoverEntry>> {
    let of = OfVb::new(vb, stats);
    let count: usize = of.number("num_entries")?;
    let entry = |at: usize| {
        let uuid = VbUuid(of.number(&format!("{at}:id"))?);
        Some(FailoverEntry { uuid, seqno: Seqno(of.number(&format!("{at}:seq"))?) })
    };
    let log: Option<Vec<_>> = (0..count.min(vbucket::failover::ENTRIES_MAX)).map(entry).collect();
    log.filter(|log| !log.is_empty())
}

/// Returns the number of tombstones that `dcp-vbtakeover VB NAME` shows. Only a node that counts
/// them is believed: a kvnode always says 0, and has no figures of its files in the details.
pub(super) fn deletions(vb: VbId, details: &Stats, takeover: &Stats) -> Option<u64> {
    OfVb::new(vb, details).text("db_file_size")?;
    let (_, value) = takeover.iter().find(|(name, _)| name == "on_disk_deletes")?;
    value.parse().ok()
}

/// Returns the streams of a vBucket in the statistics of DCP. A name of a connection may have
/// colons, a field has none.
pub(super) fn streams(vb: VbId, stats: &Stats) -> Vec<DcpStream> {
    let mut fields: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    let of_stream = format!("stream_{}", vb.0);
    for (stat, value) in stats {
        let Some((name, field)) = stat.strip_prefix("eq_dcpq:").and_then(split) else { continue };
        let is_of_connection =
            matches!(field, "type" | "unacked_bytes" | "max_buffer_bytes" | "pending_disconnect");
        let of_vb = field.strip_prefix(&of_stream);
        match of_vb {
            // All fields of a stream in one, as JSON.
            Some("") => {
                let all: BTreeMap<String, String> = serde_json::from_str(value).unwrap_or_default();
                let all = all.into_iter().map(|(field, value)| (format!("_{field}"), value));
                fields.entry(name).or_default().extend(all);
            }
            Some(field) if field.starts_with('_') => {
                fields.entry(name).or_default().insert(field.to_owned(), value.clone());
            }
            _ if is_of_connection => {
                fields.entry(name).or_default().insert(field.to_owned(), value.clone());
            }
            _ => {}
        }
    }
    let has_stream =
        |fields: &BTreeMap<String, String>| fields.keys().any(|key| key.starts_with('_'));
    let found = fields.iter().filter(|(_, fields)| has_stream(fields));
    found.take(STREAMS_MAX).map(|(name, fields)| stream(name, fields)).collect()
}

fn split(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once(':')
}

fn stream(connection: &str, fields: &BTreeMap<String, String>) -> DcpStream {
    let text = |key: &str| fields.get(key).cloned();
    let number = |key: &str| fields.get(key)?.parse::<u64>().ok();
    let is_consumer = fields.get("type").is_some_and(|role| role == "consumer");
    DcpStream {
        connection: connection.to_owned(),
        role: text("type"),
        state: text("_state"),
        last_sent: number("_last_sent_seqno"),
        last_received: number("_last_received_seqno"),
        snapshot_start: number("_cur_snapshot_start"),
        snapshot_end: number("_cur_snapshot_end").or_else(|| number("_last_sent_snap_end_seqno")),
        buffered_bytes: match is_consumer {
            true => number("_unacked_bytes"),
            false => number("_backfill_buffer_bytes"),
        },
        unacked_bytes: number("unacked_bytes"),
        window_bytes: number("max_buffer_bytes"),
        backfill_sent: number("_backfill_sent"),
    }
}

#[cfg(test)]
mod tests;
