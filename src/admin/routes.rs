//! Which request goes where. Whatever is not here is answered with JSON all the same.

use actix_web::http::Method;
use actix_web::web::{self, PathConfig, ServiceConfig};
use actix_web::{HttpRequest, Resource, Route, guard};

use super::error::ApiError;
use super::{commands, desired, log_level, metrics, moves, reads, reload};

/// HEAD is GET without the body, which the server leaves out.
fn route(method: &Method) -> Route {
    match *method {
        Method::GET => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
        _ => web::method(method.clone()),
    }
}

pub(super) fn routes(app: &mut ServiceConfig) {
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    app.service(at("/live", [(&get, route(&get).to(reads::live))]))
        .service(at("/ready", [(&get, route(&get).to(reads::ready))]))
        .service(at("/config", [(&get, route(&get).to(reads::config))]))
        .service(at("/metrics", [(&get, route(&get).to(metrics::metrics))]))
        .service(at("/reload", [(&post, route(&post).to(reload::reload))]))
        .service(at("/shutdown", [(&post, route(&post).to(commands::shutdown))]))
        .service(at(
            "/log-level",
            [(&get, route(&get).to(log_level::read)), (&put, route(&put).to(log_level::set))],
        ))
        .service(at("/api/v1/status", [(&get, route(&get).to(reads::status))]))
        .service(at("/api/v1/replications", [(&get, route(&get).to(reads::replications))]))
        .service(at("/api/v1/desired", [(&get, route(&get).to(desired::read))]))
        .service(at("/api/v1/desired/discard", [(&post, route(&post).to(desired::discard))]))
        .configure(of_bucket)
        .default_service(web::to(unknown));
}

fn of_bucket(app: &mut ServiceConfig) {
    let (put, post, delete) = (Method::PUT, Method::POST, Method::DELETE);
    let patch = Method::PATCH;
    let path = |rest: &str| format!("/api/v1/buckets/{{bucket}}/{rest}");
    app.service(at(
        &path("replications"),
        [(&put, route(&put).to(commands::replicate)), (&patch, route(&patch).to(commands::add))],
    ))
    .service(at(&path("replications/remove"), [(&post, route(&post).to(commands::remove))]))
    .service(at(&path("pause"), [(&post, route(&post).to(commands::pause))]))
    .service(at(&path("resume"), [(&post, route(&post).to(commands::resume))]))
    .service(at(&path("restart"), [(&post, route(&post).to(commands::restart))]))
    .service(at(&path("connections"), [(&put, route(&put).to(commands::connections))]))
    .service(at(&path("takeover"), [(&post, route(&post).to(moves::takeover_set))]))
    .service(at(&path("move"), [(&post, route(&post).to(moves::move_set))]))
    .service(at(
        &path("vbuckets/{vb}/replication"),
        [
            (&put, route(&put).to(commands::replicate_one)),
            (&delete, route(&delete).to(commands::close_one)),
        ],
    ))
    .service(at(&path("vbuckets/{vb}/takeover"), [(&post, route(&post).to(moves::takeover))]))
    .service(at(&path("vbuckets/{vb}/move"), [(&post, route(&post).to(moves::move_vbucket))]));
}

/// Answers a path that cannot be parsed with 400.
pub(super) fn path_config() -> PathConfig {
    PathConfig::default().error_handler(|error, _| ApiError::Wrong(error.to_string()).into())
}

fn at<const N: usize>(path: &str, routes: [(&Method, Route); N]) -> Resource {
    let methods = routes.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>().join(", ");
    let has_head = routes.iter().any(|(method, _)| *method == Method::GET);
    let allow = if has_head { format!("{methods}, HEAD") } else { methods.clone() };
    let resource = routes.into_iter().fold(web::resource(path), |at, (_, route)| at.route(route));
    resource.default_service(web::to(move || {
        let (methods, allow) = (methods.clone(), allow.clone());
        async move { Err::<&str, _>(ApiError::Method { methods, allow }) }
    }))
}

async fn unknown(request: HttpRequest) -> Result<&'static str, ApiError> {
    Err(ApiError::Missing(format!("no such path: {}", request.path())))
}
