//! Strangers who hold connections to the admin API, as many as they can get: the probes of
//! supervisors are answered all the same (openshift/origin#12846).

use std::time::Duration;

use dcp_proxy::admin::Admin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::common::until;
use crate::config;
use crate::http::Http;

/// More than there are places.
const STRANGERS: usize = 330;
/// The patience of a supervisor.
const PROBE_WAIT: Duration = Duration::from_secs(3);

async fn strangers(admin: &Admin, bytes: &[u8]) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..STRANGERS {
        let mut stream = TcpStream::connect(admin.address()).await.unwrap();
        // One that was closed to make room for a later one is no failure.
        _ = stream.write_all(bytes).await;
        held.push(stream);
    }
    held
}

#[tokio::test]
async fn probes_are_answered_while_strangers_hold_every_place() {
    let (stop, mut held) = (CancellationToken::new(), Vec::new());
    let admin = Admin::start(&config("listen = \"127.0.0.1:0\"").sources, &stop).unwrap();
    let http = Http::to(admin.address());
    let unfinished: [&[u8]; 3] = [b"", b"GET /live HTTP/1.1\r\nX: ", b"GET /live HTTP/1.1\r\n\r\n"];
    for bytes in unfinished {
        held.push(strangers(&admin, bytes).await);
        for path in ["/live", "/metrics", "/ready"] {
            let answered = timeout(PROBE_WAIT, http.text(path)).await;
            let (head, _) = answered.unwrap_or_else(|_| panic!("{path} after {bytes:?}"));
            assert!(head.starts_with("HTTP/1.1 "), "{head}");
        }
    }
    admin.stop().await;
}

#[tokio::test]
async fn an_unfinished_head_has_a_deadline() {
    let stop = CancellationToken::new();
    let admin = Admin::start(&config("listen = \"127.0.0.1:0\"").sources, &stop).unwrap();
    let mut stream = TcpStream::connect(admin.address()).await.unwrap();
    stream.write_all(b"GET /live HT").await.unwrap();
    let mut answer = Vec::new();
    let closed = until("the connection is closed", async || {
        stream.read_buf(&mut answer).await.map_or(Some(()), |bytes| (bytes == 0).then_some(()))
    });
    closed.await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    admin.stop().await;
}
