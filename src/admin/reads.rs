//! The requests that only read. None of them waits for a command (MB-67329).

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Query, ReqData};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Rights;
use super::contract as api;
use super::effective::{self, InForce};
use super::error::{ApiError, ErrorBody};
use super::history::{HistoryView, SAMPLES_MAX};
use super::look::Watched;
use super::state::State;
use super::views::{ReplicationsView, StatusView};
use super::words;

/// The process runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Live)]
pub(super) struct LiveView {
    /// Always true.
    live: bool,
}

/// Replication is ready.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ready)]
pub(super) struct ReadyView {
    /// Always true; an error is the answer of a sidecar that is not ready.
    ready: bool,
}

/// `GET /live`: 200 while the process runs. Needs no token.
#[utoipa::path(get, path = "/live", tag = "probes", security(()),
    responses((status = 200, description = "The process runs", body = LiveView), api::Probe))]
pub(super) async fn live() -> Json<LiveView> {
    Json(LiveView { live: true })
}

/// `GET /ready`: 200 when enough of the wanted streams are open and their nodes are heard. Needs no
/// token; the reasons why the sidecar is not ready need it.
#[utoipa::path(get, path = "/ready", tag = "probes", security((), ("token" = [])),
    responses((status = 200, description = "Replication is ready", body = ReadyView),
        (status = 503, description = "It is not, for the reasons in `error`", body = ErrorBody,
            example = json!({"error": "not ready: 512 vBuckets: alpha: unresponsive: no answer on \
                any connection, since 12:03:05"})), api::Probe))]
pub(super) async fn ready(
    state: Data<State>,
    rights: ReqData<Rights>,
) -> Result<Json<ReadyView>, ApiError> {
    let missing = state.missing(&state.status().await?);
    if missing.is_empty() {
        return Ok(Json(ReadyView { ready: true }));
    }
    let why =
        if rights.may_see { missing.join("; ") } else { "send the token to see why".to_owned() };
    Err(ApiError::NotNow(format!("not ready: {why}")))
}

/// `GET /api/v1/status`: a summary.
#[utoipa::path(get, path = "/api/v1/status", tag = "reading",
    responses((status = 200, description = "A summary", body = StatusView), api::Always))]
pub(super) async fn status(state: Data<State>) -> Result<Json<StatusView>, ApiError> {
    Ok(Json(StatusView::of(&state, &state.status().await?)))
}

/// `GET /api/v1/replications`: every link and every vBucket.
#[utoipa::path(get, path = "/api/v1/replications", tag = "reading",
    responses((status = 200, description = "Every link and every vBucket",
        body = ReplicationsView), api::Always))]
pub(super) async fn replications(state: Data<State>) -> Result<Json<ReplicationsView>, ApiError> {
    Ok(Json(ReplicationsView::of(state.status().await?)))
}

/// `GET /config`: the effective configuration without secrets.
#[utoipa::path(get, path = "/config", tag = "reading",
    responses((status = 200, description = "With the keys of the file", body = InForce),
        api::Always))]
pub(super) async fn config(state: Data<State>) -> Json<InForce> {
    Json(effective::in_force(&state.sources))
}

/// The query of a request.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct HistoryAsked {
    /// Only so many of the newest samples of each link.
    #[param(minimum = 1, maximum = 720)]
    points: Option<u16>,
}

/// `GET /api/v1/history`: what passed on each link in the last hour, and its lag.
#[utoipa::path(get, path = "/api/v1/history", tag = "reading", params(HistoryAsked),
    responses((status = 200, description = "The samples of each link, the oldest first",
        body = HistoryView), api::Always, api::Request))]
pub(super) async fn history(
    watched: Data<Watched>,
    request: HttpRequest,
) -> Result<Json<HistoryView>, ApiError> {
    let allowed = format!("give points=1 to points={SAMPLES_MAX}");
    let asked = Query::<HistoryAsked>::from_query(request.query_string());
    let wrong = |error: String| ApiError::Wrong(words::query(&error, &allowed));
    let Query(HistoryAsked { points }) = asked.map_err(|error| wrong(error.to_string()))?;
    let points = points.map_or(SAMPLES_MAX, usize::from);
    if !(1..=SAMPLES_MAX).contains(&points) {
        return Err(ApiError::Wrong(format!("points={points} is out of range: {allowed}")));
    }
    let view = watched.history().view(points);
    Ok(Json(view))
}
