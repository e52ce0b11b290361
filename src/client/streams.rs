//! The page of `dcp-proxy streams`. vBuckets that are not open for the same reason share a row: a
//! thousand equal errors are one fact. `--json` has each.

use std::collections::BTreeMap;

use mcbp::VbId;
use replica::plan::VbSet;

use super::alike::without_vb;
use super::page::Page;
use super::show::ms;
use super::table::{Cell, Table};
use super::views::{Link, Replication, Replications, Stream, StreamPhase};

/// The page of these streams, or the words for none.
pub(super) fn page(replications: &Replications, nothing: &str) -> Page {
    let mut streams = Table::new([
        "BUCKET", "VB", "PRODUCER", "LINK", "PHASE", "OPAQUE", "SEQNO", "LAG", "PROGRESS", "ERROR",
    ]);
    let mut moves = Table::new(["BUCKET", "VB", "MOVES FROM", "PHASE", "LEFT", "SINCE"]);
    for bucket in &replications.buckets {
        let name = bucket.bucket.as_str();
        for row in rows(bucket) {
            streams.push(match row.streams.as_slice() {
                [stream] => stream_row(name, row.link, stream),
                all => group_row(name, row.link, all),
            });
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
        (true, true) => Page::default().text(nothing),
        (false, true) => Page::default().table(streams),
        (true, false) => Page::default().table(moves),
        (false, false) => Page::default().table(streams).text("\n").table(moves),
    }
}

/// Streams of one link that share a row.
struct Row<'a> {
    link: &'a Link,
    streams: Vec<&'a Stream>,
}

/// Returns the rows of a bucket by their first vBucket.
fn rows(bucket: &Replication) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut groups = BTreeMap::new();
    for (at, link) in bucket.links.iter().enumerate() {
        for stream in &link.streams {
            let place = rows.len();
            let error = error(link, stream).map(|error| without_vb(error, stream.vbucket));
            let first = match error {
                Some(error) => {
                    let key = (at, stream.phase.to_string(), detail(stream, Some(&error)));
                    *groups.entry(key).or_insert(place)
                }
                None => place,
            };
            match rows.get_mut(first) {
                Some(row) => row.streams.push(stream),
                None => rows.push(Row { link, streams: vec![stream] }),
            }
        }
    }
    rows.sort_by_key(|row| row.streams.first().map(|stream| stream.vbucket));
    rows
}

/// Returns why a stream is not open. One on a link that is down has no error of its own.
fn error<'a>(link: &'a Link, stream: &'a Stream) -> Option<&'a str> {
    let of_link = link.last_error.as_ref().filter(|_| stream.phase != StreamPhase::Open);
    stream.last_error.as_ref().or(of_link).map(|error| error.detail.as_str())
}

fn stream_row(bucket: &str, link: &Link, stream: &Stream) -> [Cell; 10] {
    let detail = detail(stream, error(link, stream));
    let progress = stream.progress_ms.map_or("?".to_owned(), |age| format!("{} ago", ms(age)));
    [
        bucket.into(),
        stream.vbucket.into(),
        link.producer.as_str().into(),
        connection(link).as_str().into(),
        stream.phase.to_string().as_str().into(),
        stream.opaque.into(),
        Cell::known(stream.seqno),
        Cell::known(stream.lag_seqnos),
        progress.as_str().into(),
        detail.as_str().into(),
    ]
}

/// The row of streams with equal errors. What differs between them is left out.
fn group_row(bucket: &str, link: &Link, streams: &[&Stream]) -> [Cell; 10] {
    let ids = streams.iter().filter_map(|stream| u16::try_from(stream.vbucket).ok()).map(VbId);
    let set: VbSet = ids.collect();
    let phase = streams.first().map(|stream| stream.phase.to_string()).unwrap_or_default();
    let error = streams.first().and_then(|stream| {
        let error = error(link, stream).map(|error| without_vb(error, stream.vbucket));
        Some(detail(stream, Some(&error?)))
    });
    let lasts = streams.iter().filter_map(|stream| stream.not_open_ms).max();
    let lasts = lasts.map_or(String::new(), |lasts| format!(", for {}", ms(lasts)));
    let text = format!("{} vBuckets: {}{lasts}", streams.len(), error.unwrap_or_default());
    [
        bucket.into(),
        set.to_string().as_str().into(),
        link.producer.as_str().into(),
        connection(link).as_str().into(),
        phase.as_str().into(),
        None.into(),
        None.into(),
        None.into(),
        "-".into(),
        text.as_str().into(),
    ]
}

fn connection(link: &Link) -> String {
    format!("{} {}", link.connection, link.phase)
}

/// The details of a stream: its place in the queue of rollbacks, how far its copy is complete, why
/// it failed.
fn detail(stream: &Stream, error: Option<&str>) -> String {
    let line = stream.rollbacks_before.map(|before| format!("{before} rollbacks come first"));
    let copy = stream.complete_to.map(|seqno| format!("the copy is complete to {seqno} only"));
    let parts = [line, copy, error.map(str::to_owned)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    fn stream(vb: u16, error: Option<&str>) -> Value {
        let phase = if error.is_some() { "waiting" } else { "open" };
        json!({
            "vbucket": vb, "phase": phase, "opaque": null, "seqno": 4, "lag_seqnos": 0,
            "progress_ms": 5, "last_error": error.map(|error| json!({ "detail": error })),
            "rollbacks_before": null, "complete_to": null,
            "not_open_ms": error.map(|_| 61_000),
        })
    }

    fn lines(link_error: Option<&str>, streams: &[Value]) -> Vec<String> {
        let body = json!({ "buckets": [{ "bucket": "default", "moves": [], "links": [{
            "producer": "alpha", "connection": 0,
            "phase": if link_error.is_some() { "waiting" } else { "up" },
            "last_error": link_error.map(|error| json!({ "detail": error })),
            "streams": streams,
        }] }] });
        let body = Replications::deserialize(body).unwrap_or_else(|error| panic!("{error}"));
        page(&body, "nothing").render(None).lines().map(str::to_owned).collect()
    }

    fn words(line: &str) -> Vec<&str> {
        line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect()
    }

    #[test]
    fn a_link_that_is_down_is_one_row_however_many_vbuckets_it_has() {
        let streams: Vec<_> = (0..1024)
            .map(|vb| {
                let mut stream = stream(vb, Some(""));
                stream["last_error"] = Value::Null;
                stream
            })
            .collect();
        let lines = lines(Some("consumer beta: Connection refused"), &streams);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let want = [
            "default",
            "0-1023",
            "alpha",
            "0 waiting",
            "waiting",
            "-",
            "-",
            "-",
            "-",
            "1024 vBuckets: consumer beta: Connection refused, for 1 min 1 s",
        ];
        assert_eq!(words(&lines[1]), want);
    }

    #[test]
    fn equal_errors_share_a_row_and_open_streams_keep_theirs() {
        let refused = |vb| format!("vb:{vb}: producer refused");
        let lines = lines(
            None,
            &[
                stream(0, Some(&refused(0))),
                stream(1, None),
                stream(2, Some(&refused(2))),
                stream(3, Some("vb:3: producer ended the stream")),
                stream(4, None),
            ],
        );
        let vbs: Vec<_> = lines.iter().skip(1).map(|line| words(line)[1]).collect();
        assert_eq!(vbs, ["0,2", "1", "3", "4"], "{lines:?}");
        assert!(lines[1].ends_with("2 vBuckets: producer refused, for 1 min 1 s"), "{lines:?}");
        assert!(lines[3].ends_with("vb:3: producer ended the stream"), "{lines:?}");
    }
}
