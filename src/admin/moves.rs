//! Takeovers and moves, of one vBucket and of sets. They complete even if the client disconnects.

use std::future::Future;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path, Payload};
use dcp_actors::{CommandError, Moved, MovedSet};
use replica::plan::VbSet;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{self, FromSet};
use super::commands::{VbSource, client, target, to_its_end};
use super::contract::{self as api, InBucket, InVbucket};
use super::error::ApiError;
use super::preconditions;
use super::state::State;

/// `POST /api/v1/buckets/{bucket}/vbuckets/{vb}/takeover`: makes a vBucket active here and dead
/// at its producer. Answers when it is done; after a 502 the vBucket is replicated as before.
#[utoipa::path(post, tag = "moves",
    path = "/api/v1/buckets/{bucket}/vbuckets/{vb}/takeover",
    params(InVbucket), request_body = body::From,
    responses((status = 200, description = "It is active here", body = Moved),
        api::Always, api::Body, api::Bucket, api::Command))]
pub(super) async fn takeover(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Moved>, ApiError> {
    begin(&state, &request).await?;
    let VbSource { bucket, vb, from } = target(&state, path, payload).await?;
    let replication = state.replication()?;
    let what =
        format!("takeover bucket={bucket} vb={} from={from} client={}", vb.0, client(&request));
    one(&state, what, async move { replication.takeover(&bucket, vb, &from).await }).await
}

/// `POST /api/v1/buckets/{bucket}/vbuckets/{vb}/move`: the same after copying the data, until
/// little is left.
#[utoipa::path(post, tag = "moves",
    path = "/api/v1/buckets/{bucket}/vbuckets/{vb}/move",
    params(InVbucket), request_body = body::From,
    responses((status = 200, description = "It is active here", body = Moved),
        api::Always, api::Body, api::Bucket, api::Command))]
pub(super) async fn move_vbucket(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Moved>, ApiError> {
    begin(&state, &request).await?;
    let VbSource { bucket, vb, from } = target(&state, path, payload).await?;
    let replication = state.replication()?;
    let what = format!("move bucket={bucket} vb={} from={from} client={}", vb.0, client(&request));
    one(&state, what, async move { replication.move_vbucket(&bucket, vb, &from).await }).await
}

/// `POST /api/v1/buckets/{bucket}/takeover`: takes over each vBucket of a set in turn. A failure
/// does not stop the others.
#[utoipa::path(post, tag = "moves",
    path = "/api/v1/buckets/{bucket}/takeover",
    params(InBucket), request_body = FromSet,
    responses((status = 200, description = "All are active here", body = MovedView),
        api::Always, api::Body, api::Bucket, api::Command))]
pub(super) async fn takeover_set(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<MovedView>, ApiError> {
    begin(&state, &request).await?;
    let Targets { bucket, vbs, from } = targets(&state, bucket, payload).await?;
    let replication = state.replication()?;
    let what =
        format!("takeover bucket={bucket} vbs={vbs} from={from} client={}", client(&request));
    each(&state, what, async move { replication.takeover_set(&bucket, vbs.as_set(), &from).await })
        .await
}

/// `POST /api/v1/buckets/{bucket}/move`: moves each vBucket of a set in turn, after copying its
/// data.
#[utoipa::path(post, tag = "moves",
    path = "/api/v1/buckets/{bucket}/move",
    params(InBucket), request_body = FromSet,
    responses((status = 200, description = "All are active here", body = MovedView),
        api::Always, api::Body, api::Bucket, api::Command))]
pub(super) async fn move_set(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<MovedView>, ApiError> {
    begin(&state, &request).await?;
    let Targets { bucket, vbs, from } = targets(&state, bucket, payload).await?;
    let replication = state.replication()?;
    let what = format!("move bucket={bucket} vbs={vbs} from={from} client={}", client(&request));
    each(&state, what, async move { replication.move_set(&bucket, vbs.as_set(), &from).await })
        .await
}

/// Runs the move of one vBucket; it is written down before it is answered.
async fn one(
    state: &State,
    what: String,
    moving: impl Future<Output = Result<Moved, CommandError>> + 'static,
) -> Result<Json<Moved>, ApiError> {
    let sources = state.sources.clone();
    let moved = async move {
        let moved = moving.await?;
        sources.took_over(std::slice::from_ref(&moved)).await;
        Ok::<_, CommandError>(moved)
    };
    to_its_end(what, moved).await.map(Json)
}

/// Refuses what a takeover does not take, and every takeover that could not be written down: the
/// next start would ask for vBuckets that are active here.
async fn begin(state: &State, request: &HttpRequest) -> Result<(), ApiError> {
    preconditions::none(request)?;
    Ok(state.sources.save_again().await?)
}

/// vBuckets and the producer that they are to come from.
struct Targets {
    bucket: String,
    vbs: VbSet,
    from: String,
}

async fn targets(
    state: &State,
    bucket: Path<String>,
    payload: Payload,
) -> Result<Targets, ApiError> {
    let bucket = bucket.into_inner();
    state.bucket(&bucket)?;
    let body: FromSet = body::json(payload).await?;
    body::known(&body.from, &state.producers())?;
    Ok(Targets { bucket, vbs: body.set()?, from: body.from })
}

/// The response where every vBucket of a set was moved.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MovedSet)]
pub(super) struct MovedView {
    moved: Vec<Moved>,
}

/// Runs the moves of a set. Where one failed, the error lists the failures and the vBuckets that
/// were moved.
async fn each(
    state: &State,
    what: String,
    moves: impl Future<Output = Result<MovedSet, CommandError>> + 'static,
) -> Result<Json<MovedView>, ApiError> {
    let (asked, sources) = (what.clone(), state.sources.clone());
    let moves = async move {
        let set = moves.await?;
        sources.took_over(&set.moved).await;
        let (moved, failed) = (set.moved.len(), set.failures.len());
        let level = if failed == 0 { log::Level::Info } else { log::Level::Warn };
        log::log!(level, "command ended: {asked} moved={moved} failed={failed}");
        Ok::<_, CommandError>(set)
    };
    let MovedSet { moved, failures } = to_its_end(what, moves).await?;
    let Some(first) = failures.first() else { return Ok(Json(MovedView { moved })) };
    let (failed, all) = (failures.len(), failures.len() + moved.len());
    let text = format!("{failed} of {all} vBuckets were not moved, the first: {first}");
    Err(ApiError::Failed { text, failures, moved: Some(moved) })
}
