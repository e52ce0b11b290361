//! The status for people. Pure: answers in, pages out.

use super::page::Page;
use super::plain::plain;
use super::table::{Cell, Table};
use super::views::{Bucket, ConfigFile, DesiredMaps, Drift, Node, Source, Status, Verify};

/// How many reasons to restart, drift entries and the like are listed.
const LISTED_MAX: usize = 5;

/// The page of a status. `maps` is what is wanted and why; an older sidecar does not say.
pub(super) fn status(status: &Status, maps: Option<&DesiredMaps>) -> Page {
    let Status { version, uptime_ms, phase, ready, node, producers, buckets, .. } = status;
    let ready = if *ready { "ready".to_owned() } else { not_ready(&status.not_ready) };
    let first = format!("dcp-proxy {version}, {phase} for {}, {ready}\n\n", ms(*uptime_ms));
    let page = Page::default().text(first).table(nodes(status)).text("\n");
    let page = if buckets.is_empty() { page } else { page.table(bucket_table(buckets)) };
    let page = page.text(configuration(status.config.as_ref(), maps));
    let nodes = || std::iter::once(node).chain(producers);
    let page = page.text(buckets.iter().filter_map(verified).collect::<String>());
    let page = page.text(buckets.iter().filter_map(old_lag).collect::<String>());
    let page = page.text(buckets.iter().filter_map(durable_writes).collect::<String>());
    let errors = nodes().filter_map(|node| about(node, "error", node.error.as_deref()));
    let page = page.text(errors.collect::<String>());
    let warnings = nodes().filter_map(|node| about(node, "warning", node.warning.as_deref()));
    page.text(warnings.collect::<String>())
}

/// What the first line says of a sidecar that is not ready. An older one gives no reasons.
fn not_ready(reasons: &[String]) -> String {
    // The text of a data node may hold control characters; none reaches the terminal.
    let why = plain(&reasons.join("; "));
    if why.is_empty() { "NOT READY".to_owned() } else { format!("NOT READY: {why}") }
}

fn nodes(Status { node, producers, embedded, .. }: &Status) -> Table {
    let mut table = Table::new(["NODE", "ROLE", "HEARD", "EMBEDDED"]);
    let producers = producers.iter().map(|producer| (producer, "producer"));
    for (node, role) in std::iter::once((node, "consumer")).chain(producers) {
        let Node { name, silent_ms, unresponsive, .. } = node;
        let heard = silent_ms.map_or("never".to_owned(), |silent| format!("{} ago", ms(silent)));
        let heard = if *unresponsive { format!("{heard}, UNRESPONSIVE") } else { heard };
        let inside = embedded.iter().find(|inside| inside.name == *name);
        let inside = inside.map(|inside| format!("{}, {}", inside.address, inside.durability));
        let inside = inside.as_deref().unwrap_or("");
        table.push([name.as_str().into(), role.into(), heard.as_str().into(), inside.into()]);
    }
    table
}

fn bucket_table(buckets: &[Bucket]) -> Table {
    let has_maps = buckets.iter().any(|bucket| bucket.drift.is_some());
    let head = ["BUCKET", "CONNECTIONS", "LINKS", "UP", "STREAMS", "OPEN", "FAILED", "MOVING"];
    let maps: &[_] = if has_maps { &["PAUSED", "DRIFT"] } else { &[] };
    let heading = head.iter().chain(maps).chain(&["LAG"]);
    let mut table = Table::with(heading.copied().collect());
    for bucket in buckets {
        let mut row = vec![
            Cell::from(bucket.bucket.as_str()),
            bucket.connections.into(),
            bucket.links.into(),
            bucket.links_up.into(),
            bucket.wanted.into(),
            bucket.open.into(),
            bucket.failed.into(),
            bucket.moving.into(),
        ];
        if has_maps {
            row.extend([Cell::known(bucket.paused), Cell::known(bucket.drift)]);
        }
        row.push(lag(bucket));
        table.push_all(row);
    }
    table
}

