//! Clients of Couchbase and of memcached, as their makers publish them, against one kvnode, and
//! their durable writes against three.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod durable;
mod trio;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Process, until_within};
use tempfile::TempDir;

/// How long a client may take, on a busy machine too.
const DEADLINE: Duration = Duration::from_secs(120);

/// What those who are not logged in, or select no bucket, may do; for clients older than buckets.
const FOR_OLD_CLIENTS: &str = "select_user_bucket = true\nanonymous_bucket = \"default\"\n";

/// Beside the build: the tree of sources has no place for what is downloaded.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools")
}

/// The Python in which `.ci/run` installs `requirements.txt`.
fn python() -> Option<PathBuf> {
    let python = tools().join("clients/bin/python");
    let modules = "import couchbase, bmemcached, pylibmc";
    let check = Command::new(&python).args(["-c", modules]).stderr(Stdio::null()).status();
    let has_all = check.is_ok_and(|status| status.success());
    if !has_all {
        eprintln!("skipped: no Python with tests/clients/requirements.txt; .ci/run installs it");
    }
    has_all.then_some(python)
}

/// The folder in which `.ci/run` installs `package.json`.
fn node_modules() -> Option<PathBuf> {
    let folder = tools().join("node-clients");
    let has_node = Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok();
    let has_all = has_node && folder.join("node_modules/couchbase/package.json").is_file();
    if !has_all {
        eprintln!("skipped: no node with tests/clients/package.json; .ci/run installs it");
    }
    has_all.then_some(folder)
}

/// A running node with two users; the name of one is that of the bucket.
struct Node {
    folder: TempDir,
    process: Process,
    port: String,
}

impl Node {
    async fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("password"), "password").unwrap();
        let user = |name: &str| {
            format!("[[user]]\nname = {name:?}\npassword = {{ file = \"password\" }}\n")
        };
        let config = format!(
            "listen = \"127.0.0.1:0\"\ndata = \"data\"\n{more}[[bucket]]\nname = \"default\"\n\
             vbuckets = 64\ndurability = \"buffered\"\n{}{}",
            user("Administrator"),
            user("default")
        );
        std::fs::write(path("node.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
        command.arg("--config").arg(path("node.toml")).arg("--port-file").arg(path("port"));
        let process = Process::start("node", folder.path(), &mut command);
        process.logs(&["bucket is ready"]).await;
        let port = std::fs::read_to_string(path("port")).unwrap().trim().to_owned();
        Self { folder, process, port }
    }

    /// The command that changes collections.
    fn collections(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
        command.args(["collections", "--node", &format!("127.0.0.1:{}", self.port), "--config"]);
        command.arg(self.folder.path().join("node.toml"));
        command
    }

    /// Creates the collections that the scripts of the SDKs know.
    async fn with_collections(self) -> Self {
        for more in [&["shop.orders"][..], &["shop.short", "--max-ttl", "100"]] {
            let mut command = self.collections();
            let (code, said) = self.run("collections", command.arg("--create").args(more)).await;
            assert_eq!(code, 0, "{said}");
        }
        self
    }

    /// See [`run`].
    async fn run(&self, name: &str, command: &mut Command) -> (i32, String) {
        run(self.folder.path(), name, command).await
    }

    /// See [`passes`].
    async fn passes(&mut self, script: &str, command: &mut Command) {
        passes(self.folder.path(), script, command).await;
        assert!(self.process.is_running(), "the node still runs");
    }
}

/// Runs a client to its end; returns its exit code and what it has said.
async fn run(folder: &Path, name: &str, command: &mut Command) -> (i32, String) {
    let mut client = Process::start(name, folder, command);
    until_within(DEADLINE, name, async || (!client.is_running()).then_some(())).await;
    (client.exit_code().await, client.out() + &client.log())
}

/// Runs a script of this folder, which must pass.
async fn passes(folder: &Path, script: &str, command: &mut Command) {
    let (code, said) = run(folder, script, command).await;
    assert_eq!(code, 0, "{script}:\n{said}");
    assert!(said.contains("ok  "), "{script} has run no case:\n{said}");
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

#[tokio::test]
async fn the_python_sdk_reads_writes_locks_counts_and_changes_parts() {
    let Some(python) = python() else { return };
    let mut node = Node::start("").await.with_collections().await;
    let mut command = Command::new(python);
    let collections = node.collections();
    command.arg(script("sdk.py")).arg(&node.port).arg(collections.get_program());
    node.passes("sdk.py", command.args(collections.get_args())).await;
}

#[tokio::test]
async fn the_node_sdk_reads_writes_locks_counts_and_changes_parts() {
    let Some(modules) = node_modules() else { return };
    let mut node = Node::start("").await.with_collections().await;
    let mut command = Command::new("node");
    command.arg(script("sdk.mjs")).arg(modules).arg(&node.port);
    node.passes("sdk.mjs", &mut command).await;
}

#[tokio::test]
async fn memcached_clients_find_the_bucket_of_their_user() {
    let mut node = Node::start(FOR_OLD_CLIENTS).await;
    if let Some(python) = python() {
        let mut command = Command::new(python);
        command.arg(script("memcached.py")).arg(&node.port);
        // Where a Debian has the mechanisms: pylibmc's own libsasl looks elsewhere.
        let mechanisms = format!("/usr/lib/{}-linux-gnu/sasl2", std::env::consts::ARCH);
        node.passes("memcached.py", command.env("SASL_PATH", mechanisms)).await;
    }
    if let Some(modules) = node_modules() {
        let mut command = Command::new("node");
        command.arg(script("memjs.mjs")).arg(modules).arg(&node.port);
        node.passes("memjs.mjs", &mut command).await;
    }
}

/// memccapable logs in nowhere. FLUSH is refused, as by kv_engine: it would empty a bucket.
#[tokio::test]
async fn memccapable_fails_at_flush_alone() {
    if Command::new("memccapable")
        .arg("-h")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("skipped: no memccapable; apt-get install libmemcached-tools");
        return;
    }
    let node = Node::start(FOR_OLD_CLIENTS).await;
    // It writes names to one stream and failures to the other one, on the same line.
    let both = "exec memccapable -h 127.0.0.1 -b -p \"$0\" 2>&1";
    let mut command = Command::new("sh");
    command.args(["-c", both, &node.port]);
    let (_, said) = node.run("memccapable", &mut command).await;
    let failed: Vec<_> = said.lines().filter(|line| line.contains("[FAIL]")).collect();
    let names: Vec<_> = failed.iter().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(names, ["binary flush", "binary flushq"], "{said}");
    assert!(said.contains("2 of 27 tests failed"), "{said}");
}
