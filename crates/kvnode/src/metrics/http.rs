//! As much of an HTTP server as `GET /metrics` takes: one request a connection, with a deadline.

use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, warn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::page;
use crate::blocking::disk;
use crate::context::Context;

/// Requests at a time: a few who scrape. Others wait to be accepted.
const CONNECTIONS_MAX: usize = 16;
/// The longest head of a request; those of scrapers have a few hundred bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a request may take, from its first byte to the last of its answer.
const REQUEST_WAIT: Duration = Duration::from_secs(10);
/// How long the listener rests after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Runs until the node stops.
pub(crate) async fn serve(listener: TcpListener, node: Arc<Context>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = async {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let node = Arc::clone(&node);
                    tokio::spawn(async move {
                        match timeout(REQUEST_WAIT, exchange(stream, &node)).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => debug!("no metrics peer={peer} error={error}"),
                            Err(_) => debug!("no metrics peer={peer} error=too slow"),
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    warn!("cannot accept a request for metrics error={error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = node.shutdown.cancelled() => {}
        () = accepting => {}
    }
}

async fn exchange(mut stream: TcpStream, node: &Context) -> std::io::Result<()> {
    let mut head = Vec::new();
    let answer = loop {
        if let Some(request) = Request::read(&head) {
            break request.answer(node);
        }
        if (&mut stream).take(HEAD_BYTES_MAX as u64).read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// What is asked for.
#[derive(PartialEq, Eq, Debug)]
enum Request {
    Metrics,
    /// Another path.
    Unknown,
    /// Another method than GET.
    NotAllowed,
    /// No HTTP, or too much of it.
    Bad,
}

impl Request {
    /// `None` until the head is whole.
    fn read(head: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) if head.len() < HEAD_BYTES_MAX => return None,
            Ok(httparse::Status::Partial) | Err(_) => return Some(Self::Bad),
        }
        let path = request.path.and_then(|path| path.split('?').next());
        Some(match (request.method, path) {
            (Some("GET"), Some("/metrics")) => Self::Metrics,
            (Some("GET"), _) => Self::Unknown,
            _ => Self::NotAllowed,
        })
    }

    fn answer(&self, node: &Context) -> String {
        let (status, kind, body) = match self {
            Self::Metrics => match disk(|| page::text(node)) {
                Ok(text) => ("200 OK", OPEN_METRICS, text),
                Err(error) => {
                    error!("metrics cannot be written error={error}");
                    ("500 Internal Server Error", TEXT, "no metrics\n".to_owned())
                }
            },
            Self::Unknown => ("404 Not Found", TEXT, "there is /metrics\n".to_owned()),
            Self::NotAllowed => ("405 Method Not Allowed", TEXT, "GET only\n".to_owned()),
            Self::Bad => ("400 Bad Request", TEXT, "no request\n".to_owned()),
        };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_once_its_head_is_whole() {
        let whole = b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(Request::read(&whole[..length]), None, "{length}");
        }
        assert_eq!(Request::read(whole), Some(Request::Metrics));
    }

    #[test]
    fn nothing_else_is_served() {
        let read = |head: &str| Request::read(head.as_bytes());
        assert_eq!(read("GET / HTTP/1.1\r\n\r\n"), Some(Request::Unknown));
        assert_eq!(read("POST /metrics HTTP/1.1\r\n\r\n"), Some(Request::NotAllowed));
        assert_eq!(read("\u{80}\r\n"), Some(Request::Bad));
        let endless = "GET /".to_owned() + &"a".repeat(HEAD_BYTES_MAX);
        assert_eq!(read(&endless), Some(Request::Bad));
    }
}
