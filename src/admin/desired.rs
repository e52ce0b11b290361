//! `/api/v1/desired`: what is wanted, by whom, and what is in force.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};
use dcp_actors::schema::{VbSetText, open_words};
use desired::{BucketMaps, Entry, Mark, Why};
use replica::plan::{Connections, Desired, VbSet};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{self, OneOrAll};
use super::commands::{client, to_its_end};
use super::contract as api;
use super::error::ApiError;
use super::preconditions;
use super::state::State;
use crate::clock::utc_ms;
use crate::config::MapSource;
use crate::sources::{BucketDropped, Connection, Maps, Origin, OriginOfBucket, Sources};

/// `GET /api/v1/desired`: what is wanted of each bucket, and who has changed it.
#[utoipa::path(get, path = "/api/v1/desired", operation_id = "desired", tag = "reading",
    responses((status = 200, description = "Source, drift and what is in force",
        body = DesiredView), api::Always))]
pub(super) async fn read(state: Data<State>) -> Json<DesiredView> {
    Json(view(&state.sources))
}

/// `POST /api/v1/desired/discard`: drops what was changed at run time, of one bucket or of all.
/// Takeovers stay.
#[utoipa::path(post, path = "/api/v1/desired/discard", tag = "process",
    request_body = OneOrAll,
    responses((status = 200, description = "What is wanted after that", body = DesiredView),
        api::Always, api::Body, api::Bucket, api::Command))]
