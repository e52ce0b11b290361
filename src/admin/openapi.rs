//! `GET /api/v1/openapi.json`: the OpenAPI document of this API, for people and generators.
//!
//! Each handler has its path, parameters, bodies and answers in an attribute, and each body derives
//! its schema. `finish` adds what follows from rules; `contract` has what handlers share. The
//! document has no data of this process in it. `docs/admin-api.md` says what may change within a
//! version.

mod finish;
#[cfg(test)]
mod surface;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::contract::{Always, EventFields, GapFields};
use super::{
    capture, capture_end, changes, commands, desired, error, events, log_level, metrics, moves,
    one_vbucket, overview, page, reads, reload, verify,
};

/// The version of the API, not of the program. Its rule is in `docs/admin-api.md`: additions raise
/// the second number; what is there stays as long as the paths say `v1`.
const VERSION: &str = "1.0.0";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "The admin API of dcp-proxy",
        version = VERSION,
        description = "HTTP and JSON, for people and programs. HEAD is answered wherever GET is. \
            A path that is not listed is answered with 404, a method that is not listed with 405 \
            and `Allow`, both with the body of an error. Where something is unknown, the value is \
            null. Clients must accept properties, words and statuses that they do not know.",
    ),
    servers((url = "/", description = "The address of `[admin] listen`")),
    tags(
        (name = "probes", description = "For supervisors and Prometheus"),
        (name = "reading",
            description = "What is replicated and how well; none waits for commands"),
        (name = "changes", description = "What is to be replicated of a bucket"),
        (name = "moves", description = "vBuckets that become active at this sidecar's node"),
        (name = "process", description = "The sidecar itself"),
    ),
    paths(
        reads::live, reads::ready, metrics::metrics,
        reads::status, overview::overview, reads::history, reads::replications,
        one_vbucket::vbucket, events::events, desired::read, reads::config,
        openapi,
        changes::replicate, changes::add, changes::remove, changes::replicate_one,
        changes::close_one, changes::connections, changes::pause, changes::resume,
        commands::restart, capture::capture, capture_end::end,
        verify::read, verify::ask, verify::renew,
        moves::takeover, moves::move_vbucket, moves::takeover_set, moves::move_set,
        log_level::read, log_level::set, page::page, desired::discard, reload::reload,
        commands::shutdown,
    ),
    components(schemas(changes::Answer, error::ErrorBody<'static>, EventFields, GapFields)),
    security(("token" = [])),
    modifiers(&Token),
)]
struct Document;

/// How a request shows that it may do what it asks for.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let description = "The token of `[admin]`. Where none is configured, reading on loopback \
                           needs no token, and every other request needs that of the session, \
                           which is in `session.json` in `[state] directory`";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let scheme = SecurityScheme::Http(scheme.description(Some(description)).build());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", scheme);
    }
}

/// It is always the same, and is built when it is first asked for.
static TEXT: LazyLock<String> =
    LazyLock::new(|| finish::finished(&Document::openapi()).to_string());

/// `GET /api/v1/openapi.json`: this document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "reading",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value,
        content_type = "application/json"), Always))]
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(TEXT.as_str())
}
