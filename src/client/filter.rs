//! Which streams `dcp-proxy streams` shows. It takes the answer as it came, so that `--json` keeps
//! the fields that this program does not know.

use mcbp::VbId;
use serde_json::Value;

use super::parts::StreamsFilter;

impl StreamsFilter {
    /// Whether every stream is shown.
    pub(super) fn shows_all(&self) -> bool {
        let Self { failed, lagging, vb, producer, paused: _ } = self;
        !failed && lagging.is_none() && vb.is_none() && producer.is_none()
    }

    /// Leaves the bucket of this name, or returns whether there is none.
    pub(super) fn only_bucket(answer: &mut Value, name: &str) -> bool {
        let Some(buckets) = answer.get_mut("buckets").and_then(Value::as_array_mut) else {
            return false;
        };
        buckets.retain(|bucket| bucket.get("bucket").and_then(Value::as_str) == Some(name));
        !buckets.is_empty()
    }

    /// Leaves the streams and moves that are to be shown, and links that have any.
    pub(super) fn apply(&self, answer: &mut Value) {
        if self.shows_all() {
            return;
        }
        for bucket in items(answer, "buckets").into_iter().flatten() {
            for link in items(bucket, "links").into_iter().flatten() {
                let producer = link.get("producer").cloned().unwrap_or_default();
                let is_down = link.get("last_error").is_some_and(|error| !error.is_null());
                if let Some(streams) = items(link, "streams") {
                    streams.retain(|stream| self.takes(&producer, is_down, stream));
                }
            }
            if let Some(links) = items(bucket, "links") {
                let is_full = |link: &Value| !link["streams"].as_array().is_none_or(Vec::is_empty);
                links.retain(is_full);
            }
            if let Some(moves) = items(bucket, "moves") {
                let of_streams = self.failed || self.lagging.is_some();
                moves.retain(|it| !of_streams && self.is_of(&it["from"]) && self.has(it));
            }
        }
    }

    fn takes(&self, producer: &Value, is_down: bool, stream: &Value) -> bool {
        let is_open = stream["phase"] == "open";
        let is_failed = !is_open && (is_down || !stream["last_error"].is_null());
        // An unknown lag is not a small one.
        let lags = |than| stream["lag_seqnos"].as_u64().is_none_or(|lag| lag > than);
        (!self.failed || is_failed)
            && self.lagging.is_none_or(lags)
            && self.is_of(producer)
            && self.has(stream)
    }

    fn is_of(&self, producer: &Value) -> bool {
        self.producer.as_ref().is_none_or(|name| producer.as_str() == Some(name))
    }

    /// Whether the vBucket of a stream or a move is one of those.
    fn has(&self, item: &Value) -> bool {
        let Some(set) = &self.vb else { return true };
        let vb = item["vbucket"].as_u64().and_then(|vb| u16::try_from(vb).ok());
        vb.is_some_and(|vb| set.as_set().contains(&VbId(vb)))
    }
}

fn items<'a>(of: &'a mut Value, key: &str) -> Option<&'a mut Vec<Value>> {
    of.get_mut(key).and_then(Value::as_array_mut)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(filter: &StreamsFilter) -> (Vec<u64>, usize) {
        let stream = |vb: u16, phase: &str, lag: Option<u64>, error: Option<&str>| {
            json!({
                "vbucket": vb, "phase": phase, "lag_seqnos": lag, "last_error": error, "new": 1,
            })
        };
        let mut answer = json!({ "buckets": [{
            "bucket": "default",
            "links": [
                { "producer": "alpha", "last_error": null, "streams": [
                    stream(0, "open", Some(0), None), stream(1, "open", Some(40), None),
                    stream(2, "waiting", None, Some("refused")), stream(3, "asked", Some(5), None),
                ] },
                { "producer": "gamma", "last_error": "down", "streams": [
                    stream(4, "due", Some(0), None), stream(5, "open", None, Some("before")),
                ] },
            ],
            "moves": [{ "vbucket": 9, "from": "gamma" }],
        }] });
        filter.apply(&mut answer);
        let bucket = &answer["buckets"][0];
        let links = bucket["links"].as_array().unwrap();
        assert!(links.iter().all(|link| link["streams"][0]["new"] == 1), "{links:?}");
        let streams = links.iter().flat_map(|link| link["streams"].as_array().unwrap());
        let vbs = streams.map(|stream| stream["vbucket"].as_u64().unwrap()).collect();
        (vbs, bucket["moves"].as_array().unwrap().len())
    }

    #[test]
    fn every_condition_must_hold() {
        let all = StreamsFilter::default();
        let failed = StreamsFilter { failed: true, ..all.clone() };
        let lagging = |than| StreamsFilter { lagging: Some(than), ..all.clone() };
        let vb = StreamsFilter { vb: Some("1-4,9".parse().unwrap()), ..all.clone() };
        let gamma = StreamsFilter { producer: Some("gamma".to_owned()), ..all.clone() };
        let both = StreamsFilter { failed: true, ..gamma.clone() };
        for (filter, vbs, moves) in [
            (&all, vec![0, 1, 2, 3, 4, 5], 1),
            (&failed, vec![2, 4], 0),
            (&lagging(0), vec![1, 2, 3, 5], 0),
            (&lagging(5), vec![1, 2, 5], 0),
            (&vb, vec![1, 2, 3, 4], 1),
            (&gamma, vec![4, 5], 1),
            (&both, vec![4], 0),
        ] {
            assert_eq!(shown(filter), (vbs, moves), "{filter:?}");
        }
    }

    #[test]
    fn one_bucket_is_left_or_none() {
        let mut answer = json!({ "buckets": [{ "bucket": "a" }, { "bucket": "b" }] });
        assert!(StreamsFilter::only_bucket(&mut answer, "b"));
        assert_eq!(answer, json!({ "buckets": [{ "bucket": "b" }] }));
        assert!(!StreamsFilter::only_bucket(&mut answer, "c"));
    }
}
