//! `POST /reload`, and what the API tells of reloads.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::commands::{client, to_its_end};
use super::contract as api;
use super::error::{ApiError, ErrorBody};
use super::preconditions;
use super::state::State;
use crate::clock::utc;
use crate::sources::{LastReload, Reloaded, Sources};

/// `POST /reload`: reads the configuration file again, as SIGHUP does. Streams follow after the
/// answer.
#[utoipa::path(post, path = "/reload", tag = "process",
    responses((status = 200, description = "The file is in force", body = ReloadedView),
        (status = 422, description = "The file is invalid, and nothing has changed",
            body = ErrorBody), api::Always, api::Request, api::Defect))]
pub(super) async fn reload(
    state: Data<State>,
    request: HttpRequest,
) -> Result<Json<ReloadedView>, ApiError> {
    preconditions::none(&request)?;
    let (sources, by) = (state.sources.clone(), client(&request));
    let what = format!("reload client={by}");
    let Reloaded { changed, restart_needed, warnings, .. } =
        to_its_end(what, async move { sources.reload(&by).await }).await?;
    state.follow_session();
    Ok(Json(ReloadedView { reloaded: true, changed, restart_needed, warnings }))
}

/// What a reload has changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reloaded)]
pub(super) struct ReloadedView {
    /// Always true.
    reloaded: bool,
    /// The keys that have other values now.
    #[schema(examples(json!(["bucket default: replicate"])))]
    changed: Vec<String>,
    /// Those that keep their old values until a restart.
    restart_needed: Vec<String>,
    /// What is allowed and probably not meant.
    warnings: Vec<String>,
}

/// The configuration of the process, in `GET /api/v1/status`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigStatus)]
pub(super) struct ConfigView {
    file: String,
    /// In UTC.
    #[schema(format = DateTime)]
    loaded_at: String,
    last_reload: Option<ReloadView>,
    /// Why what is in force is not in `[state] directory`, if it is not.
    state_error: Option<String>,
}

/// The last reload.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LastReload)]
struct ReloadView {
    /// In UTC.
    #[schema(format = DateTime)]
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
