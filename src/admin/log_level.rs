//! Reads and changes the log level of the running process.

use actix_web::web::{Json, Payload};
use log::LevelFilter;
use serde_json::{Value, json};

use super::body::{self, Level};
use super::error::ApiError;

/// `GET /log-level`.
pub(super) async fn read() -> Json<Value> {
    Json(json!({ "level": log::max_level().as_str().to_lowercase() }))
}

/// `PUT /log-level`. Where RUST_LOG is set, it remains an upper bound.
pub(super) async fn set(payload: Payload) -> Result<Json<Value>, ApiError> {
    let Level { level } = body::json(payload).await?;
    let wrong = |_| {
        let levels = "give off, error, warn, info, debug or trace";
        ApiError::Wrong(format!("unknown log level {level:?}: {levels}"))
    };
    let new: LevelFilter = level.parse().map_err(wrong)?;
    let old = log::max_level();
    logger::set_level(new);
    log::info!("log level changed from={old} to={new}");
    Ok(read().await)
}
