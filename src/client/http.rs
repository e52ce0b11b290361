//! Sends requests to the admin API and waits for the answers, with deadlines. Without proxies and
//! redirects, so that the token is sent only to the address that was given.

use std::fmt::Write as _;
use std::time::Duration;

use relay::Secret;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{Request, Response, StatusCode};
use ureq::{Agent, Body, BodyReader};

use super::error::AskError;
use super::sidecar::Sidecar;
use super::views::Status;

/// The deadline to connect.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// The deadline of a request that only reads, which the sidecar answers without waiting.
const READ_WAIT: Duration = Duration::from_secs(20);
/// The longest answer that is read: 300 bytes for each of 1,024 streams, for 200 buckets.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The type of every answer but the streams.
const JSON: &str = "application/json";
const STREAM: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

/// The client of one sidecar.
#[derive(Clone)]
pub(super) struct Http {
    agent: Agent,
    url: String,
    token: Option<Secret>,
    spare: Option<Secret>,
    hint: Option<String>,
}

/// A request.
#[derive(Clone)]
pub(super) struct Call {
    method: &'static str,
    path: String,
    body: Option<Value>,
    revision: Option<String>,
}

impl Call {
    pub(super) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, revision: None }
    }

    pub(super) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Has the sidecar refuse the request if the bucket is not at this revision any more.
    pub(super) fn only_at(self, revision: Option<String>) -> Self {
        Self { revision, ..self }
    }
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Value,
    /// The revision of the bucket that it is about, as `If-Match` takes it.
    pub(super) revision: Option<String>,
}

