//! Sends requests to the admin API and waits for the answers, with deadlines. Without proxies and
//! redirects, so that the token is sent only to the address that was given.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use relay::Secret;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body, BodyReader};

use super::error::AskError;
use super::sidecar::Sidecar;
use super::views::Status;

/// The deadline to connect.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// The deadline of a request that only reads, which the sidecar answers without waiting.
const READ_WAIT: Duration = Duration::from_secs(20);
/// How often the status is read while the answer to a command is awaited.
const LOOK: Duration = Duration::from_secs(10);
/// How many readings in a row may show no move in progress, or fail, before the answer to a move is
/// given up.
const MOVE_LOOKS_MAX: u32 = 3;
/// The same for a change, whose deadlines in the sidecar may add up to an hour.
const CHANGE_LOOKS_MAX: u32 = 360;
/// The longest answer that is read: 300 bytes for each of 1,024 streams, for 200 buckets.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The type of every answer but the streams.
const JSON: &str = "application/json";
const STREAM: &str = "text/event-stream";
/// What is escaped in a segment of a path: all but the unreserved characters of RFC 3986.
const SEGMENT_ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The client of one sidecar.
#[derive(Clone)]
pub(super) struct Http {
    agent: Agent,
    url: String,
    token: Option<Secret>,
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
        Self { agent: config.new_agent(), url: sidecar.url, token: sidecar.token }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, AskError> {
        self.send("GET", path, None, Some(READ_WAIT))
    }

    /// Reads a list where the path has other forms too.
    pub(super) fn get_list(&self, path: &str) -> Result<Value, AskError> {
        self.answer(self.request("GET", path, None, Some(JSON), Some(READ_WAIT))?)
    }

    /// Reads an answer without end. An error of the sidecar is one here too.
    pub(super) fn stream(&self, path: &str) -> Result<BodyReader<'static>, AskError> {
        let response = self.request("GET", path, None, Some(STREAM), None)?;
        if response.status().is_success() {
            return Ok(response.into_body().into_reader());
        }
        let status = response.status();
        self.answer(response)?;
        Err(self.unexpected(format!("{status} with a good answer")))
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a change that takes effect immediately.
    pub(super) fn put(&self, path: &str, body: &Value) -> Result<Value, AskError> {
        self.send("PUT", path, Some(body), Some(READ_WAIT))
    }

    /// Sends a change of a bucket, which waits for the moves that were requested before it.
    pub(super) fn change(
        &self,
        method: &'static str,
        path: &str,
        body: &Value,
        bucket: &str,
    ) -> Result<Value, AskError> {
        self.command(method, path, body, bucket, CHANGE_LOOKS_MAX)
    }

    /// Sends moves of a bucket.
    pub(super) fn moves(&self, path: &str, body: &Value, bucket: &str) -> Result<Value, AskError> {
        self.command("POST", path, body, bucket, MOVE_LOOKS_MAX)
    }

    /// Sends a command without a total deadline: the sidecar has one for each step, and its status
    /// is read while the answer is awaited.
    fn command(
        &self,
        method: &'static str,
        path: &str,
        body: &Value,
        bucket: &str,
        looks_max: u32,
    ) -> Result<Value, AskError> {
        let (answered, answer) = sync_channel(1);
        let (http, path, body) = (self.clone(), path.to_owned(), body.clone());
        // If the answer is given up, the process exits, and the thread with it.
        std::thread::spawn(move || answered.send(http.send(method, &path, Some(&body), None)));
        let lost = || Err(AskError::Lost { url: self.url.clone() });
        wait(&answer, LOOK, looks_max, || self.is_moving(bucket)).unwrap_or_else(lost)
    }

    fn is_moving(&self, bucket: &str) -> bool {
        let status = self.get("/api/v1/status").and_then(|answer| self.read::<Status>(&answer));
        let buckets = status.map(|status| status.buckets).unwrap_or_default();
        buckets.iter().any(|found| found.bucket == bucket && found.moving > 0)
    }

    /// Parses an answer.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: &Value) -> Result<T, AskError> {
        T::deserialize(answer).map_err(|error| self.unexpected(error.to_string()))
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        wait: Option<Duration>,
    ) -> Result<Value, AskError> {
        self.answer(self.request(method, path, body, None, wait)?)
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        accept: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<Response<Body>, AskError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.expose()));
        }
        if let Some(accept) = accept {
            request = request.header("Accept", accept);
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let wrong = |error| AskError::Usage(format!("invalid request to {}: {error}", self.url));
        let request = request.header("Content-Type", "application/json").body(text);
        let request = request.map_err(|error| wrong(error.to_string()))?;
        // A stream has no end, but it has a beginning.
        let head = accept.filter(|accept| *accept == STREAM).map(|_| READ_WAIT);
        let request = self.agent.configure_request(request).timeout_global(wait);
        let request = request.timeout_recv_response(head).build();
        let silent = |error| AskError::Silent { url: self.url.clone(), source: Box::new(error) };
        self.agent.run(request).map_err(silent)
    }

    fn answer(&self, mut response: Response<Body>) -> Result<Value, AskError> {
        let status = response.status();
        let text = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string();
        let text = text
            .map_err(|error| AskError::Silent { url: self.url.clone(), source: Box::new(error) })?;
        let body: Value = serde_json::from_str(&text).map_err(|error| {
            self.unexpected(format!("{status}, and the body is not JSON: {error}"))
        })?;
        if status.is_success() {
            return Ok(body);
        }
        match body.get("error").and_then(Value::as_str).map(str::to_owned) {
            Some(text) => Err(AskError::Refused { status, text, body }),
            None => Err(self.unexpected(format!("{status}, and the body has no error text"))),
        }
    }

    fn unexpected(&self, reason: String) -> AskError {
        AskError::Unexpected { url: self.url.clone(), reason }
    }
}

/// Waits for an answer while `is_moving` returns true. Returns `None` once it has returned false
/// `looks_max` times in a row.
fn wait<T>(
    answer: &Receiver<T>,
    every: Duration,
    looks_max: u32,
    is_moving: impl Fn() -> bool,
) -> Option<T> {
    let mut idle_looks = 0;
    while idle_looks < looks_max {
        match answer.recv_timeout(every) {
            Ok(answer) => return Some(answer),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) if is_moving() => idle_looks = 0,
            Err(RecvTimeoutError::Timeout) => idle_looks += 1,
        }
    }
    None
}

/// `text` as one segment of a path.
pub(super) fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, SEGMENT_ESCAPED)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    #[test]
    fn an_answer_is_awaited_while_something_moves_and_given_up_when_nothing_does() {
        let (answered, answer) = sync_channel(1);
        let looks = Cell::new(0_u32);
        let moves = || {
            looks.set(looks.get() + 1);
            if looks.get() == 9 {
                answered.send("done").unwrap();
            }
            // One look of three finds that something moves.
            looks.get().is_multiple_of(3)
        };
        assert_eq!((wait(&answer, TICK, 3, moves), looks.get()), (Some("done"), 9));
        looks.set(0);
        let idle = || {
            looks.set(looks.get() + 1);
            false
        };
        assert_eq!((wait(&answer, TICK, 3, idle), looks.get()), (None, 3));
        drop(answered);
        assert_eq!(wait(&answer, TICK, 3, || true), None, "nobody is left who could answer");
    }
}
