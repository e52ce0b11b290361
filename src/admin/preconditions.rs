//! What a request says besides its body: the revision that it rests on, and whether it only asks
//! what would happen.

use actix_web::http::header::{ETAG, IF_MATCH};
use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::words;

/// The query of a change.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Whether nothing is to change, and the answer is to say what would.
    #[serde(default)]
    dry_run: bool,
}

/// Whether the request only asks what would happen.
pub(super) fn is_dry_run(request: &HttpRequest) -> Result<bool, ApiError> {
    let options = Query::<Options>::from_query(request.query_string());
    let wrong = |error: String| ApiError::Wrong(words::query(&error, "give dry_run=true"));
    let options = options.map_err(|error| wrong(error.to_string()))?;
    Ok(options.dry_run)
}

/// The revision that the bucket must have; `None` for any.
pub(super) fn if_match(request: &HttpRequest) -> Result<Option<u64>, ApiError> {
    let mut tags = request.headers().get_all(IF_MATCH);
    let (Some(tag), None) = (tags.next(), tags.next()) else {
        return match request.headers().contains_key(IF_MATCH) {
            true => Err(ApiError::Wrong("If-Match: give one revision, such as \"7\"".to_owned())),
            false => Ok(None),
        };
    };
    let text = tag.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let wrong = || ApiError::Wrong(format!("If-Match {text:?}: give a revision, such as \"7\""));
    let digits = text.trim_matches('"');
    // The parser would also take a sign.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number).map(Some).ok_or_else(wrong)
}

/// An answer about a bucket of this revision.
pub(super) fn tagged(revision: u64) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((ETAG, format!("\"{revision}\"")));
    response
}

/// Refuses both where a request does not take them: who says them would be wrong about what
/// happens.
pub(super) fn none(request: &HttpRequest) -> Result<(), ApiError> {
    if request.query_string().is_empty() && !request.headers().contains_key(IF_MATCH) {
        return Ok(());
    }
    Err(ApiError::Wrong(
        "this request takes neither a query nor If-Match: leave them out".to_owned(),
    ))
}
