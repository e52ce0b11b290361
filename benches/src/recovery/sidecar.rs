//! dcp-proxy as a process, used over its admin API. Killed when dropped.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::server::{BUCKET, PASSWORD, USER, VBUCKETS, program, wait_for};

/// How long the program may take to start.
const START_WAIT: Duration = Duration::from_secs(20);
/// How long all streams may take.
const OPEN_WAIT: Duration = Duration::from_secs(120);

/// See the module.
pub(super) struct Sidecar {
    child: Child,
    admin: SocketAddr,
    /// The token that changes need.
    token: String,
}

/// The failures since the start of the process.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Failures {
    /// Streams that a node refused.
    pub(super) refusals: u64,
    /// Streams that failed or ended, for any reason.
    pub(super) streams: u64,
    /// Links that were lost or could not be opened.
    pub(super) links: u64,
}

impl Sidecar {
    /// Starts it between consumer and producer, without replication yet. Its log is written to
    /// `folder`.
    pub(super) fn start(
        folder: &Path,
        (consumer, producer): (SocketAddr, SocketAddr),
        limits: &str,
    ) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let login = format!("username = \"{USER}\"\npassword = \"{PASSWORD}\"\n");
        let text = format!(
            "[node]\nname = \"beta\"\naddress = \"{consumer}\"\n{login}\
             [[producer]]\nname = \"alpha\"\naddress = \"{producer}\"\n{login}\
             [[bucket]]\nname = \"{BUCKET}\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n[limits]\n{limits}\n"
        );
        fs::write(folder.join("proxy.toml"), text)?;
        let mut command = Command::new(program("dcp-proxy")?);
        command.current_dir(folder).args(["--admin-file", "admin"]);
        command.stderr(File::create(folder.join("log"))?).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).spawn()?;
        let admin = wait_for(START_WAIT, "the address of the admin API", || {
            let text = fs::read_to_string(folder.join("admin")).ok()?;
            text.trim_end().strip_prefix("http://")?.parse().ok()
        })?;
        // It is written before the address is.
        let session = fs::read_to_string(folder.join("proxy.state/session.json"))?;
        let session: Value = serde_json::from_str(&session)?;
        let token = session.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
        let sidecar = Self { child, admin, token };
        wait_for(START_WAIT, "the sidecar is ready", || {
            sidecar.ask("GET", "/ready", "").ok().filter(|(status, _)| *status == 200)
        })?;
        Ok(sidecar)
    }

    /// Replicates every vBucket, and returns when each stream is open.
    pub(super) fn replicate(&self) -> io::Result<()> {
        let body = format!("{{\"alpha\": \"0-{}\"}}", VBUCKETS - 1);
        self.change("replications", &body)
    }

    /// Sets the number of connections, and returns when each stream is open.
    pub(super) fn connections(&self, count: u8) -> io::Result<()> {
        self.change("connections", &format!("{{\"connections\": {count}}}"))
    }

    fn change(&self, what: &str, body: &str) -> io::Result<()> {
        let path = format!("/api/v1/buckets/{BUCKET}/{what}");
        let (status, answer) = self.ask("PUT", &path, body)?;
        if status == 200 && answer.get("open").and_then(Value::as_u64) == Some(VBUCKETS.into()) {
            return Ok(());
        }
        let text: String = answer.to_string().chars().take(600).collect();
        Err(io::Error::other(format!("PUT {path} {body}: {status} {text}")))
    }

    /// How many streams are open.
    pub(super) fn open(&self) -> io::Result<u64> {
        let (_, status) = self.ask("GET", "/api/v1/status", "")?;
        let open = status.pointer("/buckets/0/open").and_then(Value::as_u64);
        open.ok_or_else(|| {
            io::Error::other(format!("the number of open streams is missing: {status}"))
        })
    }

    /// Waits until all streams are open, or some are not.
    pub(super) fn wait_for_all_open(&self, all: bool) -> io::Result<()> {
        let what = if all { "all streams are open" } else { "the loss is noticed" };
        let is_so = |open| (open == u64::from(VBUCKETS)) == all;
        wait_for(OPEN_WAIT, what, || self.open().is_ok_and(is_so).then_some(()))
    }

    /// The failures since its start.
    pub(super) fn failures(&self) -> io::Result<Failures> {
        let (_, status) = self.ask("GET", "/api/v1/replications", "")?;
        let count = |list: &str, reason: Option<&str>| {
            let counts = status.pointer(&format!("/buckets/0/{list}")).and_then(Value::as_array);
            let counts = counts.into_iter().flatten().filter(|one| {
                reason.is_none() || one.get("reason").and_then(Value::as_str) == reason
            });
            counts.filter_map(|one| one.get("count").and_then(Value::as_u64)).sum()
        };
        Ok(Failures {
            refusals: count("stream_failures", Some("refused")),
            streams: count("stream_failures", None),
            links: count("link_failures", None),
        })
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.admin,
            self.token,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no answer of HTTP"))?;
        Ok((status, serde_json::from_str(body).map_err(io::Error::other)?))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
