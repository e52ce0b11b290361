//! Maps, changes and reports as lines for people, and as JSON for programs.

use std::collections::BTreeMap;

use desired::{Diff, Entry};
use etcdmaps::{Change, Report};
use replica::plan::{Connections, VbSet};
use serde_json::{Value, json};

/// The most of a reason that a line repeats.
const REASON_BYTES_MAX: usize = 200;

/// A map: `alpha=0-511 gamma=600, 2 connections`.
pub(super) fn map(entry: &Entry) -> String {
    let sets = sets(entry.replicate.producers());
    let sets = if sets.is_empty() { "nothing".to_owned() } else { sets };
    match entry.connections {
        Connections::ONE => sets,
        count => format!("{sets}, {} connections", count.count()),
    }
}

fn sets(sets: &BTreeMap<String, VbSet>) -> String {
    sets.iter().map(|(name, set)| format!("{name}={set}")).collect::<Vec<_>>().join(" ")
}

/// `1 map`, `2 maps`.
pub(super) fn count(maps: usize) -> String {
    format!("{maps} map{}", if maps == 1 { "" } else { "s" })
}

/// A change: `beta/default: changed: opens alpha=7, closes gamma=9, 1022 stay`.
pub(super) fn change(change: &Change) -> String {
    let name = format!("{}/{}", change.node, change.bucket);
    let Diff { opens, closes, stays } = change.streams();
    let mut parts = Vec::new();
    match (&change.before, &change.after) {
        (_, None) => return format!("{name}: deleted: its sidecar keeps what it replicates"),
        (None, Some(_)) => parts.push(format!("{name}: created:")),
        (Some(Ok(_)), Some(_)) => parts.push(format!("{name}: changed:")),
        (Some(Err(reason)), Some(_)) => {
            let reason = logline::capped(reason, REASON_BYTES_MAX);
            parts.push(format!("{name}: replaces what is no map ({reason}):"));
        }
    }
    let stays: usize = stays.values().map(VbSet::len).sum();
    let mut what = Vec::new();
    if !opens.is_empty() {
        what.push(format!("opens {}", sets(&opens)));
    }
    if !closes.is_empty() {
        what.push(format!("closes {}", sets(&closes)));
    }
    what.push(format!("{stays} stay"));
    if let (Some(Ok(before)), Some(after)) = (&change.before, &change.after)
        && before.connections != after.connections
    {
        let (before, after) = (before.connections.count(), after.connections.count());
        what.push(format!("connections {before} to {after}"));
    }
    parts.push(what.join(", "));
    parts.join(" ")
}

/// A change, for programs.
pub(super) fn change_json(change: &Change) -> Value {
    let kind = match (&change.before, &change.after) {
        (_, None) => "deleted",
        (None, Some(_)) => "created",
        (Some(_), Some(_)) => "changed",
    };
    let before = change.before.as_ref().and_then(|before| before.as_ref().ok());
    let connections = |entry: Option<&Entry>| entry.map(|entry| entry.connections.count());
    let Diff { opens, closes, stays } = change.streams();
    json!({
        "node": change.node, "bucket": change.bucket, "key": change.key, "change": kind,
        "opens": opens, "closes": closes, "stays": stays,
        "connections": {
            "before": connections(before), "after": connections(change.after.as_ref()),
        },
    })
}

/// A report: `revision 7, open 1020, failing 3 of alpha: refused (5-7), lag 12, drift 1`.
pub(super) fn report(report: &Report) -> String {
    let Report { revision, open, failing, lag, drift, refused } = report;
    let open: usize = open.values().map(VbSet::len).sum();
    let mut parts = vec![format!("revision {revision}"), format!("open {open}")];
    for it in failing {
        let of = it.producer.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
        let reason = logline::value(logline::capped(&it.reason, REASON_BYTES_MAX));
        parts.push(format!("failing {}{of} ({}): {reason}", it.vbuckets.len(), it.vbuckets));
    }
    match lag {
        Some(lag) => parts.push(format!("lag {lag}")),
        None => parts.push("lag unknown".to_owned()),
    }
    if *drift > 0 {
        parts.push(format!("drift {drift}"));
    }
    if let Some(refused) = refused {
        let reason = logline::value(logline::capped(&refused.reason, REASON_BYTES_MAX));
        parts.push(format!("refuses revision {}: {reason}", refused.revision));
    }
    parts.join(", ")
}