pub(super) async fn discard(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<DesiredView>, ApiError> {
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

/// What is wanted, and where it comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Desired)]
pub(super) struct DesiredView {
    source: SourceView,
    buckets: Vec<DesiredBucket>,
}

/// Where the desired maps come from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[schema(as = Source)]
pub(super) enum SourceView {
    /// The configuration file.
    File {
        /// Its path.
        #[schema(examples("proxy.toml"))]
        file: String,
    },
    /// etcd.
    Etcd {
        /// Its members.
        endpoints: Vec<String>,
        /// What all keys begin with.
        prefix: String,
        /// Whether changes arrive; `None` before the first answer.
        connected: Option<bool>,
        /// The member that sends them, or since when it is away and why.
        detail: Option<Connection>,
    },
    /// The maps of a Couchbase cluster.
    Cluster {
        /// The hosts of the configuration, which are asked first where no SRV records name nodes.
        hosts: Vec<String>,
        /// Whether changes arrive; `None` before the first answer.
        connected: Option<bool>,
        /// The node that sends them, or since when none does and why.
        detail: Option<Connection>,
    },
}

/// What is wanted of a bucket.
#[derive(Debug, Serialize, ToSchema)]
struct DesiredBucket {
    bucket: String,
    /// Counts changes of what is wanted; the value of `ETag` and `If-Match`.
    revision: u64,
    /// What the source says.
    source: EntryView,
    in_force: EntryView,
    /// What differs from the source.
    drift: Vec<DriftView>,
    /// The last changes that were dropped.
    dropped: Vec<DroppedView>,
    /// What etcd has of it; left out where the file is the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    etcd: Option<OriginOfBucket>,
}

/// What is wanted of a bucket, by its source or in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entry)]
struct EntryView {
    /// Connections to each producer.
    #[schema(value_type = u8, minimum = 1, maximum = 64)]
    connections: Connections,
    /// The vBuckets from each producer.
    #[schema(value_type = BTreeMap<String, VbSetText>)]
    replicate: Desired,
}

/// What differs from the source, and who changed it when.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
struct DriftView {
    #[serde(flatten)]
    what: Differs,
    /// The client of the API, or `sidecar`.
    #[schema(examples("127.0.0.1:40112"))]
    by: String,
    /// In UTC.
    #[schema(format = DateTime)]
    at: String,
}

/// What differs from the source.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "what", rename_all = "lowercase")]
enum Differs {
    /// These vBuckets come from another producer.
    Replicate {
        #[schema(value_type = VbSetText)]
        vbuckets: VbSet,
        /// Instead of `source`; `None` for none.
        from: Option<String>,
        /// The producer of the source; `None` for none.
        source: Option<String>,
    },
    /// The number of connections.
    Connections {
        #[schema(value_type = u8)]
        connections: Connections,
        /// That of the source.
        #[schema(value_type = u8)]
        source: Connections,
    },
    /// These vBuckets are paused.
    Pause {
        #[schema(value_type = VbSetText)]
        vbuckets: VbSet,
    },
    /// These vBuckets were taken over.
    Takeover {
        #[schema(value_type = VbSetText)]
        vbuckets: VbSet,
        /// The producer that had them.
        from: String,
    },
}

/// A change that is not in force any more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dropped)]
struct DroppedView {
    /// Why it was dropped.
    #[schema(schema_with = whys)]
    why: Why,
    #[schema(value_type = Option<VbSetText>)]
    vbuckets: Option<VbSet>,
    from: Option<String>,
    #[schema(value_type = Option<u8>)]
    connections: Option<Connections>,
    /// In UTC.
    #[schema(format = DateTime)]
    dropped_at: String,
    /// Who had changed it.
    by: String,
    /// When that was, in UTC.
    #[schema(format = DateTime)]
    at: String,
}

fn whys() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    let all = [Why::SourceChanged, Why::NoProducer, Why::NoBucket, Why::Discarded];
    open_words("Why it was dropped", &all)
}

/// Where the maps come from.
pub(super) fn source(sources: &Sources) -> (SourceView, Origin) {
    let (config, origin) = (sources.config(), sources.origin());
    let is_connected = |it: &Connection| matches!(it, Connection::Connected { .. });
    let (connected, detail) =
        (origin.connection.as_ref().map(is_connected), origin.connection.clone());
    let source = match &config.source {
        MapSource::File => SourceView::File { file: config.path.display().to_string() },
        MapSource::Etcd(etcd) => {
            let (endpoints, prefix) = (etcd.endpoints.clone(), etcd.prefix.clone());
            SourceView::Etcd { endpoints, prefix, connected, detail }
        }
        MapSource::Cluster(cluster) => {
            let hosts = cluster.address.hosts.iter().map(ToString::to_string).collect();
            SourceView::Cluster { hosts, connected, detail }
        }
    };
    (source, origin)
}

/// Source, overlay and what is in force.
pub(super) fn view(sources: &Sources) -> DesiredView {
    let (maps, (source, origin)) = (sources.maps(), source(sources));
    let buckets = maps.buckets().iter().map(|(name, bucket)| {
        let etcd = origin.buckets.get(name).cloned();
        DesiredBucket { etcd, ..of_bucket(name, bucket, &maps) }
    });
    DesiredView { source, buckets: buckets.collect() }
}

fn of_bucket(name: &str, bucket: &BucketMaps, maps: &Maps) -> DesiredBucket {
    DesiredBucket {
        bucket: name.to_owned(),
        revision: bucket.revision(),
        source: bucket.source().clone().into(),
        in_force: bucket.in_force().into(),
        drift: drift(bucket),
        dropped: maps.dropped(name).map(dropped).collect(),
        etcd: None,
    }
}

impl From<Entry> for EntryView {
    fn from(Entry { connections, replicate }: Entry) -> Self {
        Self { connections, replicate }
    }
}

/// What differs from the source, and who changed it when.
fn drift(bucket: &BucketMaps) -> Vec<DriftView> {
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
        for (of_source, vbuckets) in parts {
            let (from, source) = (it.from.clone(), of_source.map(str::to_owned));
            drift.push(marked(Differs::Replicate { vbuckets, from, source }, &it.mark));
        }
    }
    if let Some(set) = &overlay.connections {
        let (connections, source) = (set.connections, bucket.source().connections);
        drift.push(marked(Differs::Connections { connections, source }, &set.mark));
    }
    for it in &overlay.paused {
        drift.push(marked(Differs::Pause { vbuckets: it.vbuckets.clone() }, &it.mark));
    }
    for it in &overlay.taken_over {
        let (vbuckets, from) = (it.vbuckets.clone(), it.from.clone());
        drift.push(marked(Differs::Takeover { vbuckets, from }, &it.mark));
    }
    drift
}

fn dropped(it: &BucketDropped) -> DroppedView {
    let BucketDropped { dropped, at_ms, .. } = it;
    DroppedView {
        why: dropped.why,
        vbuckets: Some(&dropped.vbuckets).filter(|vbs| !vbs.is_empty()).cloned(),
        from: dropped.from.clone(),
        connections: dropped.connections,
        dropped_at: utc_ms(*at_ms),
        by: dropped.mark.by.clone(),
        at: utc_ms(dropped.mark.at_ms),
    }
}

fn marked(what: Differs, mark: &Mark) -> DriftView {
    DriftView { what, by: mark.by.clone(), at: utc_ms(mark.at_ms) }
}
