//! A small HTTP server that plays a sidecar: a function from requests to answers. It closes each
//! connection after its answer, and ends when dropped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request, as far as the tests look at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    /// Method and path, such as `GET /api/v1/status`.
    pub(crate) line: String,
    /// The header `If-Match`.
    pub(crate) if_match: Option<String>,
    /// The header `Authorization`.
    pub(crate) token: Option<String>,
    /// Null where there is none.
    pub(crate) body: Value,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) etag: Option<&'static str>,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, etag: None, body }
    }

    /// The same at a revision of the bucket.
    pub(crate) fn at(self, etag: &'static str) -> Self {
        Self { etag: Some(etag), ..self }
    }

    pub(crate) fn error(status: u16, text: &str) -> Self {
        Self { status, etag: None, body: json!({ "error": text }) }
    }

    /// The answer to a path that a sidecar does not have.
    pub(crate) fn no_such_path(request: &Request) -> Self {
        let path = request.line.split([' ', '?']).nth(1).unwrap();
        Self::error(404, &format!("no such path: {path}"))
    }
}

/// A played sidecar.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it. `answer` may block, requests come in parallel.
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, ended) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (log, end) = (Arc::clone(&asked), Arc::clone(&ended));
        let answer = Arc::new(answer);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (log, answer, stream) =
                    (Arc::clone(&log), Arc::clone(&answer), stream.unwrap());
                std::thread::spawn(move || serve(&stream, &log, answer.as_ref()));
            }
        });
        Self { address, asked, ended, thread: Some(thread) }
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The requests that were not reads.
    pub(crate) fn commands(&self) -> Vec<Request> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|request| !request.line.starts_with("GET ")).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

fn serve(mut stream: &TcpStream, log: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Reply) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let Some(request) = read(stream) else { return };
    log.lock().unwrap().push(request.clone());
    let Reply { status, etag, body } = answer(&request);
    let etag = etag.map(|etag| format!("ETag: {etag}\r\n")).unwrap_or_default();
    let body = body.to_string();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{etag}Content-Length: {length}\r\n");
    let head = head + "Content-Type: application/json\r\nConnection: close\r\n\r\n";
    // The client may have gone.
    _ = stream.write_all((head + &body).as_bytes());
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut lines, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        lines.push(line.trim().to_owned());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let header = |wanted: &str| {
        lines.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let (if_match, token) = (header("if-match"), header("authorization"));
    let line = lines[0].strip_suffix(" HTTP/1.1").unwrap().to_owned();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Request { line, if_match, token, body })
}
