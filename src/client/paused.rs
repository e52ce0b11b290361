//! `dcp-proxy streams --paused`: the vBuckets that are paused, since when and by whom.

use mcbp::VbId;
use replica::plan::VbSet;
use serde_json::{Value, json};

use super::answer::Answer;
use super::error::AskError;
use super::http::Http;
use super::page::Page;
use super::parts::StreamsFilter;
use super::table::{Cell, Table};
use super::views::{BucketMaps, DesiredMaps, Drift};

pub(super) fn paused(
    http: &Http,
    bucket: Option<&str>,
    filter: &StreamsFilter,
) -> Result<Answer, AskError> {
    let mut answer = http.get("/api/v1/desired").map_err(AskError::or_older)?;
    if let Some(name) = bucket
        && !StreamsFilter::only_bucket(&mut answer, name)
    {
        return Err(AskError::no_bucket(name));
    }
    let maps: DesiredMaps = http.read(&answer)?;
    let (table, json) = both(&maps, filter);
    let page = if table.is_empty() { "nothing is paused".to_owned().into() } else { page(table) };
    Ok(Answer::done(json, page))
}

fn page(table: Table) -> Page {
    Page::default().table(table)
}

/// What is paused, for people and for programs.
fn both(maps: &DesiredMaps, filter: &StreamsFilter) -> (Table, Value) {
    let mut table = Table::new(["BUCKET", "VB", "COUNT", "PAUSED AT", "BY"]);
    let mut buckets = Vec::new();
    for bucket in &maps.buckets {
        let mut paused = Vec::new();
        for drift in bucket.paused() {
            let set = shown(bucket, drift, filter);
            if set.is_empty() {
                continue;
            }
            let (at, by) = (drift.at.as_deref(), drift.by.as_deref());
            table.push([
                bucket.bucket.as_str().into(),
                set.to_string().as_str().into(),
                Cell::from(u64::try_from(set.len()).unwrap_or(u64::MAX)),
                at.unwrap_or("?").into(),
                by.unwrap_or("?").into(),
            ]);
            paused.push(json!({ "vbuckets": set, "at": at, "by": by }));
        }
        buckets.push(json!({ "bucket": bucket.bucket, "paused": paused }));
    }
    (table, json!({ "buckets": buckets }))
}

/// The vBuckets of a pause that are to be shown.
fn shown(bucket: &BucketMaps, drift: &Drift, filter: &StreamsFilter) -> VbSet {
    let wanted = bucket.wanted();
    let is_of = |vb: VbId| {
        let producer = filter.producer.as_deref();
        producer.is_none() || wanted.replicate.source(vb) == producer
    };
    let has = |vb: &VbId| filter.vb.as_ref().is_none_or(|set| set.as_set().contains(vb));
    drift.vbuckets.iter().filter(has).filter(|&vb| is_of(vb)).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;

    use super::*;

    #[test]
    fn a_pause_is_shown_as_far_as_it_is_asked_for() {
        let entry = json!({ "connections": 1, "replicate": { "alpha": "0-5", "gamma": "6-9" } });
        let body = json!({ "buckets": [{
            "bucket": "default", "source": entry, "in_force": entry,
            "drift": [
                { "what": "pause", "vbuckets": "3-7", "by": "127.0.0.1:5", "at": "today" },
                { "what": "replicate", "vbuckets": "4", "from": "gamma", "source": "alpha" },
            ],
        }] });
        let maps = DesiredMaps::deserialize(body).unwrap();
        let sets = |filter: &StreamsFilter| {
            both(&maps, filter).1["buckets"][0]["paused"][0]["vbuckets"].clone()
        };
        let all = StreamsFilter::default();
        assert_eq!(sets(&all), "3-7");
        let gamma = StreamsFilter { producer: Some("gamma".to_owned()), ..all.clone() };
        assert_eq!(sets(&gamma), "4,6-7");
        assert_eq!(sets(&StreamsFilter { vb: Some("0-3".parse().unwrap()), ..all }), "3");
    }
}
