//! The commands. A command that has started runs to completion, even if the client disconnects.

use std::future::Future;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, Responder};
use dcp_actors::CommandError;
use logline::value;
use mcbp::VbId;
use replica::plan::{Desired, VBUCKETS_MAX};
use serde_json::{Value, json};

use super::body::{self, From, Replicate};
use super::error::ApiError;
use super::state::State;

/// `POST /shutdown`: the same as SIGTERM.
pub(super) async fn shutdown(state: Data<State>, request: HttpRequest) -> impl Responder {
    log::info!("stopping, requested over the admin API client={}", client(&request));
    state.stop.cancel();
    (Json(json!({ "stopping": true })), StatusCode::ACCEPTED)
}

/// `PUT /api/v1/buckets/{bucket}/replications`: the whole desired map of a bucket.
pub(super) async fn replicate(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Value>, ApiError> {
    let (bucket, desired) = map(&state, bucket, payload).await?;
    let replication = state.replication()?;
    let (words, client) = (words(&desired), client(&request));
    let what = format!("replicate bucket={bucket} desired={words} client={client}");
    let sets = desired.producers();
    let desired = sets.iter().map(|(name, set)| (name.clone(), set.as_set().clone())).collect();
    opened(what, async move { replication.set_desired(&bucket, desired).await }).await
}

/// `PATCH /api/v1/buckets/{bucket}/replications`: adds vBuckets, keeps all others.
pub(super) async fn add(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Value>, ApiError> {
    let (bucket, added) = map(&state, bucket, payload).await?;
    let replication = state.replication()?;
    let (words, client) = (words(&added), client(&request));
    let what = format!("replicate bucket={bucket} added={words} client={client}");
    opened(what, async move { replication.add_desired(&bucket, added).await }).await
}

/// The bucket of a path, and the map in the body of the request.
async fn map(
    state: &State,
    bucket: Path<String>,
    payload: Payload,
) -> Result<(String, Desired), ApiError> {
    let bucket = bucket.into_inner();
    state.bucket(&bucket)?;
    let desired = body::json::<Replicate>(payload).await?.desired(&state.producers)?;
    Ok((bucket, desired))
}

/// A map as a value of a log line.
fn words(desired: &Desired) -> String {
    let words = desired.producers().iter().map(|(producer, set)| format!("{producer}={set}"));
    value(words.collect::<Vec<_>>().join(" ")).to_string()
}

/// `PUT /api/v1/buckets/{bucket}/vbuckets/{vb}/replication`: sets one vBucket, keeps the others.
pub(super) async fn replicate_one(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Value>, ApiError> {
    let VbSource { bucket, vb, from } = target(&state, path, payload).await?;
    let replication = state.replication()?;
    let what =
        format!("replicate bucket={bucket} vb={} from={from} client={}", vb.0, client(&request));
    opened(what, async move { replication.set_stream(&bucket, vb, Some(&from)).await }).await
}

/// `DELETE /api/v1/buckets/{bucket}/vbuckets/{vb}/replication`: removes one vBucket, keeps the
/// others.
pub(super) async fn close_one(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<Json<Value>, ApiError> {
    let (bucket, vb) = vbucket(&state, path)?;
    let replication = state.replication()?;
    let what = format!("close bucket={bucket} vb={} client={}", vb.0, client(&request));
    opened(what, async move { replication.set_stream(&bucket, vb, None).await }).await
}

/// `PUT /api/v1/buckets/{bucket}/connections`: sets the number of connections to each producer.
pub(super) async fn connections(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Value>, ApiError> {
    let bucket = bucket.into_inner();
    state.bucket(&bucket)?;
    let connections = body::json::<body::Connections>(payload).await?.count()?;
    let replication = state.replication()?;
    let what =
        format!("connections bucket={bucket} count={connections} client={}", client(&request));
    opened(what, async move { replication.set_connections(&bucket, connections).await }).await
}

/// A vBucket and the producer that it is to come from.
pub(super) struct VbSource {
    pub(super) bucket: String,
    pub(super) vb: VbId,
    pub(super) from: String,
}

pub(super) async fn target(
    state: &State,
    path: Path<(String, String)>,
    payload: Payload,
) -> Result<VbSource, ApiError> {
    let (bucket, vb) = vbucket(state, path)?;
    let From { from } = body::json(payload).await?;
    body::known(&from, &state.producers)?;
    Ok(VbSource { bucket, vb, from })
}

/// The bucket and vBucket of a path.
fn vbucket(state: &State, path: Path<(String, String)>) -> Result<(String, VbId), ApiError> {
    let (bucket, vb) = path.into_inner();
    state.bucket(&bucket)?;
    let number = vb.parse::<u16>().ok().filter(|&number| number < VBUCKETS_MAX);
    let wrong =
        || ApiError::Wrong(format!("invalid vBucket {vb:?}: give 0 to {}", VBUCKETS_MAX - 1));
    Ok((bucket, VbId(number.ok_or_else(wrong)?)))
}

/// Runs a change of what is replicated; answers with the number of open streams of the bucket.
async fn opened(
    what: String,
    change: impl Future<Output = Result<usize, CommandError>> + 'static,
) -> Result<Json<Value>, ApiError> {
    let open = to_its_end(what, change).await?;
    Ok(Json(json!({ "open": open })))
}

/// Runs a command on its own task, because a handler is cancelled when the client disconnects, and
/// a command must not be.
///
/// `what` is the log text of the command, logged at its start and on failure.
pub(super) async fn to_its_end<T: 'static>(
    what: String,
    command: impl Future<Output = Result<T, CommandError>> + 'static,
) -> Result<T, ApiError> {
    log::info!("{what}");
    let command = actix_web::rt::spawn(async move {
        let done = command.await;
        if let Err(error) = &done {
            log::warn!("command failed: {what} error={}", value(error));
        }
        done
    });
    Ok(command.await.map_err(ApiError::Panicked)??)
}

pub(super) fn client(request: &HttpRequest) -> String {
    request.peer_addr().map_or_else(|| "unknown".to_owned(), |address| address.to_string())
}
