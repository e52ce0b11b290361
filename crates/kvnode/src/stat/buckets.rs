//! The group `bucket_details`, which needs no selected bucket: the buckets of the node, as JSON.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::bucket::Warmup;
use crate::client::Login;
use crate::context::Context;
use crate::dcp::ServedBucket;

/// All buckets that a user may use, or the one of a name; `None` where there is no such bucket.
pub(super) fn details(
    node: &Context,
    login: &Login,
    name: Option<&str>,
) -> Option<Vec<(String, String)>> {
    let known = |served: &&Arc<ServedBucket>| login.knows(served.bucket.name());
    let line = match name {
        None => {
            // As with kv_engine, 0 is the place of those who have selected none.
            let all = node
                .buckets
                .iter()
                .filter(known)
                .zip(1..)
                .map(|(served, index)| one(served, Some(index)));
            let all: Vec<_> = all.collect();
            ("bucket details".to_owned(), json!({ "buckets": all }).to_string())
        }
        Some(name) => {
            (name.to_owned(), one(&*node.bucket(name).filter(|it| known(&it))?, None).to_string())
        }
    };
    Some(vec![line])
}

fn one(served: &ServedBucket, index: Option<u32>) -> Value {
    let state = match served.bucket.warmup() {
        Warmup::Done => "ready",
        Warmup::Loading => "initializing",
        Warmup::Failed(_) | Warmup::Closed => "stopped",
    };
    let (name, kind) = (served.bucket.name(), "Couchbase");
    match index {
        Some(index) => json!({ "index": index, "name": name, "state": state, "type": kind }),
        None => json!({ "name": name, "state": state, "type": kind }),
    }
}
