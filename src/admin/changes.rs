//! The changes of what is replicated of a bucket. Each answers when its streams are open or closed,
//! or with `dry_run` what would happen.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use dcp_actors::schema::VbSetText;
use desired::{BucketMaps, Change, Diff, Selection};
use logline::value;
use replica::plan::{Desired, VbSet};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use super::body::{self, From, Replicate};
use super::commands::{VbSource, client, target, to_its_end, vbucket};
use super::contract::{self as api, InBucket, InVbucket, OfRevision};
use super::error::ApiError;
use super::preconditions::{self, Options};
use super::state::State;
use crate::sources::Changed;

/// What a change has done, or would do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Change)]
pub(super) enum Answer {
    /// It is done.
    #[schema(title = "Done")]
    Done {
        /// Open streams of the bucket.
        #[schema(examples(601))]
        open: usize,
        /// The revision of the bucket after it.
        #[schema(examples(8))]
        revision: u64,
    },
    /// With `dry_run`: what would happen, by producer. A vBucket that changes its producer is
    /// closed from one and opened from the other.
    #[schema(title = "Planned")]
    Planned {
        /// Always true.
        dry_run: bool,
        /// Streams that would be opened.
        #[schema(value_type = BTreeMap<String, VbSetText>)]
        opens: BTreeMap<String, VbSet>,
        /// Streams that would be closed.
        #[schema(value_type = BTreeMap<String, VbSetText>)]
        closes: BTreeMap<String, VbSet>,
        /// Streams that stay open.
        #[schema(value_type = BTreeMap<String, VbSetText>)]
        stays: BTreeMap<String, VbSet>,
        /// Those of `closes` that are paused, and so are not open; `None` for none.
        #[schema(value_type = Option<VbSetText>)]
        paused: Option<VbSet>,
    },
}

/// What each change answers where all went well.
#[derive(IntoResponses)]
#[response(status = 200, description = "Every stream concerned is open; or, with `dry_run`, what \
        would happen", headers(("ETag" = String, description = "The revision of the bucket, in \
        quotes")))]
struct Good(#[allow(dead_code, reason = "of the document alone")] Answer);

/// `PUT /api/v1/buckets/{bucket}/replications`: sets the whole desired map of a bucket. What is not
/// in it is removed. Open streams that are still wanted are not touched.
#[utoipa::path(put, tag = "changes",
    path = "/api/v1/buckets/{bucket}/replications",
    params(InBucket, Options, OfRevision), request_body(content = Replicate,
        example = json!({"alpha": "0-511,600", "gamma": "512-599"})),
    responses(Good, api::Always, api::Body, api::Bucket, api::Command, api::Revision))]
pub(super) async fn replicate(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (bucket, desired) = map(&state, bucket, payload).await?;
    change(&state, &request, bucket, Change::Replace(desired)).await
}

/// `PATCH /api/v1/buckets/{bucket}/replications`: adds vBuckets, keeps all others.
#[utoipa::path(patch, tag = "changes",
    path = "/api/v1/buckets/{bucket}/replications",
    params(InBucket, Options, OfRevision), request_body(content = Replicate,
        example = json!({"alpha": "0-511,600", "gamma": "512-599"})),
    responses(Good, api::Always, api::Body, api::Bucket, api::Command, api::Revision))]
pub(super) async fn add(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (bucket, added) = map(&state, bucket, payload).await?;
    change(&state, &request, bucket, Change::Add(added)).await
}

/// `POST /api/v1/buckets/{bucket}/replications/remove`: removes vBuckets, keeps all others. One
/// that does not come from the producer that is named with it is an error, and nothing is removed.
#[utoipa::path(post, tag = "changes",
    path = "/api/v1/buckets/{bucket}/replications/remove",
    params(InBucket, Options, OfRevision), request_body(content = Replicate,
        example = json!({"alpha": "0-511,600", "gamma": "512-599"})),
    responses(Good, api::Always, api::Body, api::Bucket, api::Command, api::Revision))]
pub(super) async fn remove(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (bucket, removed) = map(&state, bucket, payload).await?;
    change(&state, &request, bucket, Change::Remove(removed)).await
}

/// The bucket of a path, and the map in the body of the request.
async fn map(
    state: &State,
    bucket: Path<String>,
    payload: Payload,
) -> Result<(String, Desired), ApiError> {
    let bucket = bucket.into_inner();
    state.bucket(&bucket)?;
    let desired = body::json::<Replicate>(payload).await?.desired(&state.producers())?;
    Ok((bucket, desired))
}

