//! `POST /reload`, and what the API tells of reloads.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use serde::Serialize;
use serde_json::{Value, json};

use super::commands::{client, to_its_end};
use super::error::ApiError;
use super::preconditions;
use super::state::State;
use crate::clock::utc;
use crate::sources::{LastReload, Reloaded, Sources};

/// `POST /reload`: reads the configuration file again.
pub(super) async fn reload(
    state: Data<State>,
    request: HttpRequest,
) -> Result<Json<Value>, ApiError> {
    preconditions::none(&request)?;
    let (sources, by) = (state.sources.clone(), client(&request));
    let what = format!("reload client={by}");
    let Reloaded { changed, restart_needed, warnings, .. } =
        to_its_end(what, async move { sources.reload(&by).await }).await?;
    Ok(Json(json!({
        "reloaded": true,
        "changed": changed,
        "restart_needed": restart_needed,
        "warnings": warnings,
    })))
}

/// The configuration of the process, in `GET /api/v1/status`.
#[derive(Debug, Serialize)]
pub(super) struct ConfigView {
    file: String,
    loaded_at: String,
    last_reload: Option<ReloadView>,
    /// Why what is in force is not in `[state] directory`, if it is not.
    state_error: Option<String>,
}

/// The last reload.
#[derive(Debug, Serialize)]
struct ReloadView {
    at: String,
    by: String,
    ok: bool,
    error: Option<String>,
    restart_needed: Vec<String>,
}

impl ConfigView {
    pub(super) fn of(sources: &Sources) -> Self {
        let view = |LastReload { at, by, error, restart_needed }| ReloadView {
            at: utc(at),
            by,
            ok: error.is_none(),
            error,
            restart_needed,
        };
        Self {
            file: sources.config().path.display().to_string(),
            loaded_at: utc(sources.loaded_at()),
            last_reload: sources.last_reload().map(view),
            state_error: sources.state_error(),
        }
    }
}
