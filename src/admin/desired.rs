//! `/api/v1/desired`: what is wanted, by whom, and what is in force.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};
use desired::{BucketMaps, Mark};
use replica::plan::VbSet;
use serde_json::{Value, json};

use super::body::{self, OneOrAll};
use super::commands::{client, to_its_end};
use super::error::ApiError;
use super::preconditions;
use super::state::State;
use crate::clock::utc_ms;
use crate::config::MapSource;
use crate::sources::{BucketDropped, Connection, Maps, Origin, Sources};

/// `GET /api/v1/desired`.
pub(super) async fn read(state: Data<State>) -> Json<Value> {
    Json(view(&state.sources))
}

/// `POST /api/v1/desired/discard`: drops what was changed at run time.
pub(super) async fn discard(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Value>, ApiError> {
    preconditions::none(&request)?;
    let OneOrAll { bucket } = body::json(payload).await?;
    if let Some(bucket) = &bucket {
        state.bucket(bucket)?;
    }
    let sources = state.sources.clone();
    let what = bucket.as_deref().unwrap_or("all");
    let what = format!("discard bucket={what} client={}", client(&request));
    to_its_end(what, async move { sources.discard(bucket.as_deref()).await }).await?;
    Ok(Json(view(&state.sources)))
}

/// Where the maps come from.
pub(super) fn source(sources: &Sources) -> (Value, Origin) {
    let (config, origin) = (sources.config(), sources.origin());
    let source = match &config.source {
        MapSource::File => json!({ "kind": "file", "file": config.path.display().to_string() }),
        MapSource::Etcd(etcd) => {
            let connection = &origin.connection;
            let is_connected = |it: &Connection| matches!(it, Connection::Connected { .. });
            json!({
                "kind": "etcd",
                "endpoints": etcd.endpoints,
                "prefix": etcd.prefix,
                "connected": connection.as_ref().map(is_connected),
                "detail": connection,
            })
        }
    };
    (source, origin)
}

/// Source, overlay and what is in force.
pub(super) fn view(sources: &Sources) -> Value {
    let (maps, (source, origin)) = (sources.maps(), source(sources));
    let buckets = maps.buckets().iter().map(|(name, bucket)| {
        let mut view = of_bucket(name, bucket, &maps);
        if let (Some(etcd), Some(fields)) = (origin.buckets.get(name), view.as_object_mut()) {
            fields.insert("etcd".to_owned(), json!(etcd));
        }
        view
    });
    json!({ "source": source, "buckets": buckets.collect::<Vec<_>>() })
}

fn of_bucket(name: &str, bucket: &BucketMaps, maps: &Maps) -> Value {
    let dropped: Vec<_> = maps.dropped(name).map(dropped).collect();
    json!({
        "bucket": name,
        "revision": bucket.revision(),
        "source": bucket.source(),
        "in_force": bucket.in_force(),
        "drift": drift(bucket),
        "dropped": dropped,
    })
}

/// What differs from the source, and who changed it when.
fn drift(bucket: &BucketMaps) -> Vec<Value> {
    let (overlay, source) = (bucket.overlay(), &bucket.source().replicate);
    let mut drift = Vec::new();
    for it in &overlay.assigned {
        // One line for each producer that the source has instead.
        let mut parts: Vec<(Option<&str>, VbSet)> = Vec::new();
        for vb in it.vbuckets.iter() {
            let from = source.source(vb);
            match parts.iter_mut().find(|(known, _)| *known == from) {
                Some((_, vbs)) => _ = vbs.insert(vb),
                None => parts.push((from, std::iter::once(vb).collect())),
            }
        }
        for (of_source, vbs) in parts {
            let what = json!({
                "what": "replicate", "vbuckets": vbs, "from": it.from, "source": of_source,
            });
            drift.push(marked(what, &it.mark));
        }
    }
    if let Some(set) = &overlay.connections {
        let what = json!({
            "what": "connections",
            "connections": set.connections,
            "source": bucket.source().connections,
        });
        drift.push(marked(what, &set.mark));
    }
    for it in &overlay.paused {
        drift.push(marked(json!({ "what": "pause", "vbuckets": it.vbuckets }), &it.mark));
    }
    for it in &overlay.taken_over {
        let what = json!({ "what": "takeover", "vbuckets": it.vbuckets, "from": it.from });
        drift.push(marked(what, &it.mark));
    }
    drift
}

fn dropped(it: &BucketDropped) -> Value {
    let BucketDropped { dropped, at_ms, .. } = it;
    let vbuckets = Some(&dropped.vbuckets).filter(|vbs| !vbs.is_empty());
    let what = json!({
        "why": dropped.why,
        "vbuckets": vbuckets,
        "from": dropped.from,
        "connections": dropped.connections,
        "dropped_at": utc_ms(*at_ms),
    });
    marked(what, &dropped.mark)
}

fn marked(mut what: Value, mark: &Mark) -> Value {
    if let Some(fields) = what.as_object_mut() {
        fields.insert("by".to_owned(), mark.by.clone().into());
        fields.insert("at".to_owned(), utc_ms(mark.at_ms).into());
    }
    what
}
