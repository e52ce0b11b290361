//! The requests that only read. None of them waits for a command (MB-67329).

use actix_web::Responder;
use actix_web::web::{Data, Json, ReqData};
use serde_json::{Value, json};

use super::access::IsTrusted;
use super::effective;
use super::error::ApiError;
use super::state::State;
use super::views::{ReplicationsView, StatusView};

/// `GET /live`: 200 while the process runs.
pub(super) async fn live() -> impl Responder {
    Json(json!({ "live": true }))
}

/// `GET /ready`: 200 when enough of the wanted streams are open and their nodes are heard. The
/// reasons why it is not need the token.
pub(super) async fn ready(
    state: Data<State>,
    trusted: ReqData<IsTrusted>,
) -> Result<impl Responder, ApiError> {
    let missing = state.missing(&state.status().await?);
    if missing.is_empty() {
        return Ok(Json(json!({ "ready": true })));
    }
    let IsTrusted(is_trusted) = trusted.into_inner();
    let why = if is_trusted { missing.join("; ") } else { "send the token to see why".to_owned() };
    Err(ApiError::NotNow(format!("not ready: {why}")))
}

/// `GET /api/v1/status`: a summary.
pub(super) async fn status(state: Data<State>) -> Result<Json<StatusView>, ApiError> {
    Ok(Json(StatusView::of(&state, &state.status().await?)))
}

/// `GET /api/v1/replications`: every link and every vBucket.
pub(super) async fn replications(state: Data<State>) -> Result<Json<ReplicationsView>, ApiError> {
    Ok(Json(ReplicationsView::of(state.status().await?)))
}

/// `GET /config`: the effective configuration without secrets.
pub(super) async fn config(state: Data<State>) -> Json<Value> {
    Json(effective::json(&state.sources))
}
