//! The HTTP of `GET /metrics`, `/ready` and `/live`: one request for each connection.
//!
//! Everybody is a stranger here: when there are too many connections the oldest goes, so that
//! unfinished requests and idle connections do not keep out a scraper or a probe, which asks at
//! once.

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

use super::moving::Moving;
use super::page;
use crate::acceptor::Acceptor;
use crate::admission::{Door, Seat, SeatLimits};
use crate::blocking::disk;
use crate::context::Context;

/// Connections at a time, many more than there are scrapers: who floods the port must be this much
/// faster than one request to keep others out.
const CONNECTIONS_MAX: usize = 64;
/// The longest head of a request; those of scrapers have a few hundred bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long the head of a request may take.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// How long the next byte of an answer may take.
const STALL: Duration = Duration::from_secs(10);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// Runs until the node stops.
pub(crate) async fn serve(listener: TcpListener, node: Arc<Context>) {
    let acceptor = Acceptor::new(listener);
    let (total, of_network) = (CONNECTIONS_MAX, CONNECTIONS_MAX);
    let seats = SeatLimits { total, users: 0, strangers: total, of_network };
    let door = Arc::new(Door::new(seats, node.shutdown.clone()));
    let accepting = async {
        loop {
            let (stream, peer) = acceptor.next().await;
            let Some(seat) = door.enter(peer.ip()) else { continue };
            let node = Arc::clone(&node);
            tokio::spawn(async move {
                if let Err(error) = exchange(stream, &seat, &node).await {
                    debug!("metrics not served peer={peer} error={}", value(error));
                }
            });
        }
    };
    tokio::select! {
        () = node.shutdown.cancelled() => {}
        () = accepting => {}
    }
}

/// Serves one request, until its seat is lost or nothing moves. Its body, if it has one, is not
/// read.
async fn exchange(stream: TcpStream, seat: &Seat, node: &Context) -> hyper::Result<()> {
    let answer = |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), request.headers(), node);
        async { Ok::<_, Infallible>(answer) }
    };
    let (socket, moves) = Moving::new(stream);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        // A client may end its side of the connection once it has asked.
        .half_close(true)
        .title_case_headers(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(socket), service_fn(answer));
    tokio::select! {
        served = served => served,
        () = seat.lost().cancelled() => Ok(()),
        () = moves.stalled(STALL) => Ok(()),
    }
}

/// Why the node is not ready: a bucket that is not served. The reason may name files, and is left
/// out.
fn not_ready(node: &Context) -> Option<String> {
    let waiting = node.buckets.iter().find(|served| !served.bucket.is_ready())?;
    Some(format!("not ready: the warm-up of bucket {} is not done\n", waiting.bucket.name()))
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
        (&Method::GET | &Method::HEAD, "/live") => (StatusCode::OK, TEXT, "live\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/ready") => match not_ready(node) {
            None => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, why),
        },
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, TEXT, "there are /metrics, /ready and /live\n".to_owned())
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