/// `PUT /api/v1/buckets/{bucket}/vbuckets/{vb}/replication`: sets one vBucket, keeps the others.
#[utoipa::path(put, tag = "changes",
    path = "/api/v1/buckets/{bucket}/vbuckets/{vb}/replication",
    params(InVbucket, Options, OfRevision), request_body = From,
    responses(Good, api::Always, api::Body, api::Bucket, api::Command, api::Revision))]
pub(super) async fn replicate_one(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let VbSource { bucket, vb, from } = target(&state, path, payload).await?;
    change(&state, &request, bucket, Change::One { vb, from: Some(from) }).await
}

/// `DELETE /api/v1/buckets/{bucket}/vbuckets/{vb}/replication`: removes one vBucket, keeps the
/// others.
#[utoipa::path(
    delete,
    tag = "changes",
    path = "/api/v1/buckets/{bucket}/vbuckets/{vb}/replication",
    params(InVbucket, Options, OfRevision),
    responses(Good, api::Always, api::Request, api::Bucket, api::Command, api::Revision)
)]
pub(super) async fn close_one(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (bucket, vb) = vbucket(&state, path)?;
    change(&state, &request, bucket, Change::One { vb, from: None }).await
}

/// `PUT /api/v1/buckets/{bucket}/connections`: sets the number of connections to each producer.
#[utoipa::path(put, tag = "changes",
    path = "/api/v1/buckets/{bucket}/connections",
    params(InBucket, Options, OfRevision), request_body = body::Connections,
    responses(Good, api::Always, api::Body, api::Bucket, api::Command, api::Revision))]
pub(super) async fn connections(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let bucket = bucket.into_inner();
    state.bucket(&bucket)?;
    let connections = body::json::<body::Connections>(payload).await?.count()?;
    change(&state, &request, bucket, Change::Connections(connections)).await
}

/// `POST /api/v1/buckets/{bucket}/pause`: closes streams until they are resumed. With `{}` those of
/// the whole bucket, also of vBuckets that are added while it is paused.
#[utoipa::path(post, tag = "changes",
    path = "/api/v1/buckets/{bucket}/pause",
    params(InBucket, Options, OfRevision), request_body = body::Select,
    responses(Good, api::Always, api::Body, api::Bucket, api::Command, api::Revision))]
pub(super) async fn pause(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (bucket, which) = selection(&state, bucket, payload).await?;
    change(&state, &request, bucket, Change::Pause(which)).await
}

/// `POST /api/v1/buckets/{bucket}/resume`: opens the streams of paused vBuckets again.
#[utoipa::path(post, tag = "changes",
    path = "/api/v1/buckets/{bucket}/resume",
    params(InBucket, Options, OfRevision), request_body = body::Select,
    responses(Good, api::Always, api::Body, api::Bucket, api::Command, api::Revision))]
pub(super) async fn resume(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (bucket, which) = selection(&state, bucket, payload).await?;
    change(&state, &request, bucket, Change::Resume(which)).await
}

async fn selection(
    state: &State,
    bucket: Path<String>,
    payload: Payload,
) -> Result<(String, Selection), ApiError> {
    let bucket = bucket.into_inner();
    state.bucket(&bucket)?;
    let which = body::json::<body::Select>(payload).await?.selection(&state.producers())?;
    Ok((bucket, which))
}

/// Runs a change of what is replicated, or says what it would do. The answer has the number of
/// open streams and the revision of the bucket.
async fn change(
    state: &State,
    request: &HttpRequest,
    bucket: String,
    change: Change,
) -> Result<HttpResponse, ApiError> {
    let (client, expected) = (client(request), preconditions::if_match(request)?);
    let sources = state.sources.clone();
    if preconditions::is_dry_run(request)? {
        let (Diff { opens, closes, stays }, paused) = sources.plan(&bucket, &change, &client)?;
        let revision = sources.maps().bucket(&bucket).map_or(0, BucketMaps::revision);
        let paused = Some(paused).filter(|vbs| !vbs.is_empty());
        let plan = Answer::Planned { dry_run: true, opens, closes, stays, paused };
        return Ok(preconditions::tagged(revision).json(plan));
    }
    let what = format!("change bucket={bucket} what={} client={client}", value(&change));
    let done =
        to_its_end(what, async move { sources.change(&bucket, change, &client, expected).await });
    let Changed { open, revision } = done.await?;
    Ok(preconditions::tagged(revision).json(Answer::Done { open, revision }))
}
