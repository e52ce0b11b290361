//! Access control: what changes something needs a token, as does everything where one is
//! configured; and no request may come from a page of another site in an operator's browser.
//!
//! On loopback, `Host` must name loopback; otherwise a site could let its own name resolve to this
//! machine (DNS rebinding). A browser names the site of the page in `Origin`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpMessage as _};
use relay::Secret;
use subtle::ConstantTimeEq as _;

use super::error::{ApiError, Wanted};
use super::session::Session;
use crate::sources::Sources;

/// What is read without a token where one is configured: the probes of supervisors, whose answers
/// are yes or no without details, and the page of the dashboard, which contains no data.
const OPEN_PATHS: [&str; 3] = ["/live", "/ready", "/"];

/// The access rules, which are the same for all requests.
#[derive(Debug)]
pub(super) struct Access {
    is_loopback: bool,
    /// Where the token is; a reload may change it.
    sources: Sources,
    /// The token where none is configured.
    session: Arc<Session>,
}

/// What a request may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rights {
    /// Whether it may see details: it has the token, or none is configured.
    pub(super) may_see: bool,
    /// Whether it has the token that changes need.
    pub(super) may_change: bool,
}

impl Access {
    pub(super) fn of(listen: SocketAddr, sources: Sources, session: Arc<Session>) -> Self {
        Self { is_loopback: listen.ip().is_loopback(), sources, session }
    }

    /// Admits or refuses a request.
    pub(super) fn admit(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Rights, ApiError> {
        self.check_site(headers)?;
        let config = self.sources.config();
        let configured = config.admin.token.as_ref();
        let may_change = carries(headers, configured.unwrap_or_else(|| self.session.token()));
        // What a request without need of a token sends is not judged: programs may send one token
        // to many sidecars, of which some have none.
        let may_see = may_change || configured.is_none();
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        // A path that is open has nothing but GET: any other method is answered with 405.
        if may_change || is_read && may_see || OPEN_PATHS.contains(&path) {
            return Ok(Rights { may_see, may_change });
        }
        Err(ApiError::NoToken(match configured {
            Some(_) => Wanted::Configured,
            None => Wanted::Session(self.session.path()),
        }))
    }

    /// Refuses what a page of another site may have sent.
    fn check_site(&self, headers: &HeaderMap) -> Result<(), ApiError> {
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
        Ok(())
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
        let admitted = access.admit(request.method(), request.path(), request.headers());
        async move {
            let rights = admitted?;
            request.extensions_mut().insert(rights);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
    })
}