impl Http {
    pub(super) fn new(sidecar: Sidecar) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_WAIT))
            .build();
        let Sidecar { url, token, spare, hint } = sidecar;
        Self { agent: config.new_agent(), url, token, spare, hint }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, AskError> {
        self.send(&Call::new("GET", path), Some(READ_WAIT)).map(|reply| reply.body)
    }

    /// Sends a request that the sidecar answers immediately.
    pub(super) fn quick(&self, call: &Call) -> Result<Reply, AskError> {
        self.send(call, Some(READ_WAIT))
    }

    /// Sends a command on a thread of its own, without a total deadline: the sidecar has one for
    /// each step. `answered` gets the answer; if nobody waits for it, the process exits, and the
    /// thread with it.
    pub(super) fn start(
        &self,
        call: Call,
        answered: impl FnOnce(Result<Reply, AskError>) + Send + 'static,
    ) {
        let http = self.clone();
        std::thread::spawn(move || answered(http.send(&call, None)));
    }

    /// Whether moves of a bucket run or wait.
    pub(super) fn is_moving(&self, bucket: &str) -> bool {
        let status = self.get("/api/v1/status").and_then(|answer| self.read::<Status>(&answer));
        let buckets = status.map(|status| status.buckets).unwrap_or_default();
        buckets.iter().any(|found| found.bucket == bucket && found.moving > 0)
    }

    /// The answer to a command does not arrive.
    pub(super) fn lost(&self) -> AskError {
        AskError::Lost { url: self.url.clone() }
    }

    /// Parses an answer.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: &Value) -> Result<T, AskError> {
        T::deserialize(answer).map_err(|error| self.unexpected(error.to_string()))
    }

    /// Reads a list where the path has other forms too.
    pub(super) fn get_list(&self, path: &str) -> Result<Value, AskError> {
        self.list_within(path, READ_WAIT)
    }

    /// The same with another deadline.
    pub(super) fn list_within(&self, path: &str, wait: Duration) -> Result<Value, AskError> {
        let response = self.request(&Call::new("GET", path), Some(JSON), Some(wait))?;
        self.answer(response).map(|reply| reply.body)
    }

    /// Reads an answer without end. An error of the sidecar is one here too.
    pub(super) fn stream(&self, path: &str) -> Result<BodyReader<'static>, AskError> {
        self.open(&Call::new("GET", path), STREAM).map(|(body, _)| body)
    }

    /// The same for the lines that a command answers with, and the path of what runs meanwhile.
    pub(super) fn lines(
        &self,
        call: &Call,
    ) -> Result<(BodyReader<'static>, Option<String>), AskError> {
        self.open(call, LINES)
    }

    fn open(
        &self,
        call: &Call,
        accept: &str,
    ) -> Result<(BodyReader<'static>, Option<String>), AskError> {
        let response = self.request(call, Some(accept), None)?;
        if response.status().is_success() {
            let place = response.headers().get("Location").and_then(|it| it.to_str().ok());
            let place = place.filter(|path| path.starts_with('/')).map(str::to_owned);
            return Ok((response.into_body().into_reader(), place));
        }
        let status = response.status();
        self.answer(response)?;
        Err(self.unexpected(format!("{status} with a good answer")))
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The token that is sent, if there is one.
    pub(super) const fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Why there is no token, where a file should have it.
    pub(super) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn send(&self, call: &Call, wait: Option<Duration>) -> Result<Reply, AskError> {
        self.answer(self.request(call, None, wait)?)
    }

    fn request(
        &self,
        call: &Call,
        accept: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<Response<Body>, AskError> {
        let response = self.request_as(self.token.as_ref(), call, accept, wait)?;
        match &self.spare {
            // Whoever is refused has done nothing.
            Some(spare) if response.status() == StatusCode::UNAUTHORIZED => {
                self.request_as(Some(spare), call, accept, wait)
            }
            _ => Ok(response),
        }
    }

    fn request_as(
        &self,
        token: Option<&Secret>,
        call: &Call,
        accept: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<Response<Body>, AskError> {
        let Call { method, path, body, revision } = call;
        let mut request = Request::builder().method(*method).uri(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {}", token.expose()));
        }
        if let Some(revision) = revision {
            request = request.header("If-Match", revision);
        }
        if let Some(accept) = accept {
            request = request.header("Accept", accept);
        }
        let text = body.as_ref().map(Value::to_string).unwrap_or_default();
        let wrong = |error| AskError::Usage(format!("invalid request to {}: {error}", self.url));
        let request = request.header("Content-Type", "application/json").body(text);
        let request = request.map_err(|error| wrong(error.to_string()))?;
        // A stream has no end, but it has a beginning.
        let head = accept.filter(|accept| *accept != JSON).map(|_| READ_WAIT);
        let request = self.agent.configure_request(request).timeout_global(wait);
        let request = request.timeout_recv_response(head).build();
        self.agent.run(request).map_err(|error| self.silent(error))
    }

    fn answer(&self, mut response: Response<Body>) -> Result<Reply, AskError> {
        let status = response.status();
        let revision = response.headers().get("ETag").and_then(|tag| tag.to_str().ok());
        let revision = revision.map(str::to_owned);
        let text = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string();
        let text = text.map_err(|error| self.silent(error))?;
        let body: Value = serde_json::from_str(&text).map_err(|error| {
            self.unexpected(format!("{status}, and the body is not JSON: {error}"))
        })?;
        if status.is_success() {
            return Ok(Reply { body, revision });
        }
        match body.get("error").and_then(Value::as_str).map(str::to_owned) {
            Some(mut text) => {
                if let Some(hint) =
                    self.hint.as_ref().filter(|_| status == StatusCode::UNAUTHORIZED)
                {
                    _ = write!(text, "; {hint}");
                }
                Err(AskError::Refused { status, text, body })
            }
            None => Err(self.unexpected(format!("{status}, and the body has no error text"))),
        }
    }

    fn silent(&self, error: ureq::Error) -> AskError {
        AskError::Silent { url: self.url.clone(), source: Box::new(error) }
    }

    pub(super) fn unexpected(&self, reason: String) -> AskError {
        AskError::Unexpected { url: self.url.clone(), reason }
    }
}