/// Lines about where what is replicated comes from, and about the last reload.
fn configuration(config: Option<&ConfigFile>, maps: Option<&DesiredMaps>) -> String {
    let mut text = String::new();
    if let Some(maps) = maps {
        text += &format!("\nsource: {}\n", source(&maps.source));
        for bucket in &maps.buckets {
            let drifts = Drift::grouped(&bucket.drift);
            for drift in drifts.iter().take(LISTED_MAX) {
                text += &format!("drift of {}: {}\n", bucket.bucket, drift.words());
            }
            text += &more(drifts.len(), "dcp-proxy config diff lists all");
            if !bucket.dropped.is_empty() {
                text += &format!(
                    "dropped of {}: {}, see dcp-proxy config diff\n",
                    bucket.bucket,
                    bucket.dropped.len()
                );
            }
        }
    }
    let Some(config) = config else { return text };
    if let (Some(file), Some(at)) = (&config.file, &config.loaded_at) {
        text += &format!("configuration: {file}, loaded at {at}\n");
    }
    if let Some(reload) = &config.last_reload {
        let at = reload.at.as_deref().unwrap_or("?");
        let result = match (&reload.error, reload.ok) {
            (_, true) => "done".to_owned(),
            (Some(error), false) => format!("FAILED, the old configuration stays: {error}"),
            (None, false) => "FAILED, the old configuration stays".to_owned(),
        };
        text += &format!("last reload: at {at}, {}\n", plain(&result));
        for key in reload.restart_needed.iter().take(LISTED_MAX) {
            text += &format!("restart needed: {key}\n");
        }
        text += &more(reload.restart_needed.len(), "--json lists all");
    }
    text
}

/// What is known of the copies of a bucket. An older sidecar does not compare them.
fn verified(bucket: &Bucket) -> Option<String> {
    let verify = bucket.verify.as_ref()?;
    let Verify { compared, differing, unclear, differences, running, last, next, error } = verify;
    let last = match last {
        // Those that are not replicated any more are forgotten a few seconds later.
        Some(at) => {
            let compared = (*compared).min(bucket.wanted);
            format!("last at {at}, {compared} of {} vBuckets compared", bucket.wanted)
        }
        None => "not compared yet".to_owned(),
    };
    let now = if *running { ", being compared" } else { "" };
    let next = match next {
        Some(at) => format!(", next at {at}"),
        None if *running => String::new(),
        None => ", on request only".to_owned(),
    };
    let found: Vec<_> =
        differences.iter().map(|(class, count)| format!("{count} {class}")).collect();
    let found = match differing + unclear {
        0 => String::new(),
        _ => format!(", {differing} DIFFER, {unclear} not comparable: {}", found.join(", ")),
    };
    let error = error.as_ref().map(|why| format!(", the last one FAILED: {}", plain(why)));
    let error = error.unwrap_or_default();
    Some(format!("verify of {}: {last}{found}{error}{now}{next}\n", bucket.bucket))
}

fn more(all: usize, hint: &str) -> String {
    match all.saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!("and {more} more; {hint}\n"),
    }
}

/// Where desired maps come from, without its state.
pub(super) fn source_name(source: &Source) -> String {
    let Source { kind, file, .. } = source;
    match file {
        Some(file) => format!("{kind} {file}"),
        None => kind.clone(),
    }
}

/// Where desired maps come from, and the state of that.
pub(super) fn source(source: &Source) -> String {
    let Source { connected, since_ms, error, .. } = source;
    let name = source_name(source);
    let since = since_ms.map(|since| format!(" for {}", ms(since))).unwrap_or_default();
    let state = match connected {
        None => String::new(),
        Some(true) => format!(", connected{since}"),
        Some(false) => format!(", NOT CONNECTED{since}, the last maps stay in force"),
    };
    let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    plain(&format!("{name}{state}{error}"))
}

/// A line about a node, where there is something to say.
fn about(node: &Node, what: &str, text: Option<&str>) -> Option<String> {
    let (name, text) = (&node.name, plain(text?));
    // An error of a connection begins with the name and address of its node.
    if text.starts_with(&format!("{name} at ")) {
        return Some(format!("\n{what}: {text}\n"));
    }
    Some(format!("\n{what}: {name}: {text}\n"))
}

/// A line about the lag of a bucket where it rests on old reports, or on none.
fn old_lag(bucket: &Bucket) -> Option<String> {
    let lag = bucket.lag_ms_max.filter(|_| bucket.lag_unknown > 0)?;
    let age = bucket.lag_age_ms_max.map_or("no report of seqnos".to_owned(), |age| {
        format!("reports that are up to {} old", ms(age))
    });
    Some(format!("\nlag of {}: {} by the clock, with {age}\n", bucket.bucket, ms(lag)))
}

