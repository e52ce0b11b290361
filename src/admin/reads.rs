//! What only reads. Nothing here waits for a command (MB-67329).

use actix_web::Responder;
use actix_web::web::{Data, Json, ReqData};
use serde_json::{Value, json};

use super::access::IsTrusted;
use super::error::ApiError;
use super::ready;
use super::state::State;
use super::views::{ReplicationsView, StatusView};

/// `GET /live`: the process is up.
pub(super) async fn live() -> impl Responder {
    Json(json!({ "live": true }))
}

/// `GET /ready`: replication is as it should be. Why it is not is told to whoever has the token.
pub(super) async fn ready(
    state: Data<State>,
    trusted: ReqData<IsTrusted>,
) -> Result<impl Responder, ApiError> {
    let missing = missing(&state).await?;
    if missing.is_empty() {
        return Ok(Json(json!({ "ready": true })));
    }
    let IsTrusted(is_trusted) = trusted.into_inner();
    let why = if is_trusted { missing.join("; ") } else { "give the token to hear why".to_owned() };
    Err(ApiError::NotNow(format!("not ready: {why}")))
}

/// What keeps the sidecar from being ready.
async fn missing(state: &State) -> Result<Vec<String>, ApiError> {
    if state.stop.is_cancelled() {
        return Ok(vec!["it is being stopped".to_owned()]);
    }
    if state.running().is_none() {
        return Ok(vec!["replication has not started yet".to_owned()]);
    }
    Ok(ready::missing(&state.buckets, &state.status().await?))
}

/// `GET /api/v1/status`: the whole at a glance.
pub(super) async fn status(state: Data<State>) -> Result<Json<StatusView>, ApiError> {
    Ok(Json(StatusView::of(&state, &state.status().await?)))
}

/// `GET /api/v1/replications`: every link and every vBucket.
pub(super) async fn replications(state: Data<State>) -> Result<Json<ReplicationsView>, ApiError> {
    Ok(Json(ReplicationsView::of(state.status().await?)))
}

/// `GET /config`: the configuration in force, secrets left out.
pub(super) async fn config(state: Data<State>) -> Json<Value> {
    Json(state.config.clone())
}
