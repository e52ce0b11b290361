//! Who may ask: whoever has the token, and no page of another site in an operator's browser.
//!
//! On loopback, the name in `Host` must be a loopback one, or a site could point its own name here
//! (DNS rebinding). A request that a browser sends for a page of another site says so in `Origin`.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpMessage as _};
use relay::Secret;
use subtle::ConstantTimeEq as _;

use super::error::ApiError;
use crate::config::Admin;

/// What a supervisor asks without a token; the answers then tell nothing but yes or no.
const OPEN_PATHS: [&str; 2] = ["/live", "/ready"];

/// The rule for all requests.
#[derive(Debug)]
pub(super) struct Access {
    is_loopback: bool,
    token: Option<Secret>,
}

/// That a request came with the token, or that there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct IsTrusted(pub(super) bool);

impl Access {
    pub(super) fn of(admin: &Admin) -> Self {
        Self { is_loopback: admin.listen.ip().is_loopback(), token: admin.token.clone() }
    }

    /// Whether a request may pass, and what it may be told.
    pub(super) fn admit(&self, path: &str, headers: &HeaderMap) -> Result<IsTrusted, ApiError> {
        let host = text(headers, &HOST);
        if let Some(host) = host
            && self.is_loopback
            && !names_loopback(host)
        {
            let why = "this API listens on loopback only: ask for 127.0.0.1 or localhost";
            return Err(ApiError::Foreign(format!("host {host:?} is not here: {why}")));
        }
        if let Some(origin) = text(headers, &ORIGIN)
            && origin.split_once("://").map(|(_, authority)| authority) != host
        {
            return Err(ApiError::Foreign(format!("pages of {origin:?} may not ask here")));
        }
        let is_trusted = self.token.as_ref().is_none_or(|token| carries(headers, token));
        if is_trusted || OPEN_PATHS.contains(&path) {
            return Ok(IsTrusted(is_trusted));
        }
        Err(ApiError::NoToken)
    }
}

/// The text of a header; one that is no text is as good as an empty one, which nothing admits.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether the host in `authority`, with or without a port, can only be this machine.
fn names_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => authority.split(':').next().unwrap_or_default(),
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

/// Asks [`Access::admit`] before anything else.
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