/// How long our node takes to acknowledge durable writes, where there are any.
fn durable_writes(bucket: &Bucket) -> Option<String> {
    let took = bucket
        .prepare_ack_us_max
        .map(|us| format!("our node acknowledged the last in {}.{:03} ms", us / 1000, us % 1000));
    let waiting = bucket.prepare_waiting_ms_max.map(|waiting| {
        format!("one has waited for our node's acknowledgement for {}", ms(waiting))
    });
    let parts: Vec<String> = took.into_iter().chain(waiting).collect();
    let text = format!("\ndurable writes of {}: {}\n", bucket.bucket, parts.join("; "));
    Some(text).filter(|_| !parts.is_empty())
}

/// The largest lag of a vBucket; `>=` where the lag of others is unknown.
fn lag(bucket: &Bucket) -> Cell {
    match (bucket.lag_seqnos_max, bucket.lag_unknown) {
        (max, 0) => max.into(),
        (None, _) => Cell::known(None),
        (Some(max), unknown) => Cell::Number(format!(">={max} ({unknown} unknown)")),
    }
}

/// A duration with the units that fit its size.
pub(crate) fn ms(ms: u64) -> String {
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
    use serde::Deserialize as _;

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
        status(&body, None).render(None)
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
    fn the_acknowledgements_of_durable_writes_are_told_where_there_are_any() {
        let text = |took: Option<u64>, waiting: Option<u64>| {
            let bucket = serde_json::json!({
                "bucket": "b", "connections": 1, "links": 1, "links_up": 1, "wanted": 9,
                "open": 9, "failed": 0, "moving": 0, "lag_seqnos_max": 0, "lag_unknown": 0,
                "prepare_ack_us_max": took, "prepare_waiting_ms_max": waiting,
            });
            durable_writes(&Bucket::deserialize(bucket).unwrap_or_else(|error| panic!("{error}")))
        };
        assert_eq!(text(None, None), None);
        let took = "\ndurable writes of b: our node acknowledged the last in 0.380 ms\n";
        assert_eq!(text(Some(380), None).as_deref(), Some(took));
        let both = "\ndurable writes of b: our node acknowledged the last in 1.005 ms; \
                    one has waited for our node's acknowledgement for 12.0 s\n";
        assert_eq!(text(Some(1005), Some(12_000)).as_deref(), Some(both));
    }

    #[test]
    fn the_first_line_says_that_it_is_not_ready_and_why() {
        let mut body = serde_json::json!({
            "version": "1", "uptime_ms": 0, "phase": "running", "ready": false, "embedded": [],
            "not_ready": ["1,024 vBuckets: alpha: un\u{1b}responsive, since 12:03:05", "b"],
            "node": { "name": "beta", "silent_ms": null, "error": "refused", "warning": null },
            "producers": [
                {
                    "name": "alpha", "silent_ms": 61_000, "unresponsive": true, "warning": null,
                    "error": "alpha at [::1]:7: no route",
                },
            ],
            "buckets": [{
                "bucket": "default", "connections": 1, "links": 1, "links_up": 0, "wanted": 9,
                "open": 9, "failed": 0, "moving": 0, "lag_seqnos_max": null, "lag_unknown": 9,
                "lag_ms_max": 61_000, "lag_age_ms_max": 61_000,
            }],
        });
        let text = |body: &serde_json::Value| {
            let body = Status::deserialize(body).unwrap_or_else(|error| panic!("{error}"));
            status(&body, None).render(None)
        };
        let shown = text(&body);
        let why = "1,024 vBuckets: alpha: un responsive, since 12:03:05; b";
        let first = format!("dcp-proxy 1, running for 0 ms, NOT READY: {why}\n");
        assert!(shown.starts_with(&first), "{shown}");
        for words in [
            "1 min 1 s ago, UNRESPONSIVE\n",
            "\nlag of default: 1 min 1 s by the clock, with reports that are up to 1 min 1 s old\n",
            "\nerror: beta: refused\n",
            "\nerror: alpha at [::1]:7: no route\n",
        ] {
            assert!(shown.contains(words), "{words:?} in {shown}");
        }
        // An older sidecar gives no reasons.
        body.as_object_mut().map(|body| body.remove("not_ready"));
        assert!(text(&body).starts_with("dcp-proxy 1, running for 0 ms, NOT READY\n"));
    }

    #[test]
    fn a_warning_stands_below_with_its_node() {
        let text = shown(Some(0), 0, Some("[node] name is \"b\u{1b}\""));
        assert!(text.ends_with("\n\nwarning: alpha: [node] name is \"b \"\n"), "{text}");
    }
}
