//! Reads and changes the log levels of the running process: one for all, and those of modules.

use std::collections::BTreeMap;

use ::events::{Kind, Level};
use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};
use log::LevelFilter;
use logger::{Filters, InForce, word};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body;
use super::commands::client;
use super::contract as api;
use super::error::ApiError;
use super::state::State;
use crate::logging;

/// `{"level": "debug", "filters": {"relay": "trace"}}`, or `{"reset": true}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetLevels, examples(json!({"level": "debug", "filters": {"relay": "trace"}})))]
struct Levels {
    /// The name of a level; the present one stays without: off, error, warn, info, debug or trace.
    level: Option<String>,
    /// The levels of modules. They replace all that there are.
    filters: Option<BTreeMap<String, String>>,
    /// Back to what is configured.
    #[serde(default)]
    reset: bool,
}

impl Levels {
    /// The filters to set; `None` to return to what is configured.
    fn filters(self) -> Result<Option<Filters>, String> {
        let allowed = "give \"level\", \"filters\", or \"reset\": true alone";
        match self {
            Self { level: None, filters: None, reset: true } => Ok(None),
            Self { level: None, filters: None, reset: false } | Self { reset: true, .. } => {
                Err(format!("invalid body: {allowed}"))
            }
            Self { level, filters, reset: false } => {
                let level = level.as_deref().map(logger::level).transpose()?;
                let parse = |(module, name): (String, String)| -> Result<_, String> {
                    let level = logger::level(&name);
                    Ok((module.clone(), level.map_err(|error| format!("{module}: {error}"))?))
                };
                let modules = filters.unwrap_or_default().into_iter().map(parse);
                let filters = Filters { level, modules: modules.collect::<Result<_, _>>()? };
                filters.check(&logging::MODULES)?;
                Ok(Some(filters))
            }
        }
    }
}

/// The levels in force, and what is configured.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Levels)]
pub(super) struct LevelsView {
    #[schema(examples("info"))]
    level: String,
    /// By module.
    #[schema(examples(json!({"relay": "trace"})))]
    filters: BTreeMap<String, String>,
    #[schema(examples("info"))]
    configured: String,
    /// RUST_LOG, which is an upper bound.
    rust_log: Option<&'static str>,
}

/// `GET /log-level`: what is in force, and what is configured.
#[utoipa::path(get, path = "/log-level", operation_id = "log_level", tag = "process",
    responses((status = 200, description = "In force, and configured", body = LevelsView),
        api::Always))]
pub(super) async fn read() -> Json<LevelsView> {
    let InForce { level, modules, configured } = logger::in_force();
    Json(LevelsView {
        level: word(level),
        filters: modules.into_iter().map(|(module, level)| (module, word(level))).collect(),
        configured: word(configured),
        rust_log: logger::rust_log(),
    })
}

/// `PUT /log-level`: sets the level, those of modules, or both; or resets all. Where RUST_LOG is
/// set, it remains an upper bound.
#[utoipa::path(put, path = "/log-level", operation_id = "set_log_level", tag = "process",
    request_body = Levels,
    responses((status = 200, description = "In force, and configured", body = LevelsView),
        api::Always, api::Body))]
pub(super) async fn set(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<LevelsView>, ApiError> {
    let levels: Levels = body::json(payload).await?;
    let filters = levels.filters().map_err(ApiError::Wrong)?;
    let old = text(logger::in_force());
    match filters {
        Some(filters) => logger::set_filters(filters),
        None => logger::reset_filters(),
    }
    let (new, client) = (text(logger::in_force()), client(&request));
    if old == new {
        return Ok(read().await);
    }
    // Whoever turned the log off wants no line, and whoever turns it on sees this one.
    if log::max_level() >= LevelFilter::Info {
        let (old, new) = (logline::value(&old), logline::value(&new));
        log::info!("log level changed from={old} to={new} client={client}");
    }
    let said = format!("log level changed from {old} to {new} by {client}");
    state.events.note(Level::Info, Kind::LogLevel, None, said);
    Ok(read().await)
}

fn text(InForce { level, modules, .. }: InForce) -> String {
    Filters { level: Some(level), modules }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(body: &str) -> Result<String, String> {
        let levels: Levels = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let filters = levels.filters()?;
        Ok(filters.map_or_else(|| "reset".to_owned(), |filters| filters.to_string()))
    }

    #[test]
    fn what_is_set_and_what_is_wrong() {
        let invalid = "invalid body: give \"level\", \"filters\", or \"reset\": true alone";
        for (body, expected) in [
            (r#"{"level":"DEBUG"}"#, Ok("debug")),
            (r#"{"level":"info","filters":{"relay":"trace"}}"#, Ok("info,relay=trace")),
            (r#"{"filters":{"kvnode::dcp":"debug"}}"#, Ok("kvnode::dcp=debug")),
            (r#"{"filters":{}}"#, Ok("")),
            (r#"{"reset":true}"#, Ok("reset")),
            ("{}", Err(invalid)),
            (r#"{"reset":false}"#, Err(invalid)),
            (r#"{"reset":true,"level":"info"}"#, Err(invalid)),
            (
                r#"{"filters":{"relay":"loud"}}"#,
                Err("relay: unknown log level \"loud\": give off, error, warn, info, debug or \
                     trace"),
            ),
            (
                r#"{"filters":{"hyper":"info"}}"#,
                Err("unknown module \"hyper\": give one of dcp_proxy, dcp_actors, relay, \
                     etcdmaps, watchfile, kvnode, store, or a module within, such as relay::pump"),
            ),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(filters(body), expected, "{body}");
        }
    }
}
