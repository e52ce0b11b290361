//! One request to the admin API and its answer, with a deadline. No proxy, no redirect: the token
//! goes to the address that was named and nowhere else.

use std::time::Duration;

use relay::Secret;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{Request, StatusCode};
use ureq::{Agent, Body, http::Response};

use super::Outcome;
use super::target::Target;

/// To reach the sidecar.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// For an answer that only reads: it waits for nothing.
const READ_WAIT: Duration = Duration::from_secs(20);
/// For a command. Each has a deadline of its own in the sidecar; this is longer than the longest
/// that can be configured.
const COMMAND_WAIT: Duration = Duration::from_secs(3600);
/// The longest answer: 300 bytes for each of 1,024 streams, for 200 buckets.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Nothing can be sent.
    #[error("{0}")]
    Usage(String),
    /// Nothing listens there, or it does not answer.
    #[error("the sidecar at {url} does not answer: {source}: is it running, is --admin right?")]
    Silent { url: String, source: Box<ureq::Error> },
    /// What answers is no sidecar, or one of another age.
    #[error("what answers at {url} is no sidecar that this program knows: {reason}")]
    Strange { url: String, reason: String },
    /// The sidecar says no.
    #[error("{text}")]
    Refused { status: StatusCode, text: String, body: Value },
}

impl AskError {
    pub(super) const fn body(&self) -> Option<&Value> {
        match self {
            Self::Refused { body, .. } => Some(body),
            Self::Usage(_) | Self::Silent { .. } | Self::Strange { .. } => None,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Usage(_) => Outcome::Wrong,
            Self::Silent { .. } | Self::Strange { .. } => Outcome::Failed,
            Self::Refused { status, .. } => match *status {
                StatusCode::BAD_REQUEST
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND => Outcome::Wrong,
                _ => Outcome::Failed,
            },
        }
    }
}

/// The way to one sidecar.
pub(super) struct Http {
    agent: Agent,
    url: String,
    token: Option<Secret>,
}

impl Http {
    pub(super) fn new(target: Target) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_WAIT))
            .build();
        Self { agent: config.new_agent(), url: target.url, token: target.token }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, AskError> {
        self.send("GET", path, None, READ_WAIT)
    }

    pub(super) fn put(&self, path: &str, body: &Value) -> Result<Value, AskError> {
        self.send("PUT", path, Some(body), COMMAND_WAIT)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, AskError> {
        self.send("POST", path, Some(body), COMMAND_WAIT)
    }

    /// The answer as a type of ours.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: &Value) -> Result<T, AskError> {
        T::deserialize(answer).map_err(|error| self.strange(error.to_string()))
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        wait: Duration,
    ) -> Result<Value, AskError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.expose()));
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let wrong = |error| AskError::Usage(format!("{} cannot be asked: {error}", self.url));
        let request = request.header("Content-Type", "application/json").body(text);
        let request = request.map_err(|error| wrong(error.to_string()))?;
        let request = self.agent.configure_request(request).timeout_global(Some(wait)).build();
        let silent = |error| AskError::Silent { url: self.url.clone(), source: Box::new(error) };
        self.answer(self.agent.run(request).map_err(silent)?)
    }

    fn answer(&self, mut response: Response<Body>) -> Result<Value, AskError> {
        let status = response.status();
        let text = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string();
        let text = text
            .map_err(|error| AskError::Silent { url: self.url.clone(), source: Box::new(error) })?;
        let body: Value = serde_json::from_str(&text)
            .map_err(|error| self.strange(format!("{status}, and the body is no JSON: {error}")))?;
        if status.is_success() {
            return Ok(body);
        }
        match body.get("error").and_then(Value::as_str).map(str::to_owned) {
            Some(text) => Err(AskError::Refused { status, text, body }),
            None => Err(self.strange(format!("{status}, and the body names no error"))),
        }
    }

    fn strange(&self, reason: String) -> AskError {
        AskError::Strange { url: self.url.clone(), reason }
    }
}

/// `text` as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
