//! Commands, and what all of them share. A command that has started runs to completion, even if the
//! client disconnects. What changes the desired map is in `changes`, takeovers are in `moves`.

use std::fmt::Display;
use std::future::Future;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, Responder};
use dcp_actors::Restart;
use events::{Kind, Level};
use logline::value;
use mcbp::VbId;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{self, From};
use super::contract::{self as api, InBucket};
use super::error::ApiError;
use super::preconditions;
use super::state::State;

/// The process stops.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stopping)]
struct StoppingView {
    /// Always true.
    stopping: bool,
}

/// `POST /shutdown`: the process stops as after SIGTERM. Streams are closed on the consumer first.
#[utoipa::path(post, path = "/shutdown", tag = "process",
    responses((status = 202, description = "It stops", body = StoppingView), api::Always))]
pub(super) async fn shutdown(state: Data<State>, request: HttpRequest) -> impl Responder {
    log::info!("stopping, requested over the admin API client={}", client(&request));
    state.stop.cancel();
    (Json(StoppingView { stopping: true }), StatusCode::ACCEPTED)
}

/// What a restart has opened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Restarted)]
pub(super) struct RestartedView {
    /// Open streams of the bucket.
    open: usize,
}

/// `POST /api/v1/buckets/{bucket}/restart`: closes links or streams, and opens them again. Give
/// `producer` (and `connection` if only one of its links is meant) or `vbuckets`. Answers when all
/// are open again.
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/restart", tag = "changes",
    params(InBucket), request_body(content = body::Restart,
        examples(("links" = (value = json!({"producer": "alpha"}))),
            ("streams" = (value = json!({"vbuckets": "0-9"}))))),
    responses((status = 200, description = "All are open again", body = RestartedView),
        api::Always, api::Body, api::Bucket, api::Command))]
pub(super) async fn restart(
    state: Data<State>,
    bucket: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<RestartedView>, ApiError> {
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
        Restart::Streams(vbs) | Restart::Copies(vbs) => format!("vbs={vbs}"),
    };
    let what = format!("restart bucket={bucket} {named} client={}", client(&request));
    state.events.note(Level::Info, Kind::Restarted, Some(&bucket), named);
    let open = to_its_end(what, async move { replication.restart(&bucket, restart).await }).await?;
    Ok(Json(RestartedView { open }))
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
pub(super) fn vbucket(
    state: &State,
    path: Path<(String, String)>,
) -> Result<(String, VbId), ApiError> {
    let (bucket, vb) = path.into_inner();
    state.bucket(&bucket)?;
    Ok((bucket, body::vbucket(&vb)?))
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
