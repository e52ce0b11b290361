//! The commands. A command that has started runs to completion, even if the client disconnects.

use std::fmt::Display;
use std::future::Future;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, Responder};
use dcp_actors::Restart;
use desired::{BucketMaps, Change, Diff, Selection};
use events::{Kind, Level};
use logline::value;
use mcbp::VbId;
use replica::plan::{Desired, VBUCKETS_MAX};
use serde_json::{Value, json};

use super::body::{self, From, Replicate};
use super::error::ApiError;
use super::preconditions;
use super::state::State;
use crate::sources::Changed;

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
) -> Result<HttpResponse, ApiError> {
    let (bucket, desired) = map(&state, bucket, payload).await?;
    change(&state, &request, bucket, Change::Replace(desired)).await
}

/// `PATCH /api/v1/buckets/{bucket}/replications`: adds vBuckets, keeps all others.
pub(super) async fn add(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (bucket, added) = map(&state, bucket, payload).await?;
    change(&state, &request, bucket, Change::Add(added)).await
}

/// `POST /api/v1/buckets/{bucket}/replications/remove`: removes vBuckets, keeps all others.
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
pub(super) async fn close_one(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (bucket, vb) = vbucket(&state, path)?;
    change(&state, &request, bucket, Change::One { vb, from: None }).await
}

/// `PUT /api/v1/buckets/{bucket}/connections`: sets the number of connections to each producer.
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

/// `POST /api/v1/buckets/{bucket}/pause`: closes streams until they are resumed.
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
pub(super) async fn resume(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (bucket, which) = selection(&state, bucket, payload).await?;
    change(&state, &request, bucket, Change::Resume(which)).await
}

/// `POST /api/v1/buckets/{bucket}/restart`: closes a link or streams, and opens them again.
pub(super) async fn restart(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Value>, ApiError> {
    preconditions::none(&request)?;
    let bucket = bucket.into_inner();
    state.bucket(&bucket)?;
    let restart = body::json::<body::Restart>(payload).await?.checked(&state.producers())?;
    let replication = state.replication()?;
    let named = match &restart {
        Restart::Links { producer, connection } => {
            let number = connection.map_or_else(|| "all".to_owned(), |number| number.to_string());
            format!("producer={producer} connection={number}")
        }
        Restart::Streams(vbs) => format!("vbs={vbs}"),
    };
    let what = format!("restart bucket={bucket} {named} client={}", client(&request));
    state.events.note(Level::Info, Kind::Restarted, Some(&bucket), named);
    let open = to_its_end(what, async move { replication.restart(&bucket, restart).await }).await?;
    Ok(Json(json!({ "open": open })))
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
    body::known(&from, &state.producers())?;
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
        let body = json!({
            "dry_run": true, "opens": opens, "closes": closes, "stays": stays, "paused": paused,
        });
        return Ok(preconditions::tagged(revision).json(body));
    }
    let what = format!("change bucket={bucket} what={} client={client}", value(&change));
    let done =
        to_its_end(what, async move { sources.change(&bucket, change, &client, expected).await });
    let Changed { open, revision } = done.await?;
    Ok(preconditions::tagged(revision).json(json!({ "open": open, "revision": revision })))
}

/// Runs a command on its own task, because a handler is cancelled when the client disconnects, and
/// a command must not be.
///
/// `what` is the log text of the command, logged at its start and on failure.
pub(super) async fn to_its_end<T: 'static, E: Display + Into<ApiError> + 'static>(
    what: String,
    command: impl Future<Output = Result<T, E>> + 'static,
) -> Result<T, ApiError> {
    log::info!("{what}");
    let command = actix_web::rt::spawn(async move {
        let done = command.await;
        if let Err(error) = &done {
            log::warn!("command failed: {what} error={}", value(error));
        }
        done
    });
    command.await.map_err(ApiError::Panicked)?.map_err(Into::into)
}

pub(super) fn client(request: &HttpRequest) -> String {
    request.peer_addr().map_or_else(|| "unknown".to_owned(), |address| address.to_string())
}
