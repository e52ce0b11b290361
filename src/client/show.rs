//! The output for people. Pure: answers in, pages out.

use mcbp::VbId;
use replica::plan::VbSet;
use serde::Deserialize as _;

use super::error::AskError;
use super::page::Page;
use super::table::{Cell, Table};
use super::views::{
    Bucket, Failures, Link, Moved, Node, Replications, Status, Stream, StreamPhase,
};

/// How many failures are listed; `--json` has all. Of a set that was to be moved all are listed,
/// because each move has to be repeated.
const FAILURES_MAX: usize = 20;

pub(super) fn status(status: &Status) -> Page {
    let Status { version, uptime_ms, phase, ready, node, producers, buckets, .. } = status;
    let ready = if *ready { "ready" } else { "not ready" };
    let first = format!("dcp-proxy {version}, {phase} for {}, {ready}\n\n", ms(*uptime_ms));
    let page = Page::default().text(first).table(nodes(status)).text("\n");
    let page = if buckets.is_empty() { page } else { page.table(bucket_table(buckets)) };
    page.text(warnings(std::iter::once(node).chain(producers)))
}

fn nodes(Status { node, producers, embedded, .. }: &Status) -> Table {
    let mut table = Table::new(["NODE", "ROLE", "HEARD", "EMBEDDED"]);
    let producers = producers.iter().map(|producer| (producer, "producer"));
    for (Node { name, silent_ms, .. }, role) in std::iter::once((node, "consumer")).chain(producers)
    {
        let heard = silent_ms.map_or("never".to_owned(), |silent| format!("{} ago", ms(silent)));
        let inside = embedded.iter().find(|inside| inside.name == *name);
        let inside = inside.map(|inside| format!("{}, {}", inside.address, inside.durability));
        let inside = inside.as_deref().unwrap_or("");
        table.push([name.as_str().into(), role.into(), heard.as_str().into(), inside.into()]);
    }
    table
}

fn bucket_table(buckets: &[Bucket]) -> Table {
    let mut table = Table::new([
        "BUCKET",
        "CONNECTIONS",
        "LINKS",
        "UP",
        "STREAMS",
        "OPEN",
        "FAILED",
        "MOVING",
        "LAG",
    ]);
    for bucket in buckets {
        table.push([
            Cell::from(bucket.bucket.as_str()),
            bucket.connections.into(),
            bucket.links.into(),
            bucket.links_up.into(),
            bucket.wanted.into(),
            bucket.open.into(),
            bucket.failed.into(),
            bucket.moving.into(),
            lag(bucket),
        ]);
    }
    table
}

/// A line for each node with a warning.
fn warnings<'a>(nodes: impl Iterator<Item = &'a Node>) -> String {
    let line = |node: &Node| {
        // The text of a data node may hold control characters; none reaches the terminal.
        let text = node.warning.as_deref()?.replace(char::is_control, " ");
        Some(format!("\nwarning: {}: {text}\n", node.name))
    };
    nodes.filter_map(line).collect()
}

/// The largest lag of a vBucket; `>=` where the lag of others is unknown.
fn lag(bucket: &Bucket) -> Cell {
    match (bucket.lag_seqnos_max, bucket.lag_unknown) {
        (max, 0) => max.into(),
        (None, _) => Cell::known(None),
        (Some(max), unknown) => Cell::Number(format!(">={max} ({unknown} unknown)")),
    }
}

pub(super) fn streams(replications: &Replications) -> Page {
    let mut streams = Table::new([
        "BUCKET", "VB", "PRODUCER", "LINK", "PHASE", "OPAQUE", "SEQNO", "LAG", "PROGRESS", "ERROR",
    ]);
    let mut moves = Table::new(["BUCKET", "VB", "MOVES FROM", "PHASE", "LEFT", "SINCE"]);
    for bucket in &replications.buckets {
        let name = bucket.bucket.as_str();
        let rows = bucket.links.iter().flat_map(|link| link.streams.iter().map(move |s| (link, s)));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|(_, stream)| stream.vbucket);
        for (link, stream) in rows {
            streams.push(stream_row(name, link, stream));
        }
        for moving in &bucket.moves {
            moves.push([
                name.into(),
                moving.vbucket.into(),
                moving.from.as_str().into(),
                moving.phase.as_str().into(),
                Cell::known(moving.estimate),
                ms(moving.since_ms).as_str().into(),
            ]);
        }
    }
    match (streams.is_empty(), moves.is_empty()) {
        (true, true) => Page::default().text("nothing is replicated"),
        (false, true) => Page::default().table(streams),
        (true, false) => Page::default().table(moves),
        (false, false) => Page::default().table(streams).text("\n").table(moves),
    }
}

