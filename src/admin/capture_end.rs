//! `DELETE /api/v1/captures/{capture}`: how a client ends its capture and still gets what waits.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, Responder};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::commands::client;
use super::contract as api;
use super::error::ApiError;
use super::state::State;

/// The capture in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
struct InCapture {
    /// The number of a capture that runs: `Location` of its answer has it.
    #[param(rename = "capture", minimum = 1, example = 1)]
    _capture: u64,
}

/// A capture ends.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CaptureEnding)]
struct EndingView {
    /// Always true.
    ending: bool,
}

/// `DELETE /api/v1/captures/{capture}`: ends a capture. What had passed before is still written to
/// its client, and then `END`.
#[utoipa::path(delete, path = "/api/v1/captures/{capture}", tag = "process", params(InCapture),
    responses((status = 202, description = "It ends", body = EndingView),
        api::Always, api::Request, api::Bucket))]
pub(super) async fn end(
    state: Data<State>,
    number: Path<u64>,
    request: HttpRequest,
) -> Result<impl Responder, ApiError> {
    let number = number.into_inner();
    if !state.captures.end(number) {
        return Err(ApiError::Missing(format!("no capture {number} runs: it has ended")));
    }
    log::info!("capture is asked to end number={number} client={}", client(&request));
    Ok((Json(EndingView { ending: true }), StatusCode::ACCEPTED))
}
