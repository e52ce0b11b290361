//! Requests to the admin API of a sidecar.

use serde_json::{Value, json};

use crate::common::{Sidecar, until};

/// The admin API of a running sidecar.
pub(crate) struct Api {
    url: String,
    token: Option<String>,
}

/// The status and the body of an answer.
pub(crate) type Answer = (u16, Value);

impl Api {
    pub(crate) async fn of(sidecar: &Sidecar) -> Self {
        let line = sidecar.process.logs(&["admin API listens", "url="]).await;
        let url = line.split_once("url=").unwrap().1.to_owned();
        Self { url, token: sidecar.token() }
    }

    /// The same with a token that is configured.
    pub(crate) fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask_if(method, path, body, None).await
    }

    /// The same, if the bucket has this revision.
    pub(crate) async fn ask_if(
        &self,
        method: &str,
        path: &str,
        body: Value,
        revision: Option<u64>,
    ) -> Answer {
        self.try_ask(method, path, body, revision).await.unwrap()
    }

    /// `None` where the sidecar ends before it has answered.
    pub(crate) async fn try_ask(
        &self,
        method: &str,
        path: &str,
        body: Value,
        revision: Option<u64>,
    ) -> Option<Answer> {
        let (url, method) = (format!("{}{path}", self.url), method.to_owned());
        let token = self.token.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let agent = ureq::Agent::new_with_config(
                ureq::Agent::config_builder().http_status_as_error(false).build(),
            );
            let mut request = ureq::http::Request::builder().method(method.as_str()).uri(&url);
            if let Some(token) = token {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            if let Some(revision) = revision {
                request = request.header("If-Match", format!("\"{revision}\""));
            }
            let body = if method == "GET" { String::new() } else { body.to_string() };
            let mut answer = agent.run(request.body(body).unwrap()).ok()?;
            Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
        });
        let (status, text) = answer.await.unwrap()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, json!(null)).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The only bucket in `GET /api/v1/desired`.
    pub(crate) async fn desired(&self) -> Value {
        self.get("/api/v1/desired").await["buckets"][0].clone()
    }

    /// What is replicated of the only bucket.
    pub(crate) async fn in_force(&self) -> Value {
        self.desired().await["in_force"].clone()
    }

    /// What the replication itself has as its map.
    pub(crate) async fn replicated(&self) -> Value {
        self.get("/api/v1/replications").await["buckets"][0]["desired"].clone()
    }

    /// Waits until these vBuckets are wanted, and all of them are open.
    pub(crate) async fn settles(&self, map: Value) {
        until(&format!("{map} is open"), async || {
            let status = self.get("/api/v1/status").await["buckets"][0].clone();
            let done = self.replicated().await == map && status["open"] == status["wanted"];
            done.then_some(())
        })
        .await;
    }
}
