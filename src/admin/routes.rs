//! Which request goes where. Whatever is not here is answered with JSON all the same.

use actix_web::http::Method;
use actix_web::web::{self, PathConfig, ServiceConfig};
use actix_web::{HttpRequest, Resource, Route, guard};

use super::error::ApiError;
use super::{
    capture, capture_end, changes, commands, desired, events, log_level, metrics, moves,
    one_vbucket, openapi, overview, page, reads, reload, verify,
};

/// HEAD is GET without the body, which the server leaves out.
fn route(method: &Method) -> Route {
    match *method {
        Method::GET => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
        _ => web::method(method.clone()),
    }
}

pub(super) fn routes(app: &mut ServiceConfig) {
    for at in of_process().into_iter().chain(of_bucket()) {
        app.service(at.resource());
    }
    app.default_service(web::to(unknown));
}

fn of_process() -> Vec<At> {
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    vec![
        at("/", [(&get, route(&get).to(page::page))]),
        at("/live", [(&get, route(&get).to(reads::live))]),
        at("/ready", [(&get, route(&get).to(reads::ready))]),
        at("/config", [(&get, route(&get).to(reads::config))]),
        at("/metrics", [(&get, route(&get).to(metrics::metrics))]),
        at("/reload", [(&post, route(&post).to(reload::reload))]),
        at("/shutdown", [(&post, route(&post).to(commands::shutdown))]),
        at(
            "/log-level",
            [(&get, route(&get).to(log_level::read)), (&put, route(&put).to(log_level::set))],
        ),
        at("/api/v1/status", [(&get, route(&get).to(reads::status))]),
        at("/api/v1/overview", [(&get, route(&get).to(overview::overview))]),
        at("/api/v1/history", [(&get, route(&get).to(reads::history))]),
        at("/api/v1/replications", [(&get, route(&get).to(reads::replications))]),
        at("/api/v1/events", [(&get, route(&get).to(events::events))]),
        at("/api/v1/verify", [(&get, route(&get).to(verify::read))]),
        at(
            "/api/v1/captures/{capture}",
            [(&Method::DELETE, route(&Method::DELETE).to(capture_end::end))],
        ),
        at("/api/v1/desired", [(&get, route(&get).to(desired::read))]),
        at("/api/v1/desired/discard", [(&post, route(&post).to(desired::discard))]),
        at("/api/v1/openapi.json", [(&get, route(&get).to(openapi::openapi))]),
    ]
}

fn of_bucket() -> Vec<At> {
    let (put, post, delete) = (Method::PUT, Method::POST, Method::DELETE);
    let (get, patch) = (Method::GET, Method::PATCH);
    let path = |rest: &str| format!("/api/v1/buckets/{{bucket}}/{rest}");
    vec![
        at(
            &path("replications"),
            [(&put, route(&put).to(changes::replicate)), (&patch, route(&patch).to(changes::add))],
        ),
        at(&path("replications/remove"), [(&post, route(&post).to(changes::remove))]),
        at(&path("pause"), [(&post, route(&post).to(changes::pause))]),
        at(&path("resume"), [(&post, route(&post).to(changes::resume))]),
        at(&path("restart"), [(&post, route(&post).to(commands::restart))]),
        at(
            &path("links/{producer}/{connection}/capture"),
            [(&post, route(&post).to(capture::capture))],
        ),
        at(&path("verify"), [(&post, route(&post).to(verify::ask))]),
        at(&path("renew"), [(&post, route(&post).to(verify::renew))]),
        at(&path("connections"), [(&put, route(&put).to(changes::connections))]),
        at(&path("takeover"), [(&post, route(&post).to(moves::takeover_set))]),
        at(&path("move"), [(&post, route(&post).to(moves::move_set))]),
        at(&path("vbuckets/{vb}"), [(&get, route(&get).to(one_vbucket::vbucket))]),
        at(
            &path("vbuckets/{vb}/replication"),
            [
                (&put, route(&put).to(changes::replicate_one)),
                (&delete, route(&delete).to(changes::close_one)),
            ],
        ),
        at(&path("vbuckets/{vb}/takeover"), [(&post, route(&post).to(moves::takeover))]),
        at(&path("vbuckets/{vb}/move"), [(&post, route(&post).to(moves::move_vbucket))]),
    ]
}

/// Answers a path that cannot be parsed with 400.
pub(super) fn path_config() -> PathConfig {
    PathConfig::default().error_handler(|error, _| ApiError::Wrong(error.to_string()).into())
}

/// A path, its methods and its handlers.
struct At {
    path: String,
    routes: Vec<(Method, Route)>,
}

fn at<const N: usize>(path: &str, routes: [(&Method, Route); N]) -> At {
    let routes = routes.into_iter().map(|(method, route)| (method.clone(), route));
    At { path: path.to_owned(), routes: routes.collect() }
}

impl At {
    fn resource(self) -> Resource {
        let Self { path, routes } = self;
        let methods = routes.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>();
        let methods = methods.join(", ");
        let has_head = routes.iter().any(|(method, _)| *method == Method::GET);
        let allow = if has_head { format!("{methods}, HEAD") } else { methods.clone() };
        let resource =
            routes.into_iter().fold(web::resource(path), |at, (_, route)| at.route(route));
        resource.default_service(web::to(move || {
            let (methods, allow) = (methods.clone(), allow.clone());
            async move { Err::<&str, _>(ApiError::Method { methods, allow }) }
        }))
    }
}

/// Every path with its methods, in lower case.
#[cfg(test)]
pub(super) fn list() -> Vec<(String, String)> {
    let all = of_process().into_iter().chain(of_bucket());
    let methods = |At { path, routes }: At| {
        let of = move |(method, _): (Method, Route)| (path.clone(), method.as_str().to_lowercase());
        routes.into_iter().map(of).collect::<Vec<_>>()
    };
    all.flat_map(methods).collect()
}

async fn unknown(request: HttpRequest) -> Result<&'static str, ApiError> {
    Err(ApiError::Missing(format!("no such path: {}", request.path())))
}