fn stream_row(bucket: &str, link: &Link, stream: &Stream) -> [Cell; 10] {
    // A stream on a link that is down has no error of its own.
    let link_error = link.last_error.as_ref().filter(|_| stream.phase != StreamPhase::Open);
    let error = stream.last_error.as_ref().or(link_error);
    let connection = format!("{} {}", link.connection, link.phase);
    let detail = detail(stream, error.map(|error| error.detail.as_str()));
    let progress = stream.progress_ms.map_or("?".to_owned(), |age| format!("{} ago", ms(age)));
    [
        bucket.into(),
        stream.vbucket.into(),
        link.producer.as_str().into(),
        connection.as_str().into(),
        stream.phase.to_string().as_str().into(),
        stream.opaque.into(),
        Cell::known(stream.seqno),
        Cell::known(stream.lag_seqnos),
        progress.as_str().into(),
        detail.as_str().into(),
    ]
}

/// The details of a stream: its place in the queue of rollbacks, how far its copy is complete, why
/// it failed.
fn detail(stream: &Stream, error: Option<&str>) -> String {
    let line = stream.rollbacks_before.map(|before| format!("{before} rollbacks come first"));
    let copy = stream.complete_to.map(|seqno| format!("the copy is complete to {seqno} only"));
    let parts = [line, copy, error.map(str::to_owned)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

pub(super) fn error(error: &AskError) -> Page {
    let failures = error.body().and_then(|body| Failures::deserialize(body).ok());
    let Some(Failures { errors, moved: others }) = failures.filter(|f| !f.errors.is_empty()) else {
        return error.to_string().into();
    };
    let shown = if others.is_some() { errors.len() } else { FAILURES_MAX };
    let mut table = Table::new(["VB", "PRODUCER", "REASON", "STATUS", "RETRY", "DETAIL"]);
    for failure in errors.iter().take(shown) {
        table.push([
            failure.vbucket.into(),
            failure.producer.as_str().into(),
            failure.reason.as_str().into(),
            failure.status.as_deref().unwrap_or("-").into(),
            failure.retry.as_str().into(),
            failure.detail.as_str().into(),
        ]);
    }
    let more = errors.len().saturating_sub(shown);
    let more = match more {
        0 => String::new(),
        more => format!("and {more} more; --json lists all\n"),
    };
    let things = if errors.len() == 1 { "vBucket" } else { "vBuckets" };
    let page = match others.as_deref() {
        Some(others @ [first, ..]) => moved(&first.bucket, &first.from, others).text("\n"),
        Some([]) | None => Page::default(),
    };
    page.text(format!("{} {things} failed:\n", errors.len())).table(table).text(more)
}

/// vBuckets that were moved, in one line without a line end.
pub(super) fn moved(bucket: &str, from: &str, moved: &[Moved]) -> Page {
    let (count, set) = (moved.len(), moved.iter().map(|m| VbId(m.vbucket)).collect::<VbSet>());
    let things = if count == 1 { "vBucket is" } else { "vBuckets are" };
    let took = ms(moved.iter().map(|moved| moved.elapsed_ms).max().unwrap_or(0));
    format!("{bucket}: {count} {things} active here, dead at {from}, in {took}: {set}").into()
}

/// A duration with the units that fit its size.
pub(super) fn ms(ms: u64) -> String {
    const SECOND: u64 = 1000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        MINUTE..HOUR => format!("{} min {} s", ms / MINUTE, ms % MINUTE / SECOND),
        HOUR.. => format!("{} h {} min", ms / HOUR, ms % HOUR / MINUTE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lag_seqnos_max: Option<u64>, lag_unknown: u64, warning: Option<&str>) -> String {
        let body = serde_json::json!({
            "version": "1", "uptime_ms": 0, "phase": "running", "ready": true, "embedded": [],
            "node": { "name": "beta", "silent_ms": 3, "warning": null },
            "producers": [{ "name": "alpha", "silent_ms": null, "warning": warning }],
            "buckets": [{
                "bucket": "default", "connections": 1, "links": 1, "links_up": 1, "wanted": 9,
                "open": 9, "failed": 0, "moving": 0,
                "lag_seqnos_max": lag_seqnos_max, "lag_unknown": lag_unknown,
            }],
        });
        let body = Status::deserialize(body).unwrap_or_else(|error| panic!("{error}"));
        status(&body).render(None)
    }

    #[test]
    fn a_lag_that_is_not_known_is_never_shown_as_a_small_one() {
        for (max, unknown, end) in [
            (Some(0), 0, "  0\n"),
            (Some(0), 5, "  >=0 (5 unknown)\n"),
            (None, 9, "  ?\n"),
            (None, 0, "  -\n"),
        ] {
            let text = shown(max, unknown, None);
            assert!(text.ends_with(end), "{text}");
        }
    }

    #[test]
    fn a_warning_stands_below_with_its_node() {
        let text = shown(Some(0), 0, Some("[node] name is \"b\u{1b}\""));
        assert!(text.ends_with("\n\nwarning: alpha: [node] name is \"b \"\n"), "{text}");
    }
}
