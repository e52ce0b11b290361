//! The HTTP of `GET /metrics`: one request for each connection, with a deadline.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use exposition::Format;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use log::{debug, error};
use logline::value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::page;
use crate::acceptor::Acceptor;
use crate::blocking::disk;
use crate::context::Context;

/// Requests at a time, enough for a few scrapers. Others wait to be accepted.
const CONNECTIONS_MAX: usize = 16;
/// The longest head of a request; those of scrapers have a few hundred bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a request may take, from the connection to the last byte of the answer.
const REQUEST_WAIT: Duration = Duration::from_secs(10);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// Runs until the node stops.
pub(crate) async fn serve(listener: TcpListener, node: Arc<Context>) {
    let acceptor = Acceptor::new(listener);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = async {
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            let (stream, peer) = acceptor.next().await;
            let node = Arc::clone(&node);
            tokio::spawn(async move {
                match timeout(REQUEST_WAIT, exchange(stream, &node)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        debug!("metrics not served peer={peer} error={}", value(error))
                    }
                    Err(late) => debug!("metrics not served peer={peer} error={}", value(late)),
                }
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = node.shutdown.cancelled() => {}
        () = accepting => {}
    }
}

/// Serves one request. Its body, if it has one, is not read.
async fn exchange(stream: TcpStream, node: &Context) -> hyper::Result<()> {
    let answer = |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), request.headers(), node);
        async { Ok::<_, Infallible>(answer) }
    };
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        // A client may end its side of the connection once it has asked.
        .half_close(true)
        .title_case_headers(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await
}

/// The server leaves out the body of an answer to HEAD, and keeps its length.
fn answer(method: &Method, path: &str, headers: &HeaderMap, node: &Context) -> Response<String> {
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::negotiate(accept);
    let (status, kind, body) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => match disk(|| page::text(node, format)) {
            Ok(text) => (StatusCode::OK, HeaderValue::from_static(format.content_type()), text),
            Err(error) => {
                error!("metrics cannot be written error={}", value(error));
                (StatusCode::INTERNAL_SERVER_ERROR, TEXT, "no metrics\n".to_owned())
            }
        },
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, TEXT, "there is /metrics\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, METHODS);
    }
    response
}
