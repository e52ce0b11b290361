//! Access control: a request needs the token, and must not come from a page of another site in an
//! operator's browser.
//!
//! On loopback, `Host` must name loopback; otherwise a site could let its own name resolve to this
//! machine (DNS rebinding). A browser names the site of the page in `Origin`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpMessage as _};
use relay::Secret;
use subtle::ConstantTimeEq as _;

use super::error::ApiError;
use crate::sources::Sources;

/// The probes of supervisors, answered without a token; the answers are yes or no, without details.
const OPEN_PATHS: [&str; 2] = ["/live", "/ready"];

/// The access rules, which are the same for all requests.
#[derive(Debug)]
pub(super) struct Access {
    is_loopback: bool,
    /// Where the token is; a reload may change it.
    sources: Sources,
}

/// Whether a request has the token; true where no token is configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct IsTrusted(pub(super) bool);

impl Access {
    pub(super) fn of(listen: SocketAddr, sources: Sources) -> Self {
        Self { is_loopback: listen.ip().is_loopback(), sources }
    }

    /// Admits or refuses a request, and returns whether it may see details.
    pub(super) fn admit(&self, path: &str, headers: &HeaderMap) -> Result<IsTrusted, ApiError> {
        let (host, origin) = (text(headers, &HOST)?, text(headers, &ORIGIN)?);
        if let Some(host) = host
            && self.is_loopback
            && !names_loopback(host)
        {
            let why = "the API listens on loopback only: ask for 127.0.0.1 or localhost";
            return Err(ApiError::Foreign(format!("unexpected host {host:?}: {why}")));
        }
        if let Some(origin) = origin
            && !host.is_some_and(|host| is_of(origin, host))
        {
            return Err(ApiError::Foreign(format!(
                "requests from pages of {origin:?} are refused"
            )));
        }
        let config = self.sources.config();
        let is_trusted = config.admin.token.as_ref().is_none_or(|token| carries(headers, token));
        if is_trusted || OPEN_PATHS.contains(&path) {
            return Ok(IsTrusted(is_trusted));
        }
        Err(ApiError::NoToken)
    }
}

/// The text of a header, if the request has it.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ApiError> {
    let text = headers.get(name).map(|value| value.to_str()).transpose();
    text.map_err(|_| ApiError::Foreign(format!("the header {name} is not ASCII text")))
}

/// Whether the origin of a page is `host`, the server that the request was sent to.
fn is_of(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, authority)| authority == host)
}

/// Whether the host in `authority`, with or without a port, is this machine by definition.
fn names_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    let is_loopback = |address: IpAddr| address.is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

fn carries(headers: &HeaderMap, token: &Secret) -> bool {
    let value = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    let Some((scheme, given)) = value.and_then(|value| value.split_at_checked(b"Bearer ".len()))
    else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(given.ct_eq(token.expose().as_bytes()))
}

/// Calls [`Access::admit`] before any handler.
pub(super) fn middleware<S, B>(
    access: Arc<Access>,
) -> impl actix_web::dev::Transform<
    S,
    ServiceRequest,
    Response = ServiceResponse<BoxBody>,
    Error = Error,
    InitError = (),
>
where
    S: actix_web::dev::Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>
        + 'static,
    B: MessageBody + 'static,
{
    from_fn(move |request: ServiceRequest, next: Next<B>| {
        let admitted = access.admit(request.path(), request.headers());
        async move {
            let is_trusted = admitted?;
            request.extensions_mut().insert(is_trusted);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
    })
}
