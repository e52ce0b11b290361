//! A client that can misbehave: any header, half a body, an early disconnect.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::nodes::PATIENCE;

/// The client of one server.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    address: SocketAddr,
    token: Option<String>,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Answer {
    /// The error text, which every failed request has.
    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        let error = self.body["error"].as_str();
        error.unwrap_or_else(|| panic!("no error text: {self:?}"))
    }
}

impl Http {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, token: None }
    }

    /// The same, with the session token where a request needs it.
    pub(crate) fn with(address: SocketAddr, token: Option<String>) -> Self {
        Self { address, token }
    }

    /// The token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn put(&self, path: &str, body: &str) -> Answer {
        self.ask("PUT", path, &[], body).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[], body).await
    }

    /// A request with these headers besides `Host`, unless they bring their own.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (head, body) = whole(self.send(method, path, headers, body).await).await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        for header in ["cache-control: no-store", "x-content-type-options: nosniff"] {
            let has = head.lines().filter(|line| line.eq_ignore_ascii_case(header)).count();
            assert_eq!(has, 1, "{method} {path}: {header} in {head}");
        }
        let body = serde_json::from_str(&body).unwrap_or_else(|e| panic!("no JSON, {e}: {body}"));
        Answer { status, head: head.to_lowercase(), body }
    }

    /// The head, and a body that is not JSON.
    pub(crate) async fn text(&self, path: &str) -> (String, String) {
        self.text_as(path, &[]).await
    }

    /// The same with these headers.
    pub(crate) async fn text_as(&self, path: &str, headers: &[(&str, &str)]) -> (String, String) {
        whole(self.send("GET", path, headers, "").await).await
    }

    /// The head of the answer to a HEAD, which has no body.
    pub(crate) async fn head(&self, path: &str) -> String {
        let (head, body) = whole(self.send("HEAD", path, &[], "").await).await;
        assert_eq!(body, "", "{head}");
        head.to_lowercase()
    }

    /// Sends a request and returns its stream, so that the caller may also disconnect.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text += &format!("Host: {}\r\n", self.address);
        }
        let is_given = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case("authorization");
        if let Some(token) = &self.token
            && !matches!(method, "GET" | "HEAD")
            && !headers.iter().any(is_given)
        {
            text += &format!("Authorization: Bearer {token}\r\n");
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

/// Head and body of an answer, read up to its end.
async fn whole(mut stream: TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer").unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}
