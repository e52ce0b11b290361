//! The page of `dcp-proxy config diff`: each bucket as its source has it, against what is wanted
//! since it was changed at run time. Pure.

use std::fmt::Write as _;

use similar::TextDiff;

use super::page::Page;
use super::show;
use super::views::{BucketMaps, DesiredMaps, Drift, Entry};

/// Lines around a difference.
const CONTEXT: usize = 3;

pub(super) fn page(maps: &DesiredMaps) -> Page {
    let source = show::source_name(&maps.source);
    let mut page = Page::default();
    let mut is_empty = true;
    for bucket in &maps.buckets {
        let (old, new) = (text(&bucket.bucket, &bucket.source), wanted(bucket));
        if old != new {
            let names = (format!("{} in {source}", bucket.bucket), bucket.bucket.clone());
            page = page.diff(unified(&old, &new, &names.0, &format!("{} now", names.1)));
        }
        let list: Vec<_> = changes(bucket).chain(dropped(bucket)).collect();
        if !list.is_empty() {
            page = page.text(list.concat());
        }
        is_empty &= old == new && list.is_empty();
    }
    if is_empty {
        return page.text(format!("no changes at run time: what {source} says is wanted"));
    }
    page
}

/// A line for each change: who, what, when.
pub(super) fn changes(bucket: &BucketMaps) -> impl Iterator<Item = String> {
    let name = &bucket.bucket;
    Drift::grouped(&bucket.drift).into_iter().map(move |drift| {
        let words = drift.words();
        match drift.what.as_str() {
            "pause" => format!("{name}: {words}; config save does not write it\n"),
            _ => format!("{name}: {words}\n"),
        }
    })
}

/// A line for each change that was dropped, because the source has changed.
fn dropped(bucket: &BucketMaps) -> impl Iterator<Item = String> {
    let name = &bucket.bucket;
    Drift::grouped(&bucket.dropped)
        .into_iter()
        .map(move |drift| format!("{name}: dropped: {}\n", drift.words()))
}

/// The difference of two texts, with their names.
pub(super) fn unified(old: &str, new: &str, old_name: &str, new_name: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().context_radius(CONTEXT).header(old_name, new_name).to_string()
}

fn wanted(bucket: &BucketMaps) -> String {
    text(&bucket.bucket, &bucket.wanted())
}

/// An entry as the configuration file has it, a line for each producer.
fn text(name: &str, entry: &Entry) -> String {
    let mut text = format!("name = {name:?}\nconnections = {}\n", entry.connections);
    for (producer, set) in entry.replicate.producers() {
        _ = writeln!(text, "replicate.{producer} = \"{set}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_diff_names_the_source_and_who_changed_what() {
        let mut body = json!({
            "source": { "kind": "file", "file": "proxy.toml" },
            "buckets": [{
                "bucket": "default", "revision": 7,
                "source": { "connections": 1, "replicate": { "alpha": "0-9" } },
                "in_force": { "connections": 2, "replicate": { "alpha": "1-4", "gamma": "7" } },
                "drift": [
                    {
                        "what": "connections", "vbuckets": "", "connections": 2, "by": "x",
                        "at": "t",
                    },
                    { "what": "replicate", "vbuckets": "7", "from": "gamma", "source": "alpha" },
                    { "what": "replicate", "vbuckets": "8-9", "from": null, "source": "alpha" },
                    { "what": "pause", "vbuckets": "5-6", "by": "127.0.0.1:5", "at": "t" },
                    { "what": "takeover", "vbuckets": "0", "from": "alpha", "at": "t1" },
                    { "what": "takeover", "vbuckets": "1", "from": "alpha", "at": "t2" },
                ],
                "dropped": [{ "why": "the source has changed", "vbuckets": "3", "from": "gamma" }],
            }],
        });
        let text = |body: &Value| page(&DesiredMaps::deserialize(body).unwrap()).render(None);
        assert_eq!(
            text(&body),
            "--- default in file proxy.toml\n+++ default now\n@@ -1,3 +1,4 @@\n name = \
             \"default\"\n-connections = 1\n-replicate.alpha = \"0-9\"\n+connections = 2\n\
             +replicate.alpha = \"2-6\"\n+replicate.gamma = \"7\"\n\
             default: 2 connections to each producer, by x at t\n\
             default: vBucket 7 from gamma instead of alpha\n\
             default: vBuckets 8-9 not replicated instead of alpha\n\
             default: vBuckets 5-6 paused, by 127.0.0.1:5 at t; config save does not write it\n\
             default: vBuckets 0-1 taken over from alpha from t1 to t2\n\
             default: dropped: vBucket 3 from gamma: the source has changed\n"
        );
        body["buckets"][0]["drift"] = json!([]);
        body["buckets"][0]["dropped"] = json!([]);
        assert_eq!(text(&body), "no changes at run time: what file proxy.toml says is wanted");
    }
}
