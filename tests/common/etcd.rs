//! An etcd of Debian's `etcd-server`, on free loopback ports and in a temporary folder.
//!
//! Tests speak to it through its HTTP gateway, not through the client under test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use relay::testing::{Authority, Identity};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use super::{Process, until};

/// How often a start is tried: another process may take a port between its choice and its use.
const STARTS_MAX: usize = 5;

/// A running etcd, or one that was killed and can be started again.
pub struct Etcd {
    process: Process,
    folder: TempDir,
    ports: Ports,
    flags: Vec<String>,
    agent: Agent,
    token: Option<String>,
}

#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    tls: u16,
    peer: u16,
}

/// The program `etcd`, if it is installed; else says that the test is skipped.
pub fn etcd_program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|it| it.join("etcd")).find(|it| it.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no etcd; apt-get install etcd-server");
    }
    found
}

impl Etcd {
    /// Starts one without authentication and TLS; `None` where the program is missing.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one that also listens with TLS, for clients with a certificate of `authority`.
    pub async fn with_tls(authority: &Authority, server: &Identity) -> Option<Self> {
        let file = |path: &Path| path.to_str().unwrap().to_owned();
        let certificate = format!("--cert-file={}", file(&server.certificate));
        let key = format!("--key-file={}", file(&server.key));
        let trusted = format!("--trusted-ca-file={}", file(&authority.file));
        Self::start_with(&[&certificate, &key, &trusted, "--client-cert-auth=true"]).await
    }

    /// Starts one with more flags.
    pub async fn start_with(flags: &[&str]) -> Option<Self> {
        let program = etcd_program()?;
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(5)))
            .build()
            .new_agent();
        for _ in 0..STARTS_MAX {
            let (ports, folder) = (Ports::free(), tempfile::tempdir().unwrap());
            let process = spawn(&program, folder.path(), ports, &flags);
            let (flags, agent) = (flags.clone(), agent.clone());
            let mut etcd = Self { process, folder, ports, flags, agent, token: None };
            if etcd.comes_up().await {
                return Some(etcd);
            }
        }
        panic!("etcd did not start {STARTS_MAX} times")
    }

    /// Waits until it serves or ends.
    async fn comes_up(&mut self) -> bool {
        until("etcd serves or ends", async || {
            if !self.process.is_running() {
                return Some(false);
            }
            self.is_up().then_some(true)
        })
        .await
    }

    fn is_up(&self) -> bool {
        let url = format!("http://{}/health", self.endpoint());
        let answer = self.agent.get(url).call();
        answer.is_ok_and(|mut it| {
            it.body_mut().read_to_string().is_ok_and(|body| body.contains(r#""health":"true""#))
        })
    }

    /// Its address, `host:port`.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.ports.client)
    }

    /// Its address with TLS.
    pub fn tls_endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.ports.tls)
    }

    /// Kills it; what it has acknowledged is on disk.
    pub fn kill(&mut self) {
        self.process.kill_9();
    }

    /// Starts it again, at the same ports.
    pub async fn restart(&mut self) {
        let program = etcd_program().unwrap();
        self.process = spawn(&program, self.folder.path(), self.ports, &self.flags);
        assert!(self.comes_up().await, "etcd starts again");
    }

    /// Stops it from answering, without closing its connections.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// Writes a key and returns the revision.
    pub fn put(&self, key: &str, value: &str) -> i64 {
        let body = json!({ "key": BASE64.encode(key), "value": BASE64.encode(value) });
        revision(&self.call("kv/put", &body))
    }

    /// Deletes a key and returns the revision.
    pub fn delete(&self, key: &str) -> i64 {
        revision(&self.call("kv/deleterange", &json!({ "key": BASE64.encode(key) })))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<String> {
        let answer = self.call("kv/range", &json!({ "key": BASE64.encode(key) }));
        let value = answer["kvs"][0]["value"].as_str()?;
        Some(String::from_utf8(BASE64.decode(value).unwrap()).unwrap())
    }

    /// Waits until the value of a key is as wanted, and returns it.
    pub async fn value(&self, key: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        until(&format!("{key} in etcd is as wanted"), async || {
            let value: Value = serde_json::from_str(&self.get(key)?).ok()?;
            is_wanted(&value).then_some(value)
        })
        .await
    }

    /// Forgets what was before a revision.
    pub fn compact(&self, revision: i64) {
        self.call("kv/compaction", &json!({ "revision": revision, "physical": true }));
    }

    /// Ends all leases, as if their owners were gone for long.
    pub fn revoke_leases(&self) {
        let leases = self.call("lease/leases", &json!({}));
        for lease in leases["leases"].as_array().into_iter().flatten() {
            self.call("lease/revoke", &json!({ "ID": lease["ID"] }));
        }
    }

    /// Requires a login: `root`, and a user who may read and write these ranges of keys.
    pub fn require_login(&mut self, user: &str, password: &str, grants: &[(&str, &str)]) {
        for name in ["root", user] {
            self.call("auth/user/add", &json!({ "name": name, "password": password }));
            self.call("auth/role/add", &json!({ "name": name }));
            self.call("auth/user/grant", &json!({ "user": name, "role": name }));
        }
        for (kind, prefix) in grants {
            let end = format!("{}0", prefix.trim_end_matches('/'));
            let perm = json!({
                "permType": kind, "key": BASE64.encode(prefix), "range_end": BASE64.encode(end),
            });
            self.call("auth/role/grant", &json!({ "name": user, "perm": perm }));
        }
        self.call("auth/enable", &json!({}));
        self.login(password);
    }

    /// Takes a new token for the calls of this harness.
    pub fn login(&mut self, password: &str) {
        self.token = None;
        let body = json!({ "name": "root", "password": password });
        self.token = self.call("auth/authenticate", &body)["token"].as_str().map(str::to_owned);
    }

    fn call(&self, method: &str, body: &Value) -> Value {
        let url = format!("http://{}/v3/{method}", self.endpoint());
        let mut request = self.agent.post(url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", token);
        }
        let mut answer = request.send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(answer.status().is_success(), "{method} {body}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

impl Ports {
    fn free() -> Self {
        let listeners = [0; 3].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
        let [client, tls, peer] = listeners.map(|it| it.local_addr().unwrap().port());
        Self { client, tls, peer }
    }
}

fn spawn(program: &Path, folder: &Path, ports: Ports, flags: &[String]) -> Process {
    let mut clients = format!("http://127.0.0.1:{}", ports.client);
    if flags.iter().any(|flag| flag.starts_with("--cert-file")) {
        clients += &format!(",https://127.0.0.1:{}", ports.tls);
    }
    let peer = format!("http://127.0.0.1:{}", ports.peer);
    let mut command = Command::new(program);
    // Variables of the service of the machine are not for this one.
    command.env_clear().env("ETCD_UNSUPPORTED_ARCH", "arm64");
    command.args(["--name=test", "--data-dir"]).arg(folder.join("data"));
    command.arg(format!("--listen-client-urls={clients}"));
    command.arg(format!("--advertise-client-urls={clients}"));
    command.arg(format!("--listen-peer-urls={peer}"));
    command.arg(format!("--initial-advertise-peer-urls={peer}"));
    command.arg(format!("--initial-cluster=test={peer}"));
    command.args(["--bcrypt-cost=4", "--log-level=error"]).args(flags);
    Process::start("etcd", folder, &mut command)
}

/// The revision in the header of an answer, which the gateway writes as a text.
fn revision(answer: &Value) -> i64 {
    answer["header"]["revision"].as_str().unwrap().parse().unwrap()
}
