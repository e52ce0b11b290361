//! The errors of the API, each with its HTTP status and a JSON body.

use std::fmt;
use std::path::PathBuf;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, HeaderMap, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::rt::task::JoinError;
use actix_web::{HttpResponse, ResponseError};
use dcp_actors::schema::VbFailureFields;
use dcp_actors::{CommandError, Moved, VbFailure};
use desired::Refusal;
use invariant::Broken;
use serde::Serialize;
use utoipa::ToSchema;

use crate::sources::{ChangeError, ReloadError, StateError};

/// A failed request.
#[derive(Debug)]
pub(super) enum ApiError {
    /// The request is invalid: 400.
    Wrong(String),
    /// The token is missing or wrong: 401.
    NoToken(Wanted),
    /// The request comes from a page of another site: 403.
    Foreign(String),
    /// There is no such path or bucket: 404.
    Missing(String),
    /// The path exists, but not with this method: 405.
    Method {
        /// What to use.
        methods: String,
        /// All allowed methods.
        allow: String,
    },
    /// The body did not arrive in time: 408.
    Slow,
    /// Too many commands wait: 409.
    Busy(String),
    /// The bucket has another revision than the request rests on: 412.
    Changed(String),
    /// The configuration file is invalid: 422.
    Invalid {
        /// All of it.
        text: String,
        /// Each problem.
        problems: Vec<String>,
    },
    /// What was asked could not be written down: 500.
    NotKept(StateError),
    /// The body is too long: 413.
    Long {
        /// Bytes.
        limit: usize,
    },
    /// The task of the request panicked: 500.
    Panicked(JoinError),
    /// A broken invariant: 500.
    Broken(Broken),
    /// One or more vBuckets failed: 502.
    Failed {
        /// The number of failures, and the first one.
        text: String,
        /// All failures.
        failures: Vec<VbFailure>,
        /// Of a set that was to be moved: the vBuckets that were.
        moved: Option<Vec<Moved>>,
    },
    /// The sidecar is starting, stopping or not ready: 503.
    NotNow(String),
}

/// The token that a request needs.
#[derive(Debug)]
pub(super) enum Wanted {
    /// That of the configuration.
    Configured,
    /// That of the session, which is in this file.
    Session(PathBuf),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str(
                "the admin token is missing or wrong: send \
                 Authorization: Bearer TOKEN, with the token of [admin]",
            ),
            Self::Session(file) => write!(
                f,
                "the session token is missing or wrong, which every request but GET needs: send \
                 Authorization: Bearer TOKEN, with the token in {}, which is new at each start of \
                 the sidecar; the subcommands of dcp-proxy find it with --config FILE where \
                 [state] directory in it names that folder",
                file.display()
            ),
        }
    }
}

/// The body of every error answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody<'a> {
    /// What happened and what to do, for people.
    error: String,
    /// Each vBucket for which it failed; with 502 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<VbFailureFields>>, nullable = false)]
    errors: Option<&'a [VbFailure]>,
    /// Of a set that was to be moved, the vBuckets that were; with 502 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Moved>>, nullable = false)]
    moved: Option<&'a [Moved]>,
    /// What is wrong with the configuration file; with 422 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    problems: Option<&'a [String]>,
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let text = error.to_string();
        match error {
            CommandError::NoBucket { .. }
            | CommandError::NothingToRestart { .. }
            | CommandError::Removed { .. } => Self::Missing(text),
            CommandError::NoProducer { .. } | CommandError::Plan(_) => Self::Wrong(text),
            CommandError::Busy { .. }
            | CommandError::AlreadyMoving { .. }
            | CommandError::BucketExists { .. } => Self::Busy(text),
            CommandError::Failed(failures) | CommandError::NotFilled { failures, .. } => {
                Self::Failed { text, failures, moved: None }
            }
            CommandError::Stopping => Self::NotNow(text),
            CommandError::Broken(broken) => Self::Broken(broken),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let text = error.to_string();
        match error {
            ChangeError::Refused(Refusal::NotFrom { .. } | Refusal::NothingMeant(_)) => {
                Self::Wrong(text)
            }
            ChangeError::Refused(Refusal::Revision { .. }) => Self::Changed(text),
            ChangeError::State(error) => Self::NotKept(error),
            ChangeError::Command(error) => error.into(),
            ChangeError::Busy { .. } => Self::Busy(text),
            ChangeError::NotStarted => Self::NotNow(text),
        }
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        Self::NotKept(error)
    }
}

impl From<ReloadError> for ApiError {
    fn from(error: ReloadError) -> Self {
        let text = error.to_string();
        match error {
            ReloadError::Invalid(problems) => {
                let lines = problems.list.iter().map(|problem| problem.within(&problems.path));
                Self::Invalid { text, problems: lines.collect() }
            }
            ReloadError::Panicked(error) => Self::Panicked(error),
            ReloadError::Descriptors(_) | ReloadError::NotRunning(_) | ReloadError::Emptied(_) => {
                Self::Invalid { problems: vec![text.clone()], text }
            }
        }
    }
}

impl From<Broken> for ApiError {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(text) | Self::Missing(text) | Self::Foreign(text) => f.write_str(text),
            Self::Busy(text) | Self::NotNow(text) | Self::Changed(text) => f.write_str(text),
            Self::Failed { text, .. } | Self::Invalid { text, .. } => f.write_str(text),
            Self::NotKept(error) => error.fmt(f),
            Self::NoToken(wanted) => wanted.fmt(f),
            Self::Method { methods, .. } => {
                write!(f, "the method is not allowed here: use {methods}")
            }
            Self::Slow => f.write_str("the body did not arrive in time"),
            Self::Long { limit } => write!(f, "the body is too long: give at most {limit} bytes"),
            Self::Panicked(error) => write!(f, "the task of the request panicked: {error}"),
            Self::Broken(broken) => broken.fmt(f),
        }
    }
}

/// What every answer carries: it is true for a moment only, and may be about secrets; and it is
/// what its type says, whatever it looks like.
pub(super) fn never_kept(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::NoToken(_) => StatusCode::UNAUTHORIZED,
            Self::Foreign(_) => StatusCode::FORBIDDEN,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy(_) => StatusCode::CONFLICT,
            Self::Long { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Changed(_) => StatusCode::PRECONDITION_FAILED,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Panicked(_) | Self::Broken(_) | Self::NotKept(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Failed { .. } => StatusCode::BAD_GATEWAY,
            Self::NotNow(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        let (errors, moved) = match self {
            Self::NoToken(_) => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer"));
                (None, None)
            }
            Self::Method { allow, .. } => {
                response.insert_header((ALLOW, allow.as_str()));
                (None, None)
            }
            Self::Failed { failures, moved, .. } => (Some(failures.as_slice()), moved.as_deref()),
            _ => (None, None),
        };
        let problems = match self {
            Self::Invalid { problems, .. } => Some(problems.as_slice()),
            _ => None,
        };
        let body = ErrorBody { error: self.to_string(), errors, moved, problems };
        let mut response = response.json(body);
        never_kept(response.headers_mut());
        response
    }
}
