//! A data node whose configuration file changes: at SIGHUP, and by itself in the ways of editors
//! and Kubernetes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{Process, scrape, until};
use mcbp::dcp::{Open, open_flags};
use mcbp::{FrameBuilder, HEADER_BYTES, Header, Opaque, Opcode};
use relay::{Client, Deadlines, Endpoint, Login, Secret};
use rustix::fs::{Mode, OFlags};

/// A node with the configuration `node.toml` of a folder, which may be a link.
struct Node {
    folder: tempfile::TempDir,
    process: Process,
    address: String,
    metrics: String,
}

/// A file with one user; `more` is added at its end.
fn toml(folder: &Path, user: &str, more: &str) -> String {
    let (data, password) = (folder.join("data"), folder.join("p"));
    format!(
        "listen = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\ndata = {data:?}\n[[bucket]]\n\
         name = \"default\"\nvbuckets = 8\n[[user]]\nname = {user:?}\n\
         password = {{ file = {password:?} }}\n{more}"
    )
}

impl Node {
    /// Starts it once `write` has put its file into the folder.
    async fn start(write: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("p"), "1").unwrap();
        write(folder.path());
        let file = |name: &str| folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
        command.arg("--config").arg(file("node.toml")).arg("--port-file").arg(file("port"));
        let process = Process::start("node", folder.path(), &mut command);
        process.logs(&["bucket is ready"]).await;
        let line = process.logs(&["metrics on http://"]).await;
        let (_, url) = line.split_once("http://").unwrap();
        let metrics = url.split_once('/').unwrap().0.to_owned();
        let port = fs::read_to_string(file("port")).unwrap();
        let address = format!("127.0.0.1:{}", port.trim());
        Self { folder, process, address, metrics }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("node.toml")
    }

    /// Renames a new file over the old one.
    fn replace(&self, text: &str) {
        let new = self.folder.path().join("new.toml");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    async fn knows(&self, user: &str) -> bool {
        let endpoint = Endpoint::new("node", &self.address, user, Secret::new("1"));
        let deadlines = Deadlines::default();
        let login = Login { bucket: Some("default"), agent: "test", features: &[], deadlines };
        Client::connect(&endpoint, login).await.is_ok()
    }

    /// The sample of a metric.
    fn metric(&self, name: &str) -> u64 {
        let page = scrape(&self.metrics);
        let mut lines = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        lines.next().unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
    }

    fn reloads(&self, result: &str) -> u64 {
        self.metric(&format!("kvnode_config_reloads_total{{result=\"{result}\"}}"))
    }

    async fn has_reloaded(&self, result: &str, times: u64) {
        let what = format!("{times} reloads: {result}");
        until(&what, async || (self.reloads(result) >= times).then_some(())).await;
    }

    async fn stop(mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit_code().await, 0);
    }

    /// Resident kilobytes and open descriptors.
    fn held(&self) -> (u64, usize) {
        let folder = format!("/proc/{}", self.process.id());
        let status = fs::read_to_string(format!("{folder}/status")).unwrap();
        let mut lines = status.lines().filter_map(|line| line.strip_prefix("VmRSS:"));
        let resident = lines.next().unwrap().trim().trim_end_matches(" kB").parse().unwrap();
        (resident, fs::read_dir(format!("{folder}/fd")).unwrap().count())
    }
}

#[tokio::test]
async fn a_changed_file_is_applied_and_a_bad_one_is_not() {
    let write = |folder: &Path| {
        fs::write(folder.join("node.toml"), toml(folder, "one", "")).unwrap();
    };
    let node = Node::start(write).await;
    let text = |user: &str, more: &str| toml(node.folder.path(), user, more);
    let started = node.metric("kvnode_config_last_reload_success_timestamp_seconds");
    assert!(node.metric("kvnode_config_last_reload_successful") == 1 && started > 1_700_000_000);
    assert_eq!((node.reloads("success"), node.reloads("failure")), (0, 0));

    node.replace(&text("two", "[limits]\nauthentication_s = 7\nworker_threads = 64\n"));
    let words = ["INFO", "configuration read again", "cause=file", "applied=\"user one: removed, "];
    let line = node.process.logs(&words).await;
    assert!(line.contains("user two: added, limits: authentication_s\""), "{line}");
    let words = ["WARN", "changed settings need a restart", "settings=\"limits: worker_threads\""];
    node.process.logs(&words).await;
    assert_eq!((node.knows("one").await, node.knows("two").await), (false, true));
    assert_eq!((node.reloads("success"), node.reloads("failure")), (1, 0));

    let last = node.metric("kvnode_config_last_reload_success_timestamp_seconds");
    let bad = [
        (text("three", "[limits]\nauthentication_s = 0\n"), "0 is out of range"),
        (text("three", "[[bucket]]\nname = \"default\"\n"), "default"),
        (text("three", "").replace("[[user]]", "[[unknown]]"), "unknown"),
        (text("three", "").split("[[user]]").next().unwrap().to_owned(), " user"),
    ];
    for (number, (text, problem)) in (1..).zip(&bad) {
        node.replace(text);
        node.has_reloaded("failure", number).await;
        let words = ["ERROR", "the old one stays", "cause=file", problem];
        node.process.logs(&words).await;
        assert_eq!(node.metric("kvnode_config_last_reload_successful"), 0);
    }
    assert_eq!((node.knows("two").await, node.knows("three").await), (true, false));
    assert_eq!(node.metric("kvnode_config_last_reload_success_timestamp_seconds"), last);
    fs::remove_file(node.file()).unwrap();
    node.has_reloaded("failure", 5).await;
    assert!(node.process.logged(&["target=notify"]).is_none());
    fs::write(node.file(), text("four", "")).unwrap();
    node.has_reloaded("success", 2).await;
    assert_eq!(node.metric("kvnode_config_last_reload_successful"), 1);
    assert!(node.knows("four").await);
    node.stop().await;
}

#[tokio::test]
async fn links_swapped_as_kubernetes_does_are_followed() {
    let swap = |folder: &Path, version: &str| {
        let new = folder.join(version);
        fs::create_dir(&new).unwrap();
        fs::write(new.join("node.toml"), toml(folder, version, "")).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    let node = Node::start(|folder| {
        swap(folder, "..1");
        symlink("..data/node.toml", folder.join("node.toml")).unwrap();
    });
    let node = node.await;
    for (number, version) in (1..).zip(["..2", "..3"]) {
        swap(node.folder.path(), version);
        node.has_reloaded("success", number).await;
        assert!(node.knows(version).await, "{version}");
    }
    node.stop().await;
}

/// Connections of this user: an idle one, and one that has opened DCP.
fn connections(address: &str, user: &str, password: &str) -> [TcpStream; 2] {
    let login = format!("\0{user}\0{password}");
    let open = Open { name: user.as_bytes(), flags: open_flags::PRODUCER, value: b"" };
    let open = open.build(Opaque(0));
    [None, Some(open)].map(|open| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let auth = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN").value(login.as_bytes());
        let select = FrameBuilder::request(Opcode::SELECT_BUCKET).key(b"default");
        for request in [Some(auth.build()), Some(select.build()), open].into_iter().flatten() {
            stream.write_all(&request).unwrap();
            let mut answer = vec![0; HEADER_BYTES];
            stream.read_exact(&mut answer).unwrap();
            let header = Header::peek(&answer).unwrap().unwrap();
            assert!(header.status().is_success(), "{header:?}");
            stream.read_exact(&mut vec![0; header.frame_bytes() - HEADER_BYTES]).unwrap();
        }
        stream
    })
}

#[tokio::test]
async fn connections_of_removed_users_and_old_passwords_are_closed() {
    let user = |name: &str, password: &str| {
        format!("[[user]]\nname = {name:?}\npassword = {{ file = {password:?} }}\n")
    };
    let write = |folder: &Path| {
        fs::write(folder.join("q"), "old").unwrap();
        let [p, q] = ["p", "q"].map(|name| folder.join(name).display().to_string());
        let more = user("gone", &p) + &user("changed", &q);
        fs::write(folder.join("node.toml"), toml(folder, "stays", &more)).unwrap();
    };
    let node = Node::start(write).await;
    let stay = connections(&node.address, "stays", "1");
    let mut closed = [("gone", "1"), ("changed", "old")]
        .map(|(name, password)| connections(&node.address, name, password));
    let q = node.folder.path().join("q");
    fs::write(&q, "new").unwrap();
    let more = user("changed", &q.display().to_string());
    node.replace(&toml(node.folder.path(), "stays", &more));
    node.process.logs(&["configuration read again", "closed_connections=4"]).await;
    for stream in closed.as_flattened_mut() {
        // A producer may have sent a NOOP before.
        assert!(stream.read_to_end(&mut Vec::new()).is_ok());
    }
    for stream in stay {
        stream.set_nonblocking(true).unwrap();
        let left = stream.peek(&mut [0]);
        assert_ne!(left.ok(), Some(0), "connections of other users stay");
    }
    node.process.logs(&["dcp connection closed, its user is gone", "connection=gone"]).await;
    node.stop().await;
}

#[tokio::test]
async fn a_password_file_that_blocks_its_reader_does_not_keep_the_node_from_stopping() {
    let write = |folder: &Path| {
        fs::write(folder.join("node.toml"), toml(folder, "one", "")).unwrap();
    };
    let node = Node::start(write).await;
    let pipe = node.folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text = toml(node.folder.path(), "one", "").replace("/p\"", "/pipe\"");
    node.replace(&text);
    node.process.signal("HUP");
    // It has the pipe open for reading, or has refused to.
    let mut held = None;
    until("the reload", async || {
        held = rustix::fs::open(&pipe, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()).ok();
        (held.is_some() || node.process.logged(&["the old one stays"]).is_some()).then_some(())
    })
    .await;
    node.stop().await;
}

/// `KVNODE_RELOADS=1000` for more rounds.
#[tokio::test]
async fn many_reloads_are_flat() {
    let rounds = std::env::var("KVNODE_RELOADS").map_or(200, |rounds| rounds.parse().unwrap());
    let write = |folder: &Path| {
        fs::write(folder.join("node.toml"), toml(folder, "one", "")).unwrap();
    };
    let node = Node::start(write).await;
    let text = |round: u64| {
        let user = if round.is_multiple_of(2) { "one" } else { "two" };
        toml(node.folder.path(), user, &format!("[limits]\nauthentication_s = {}\n", 1 + round))
    };
    let mut first = None;
    for round in 1..=rounds {
        // The notification of the new file may come as well, and then changes nothing.
        node.replace(&text(round));
        node.process.signal("HUP");
        node.has_reloaded("success", round).await;
        if round == rounds / 4 {
            first = Some(node.held());
        }
    }
    let ((first_kib, first_fds), (kib, fds)) = (first.unwrap(), node.held());
    assert!(fds <= first_fds + 2, "{fds} descriptors, after a quarter {first_fds}");
    assert!(kib < first_kib + 4096, "{kib} KiB, after a quarter {first_kib}");
    assert_eq!(node.reloads("failure"), 0);
    node.stop().await;
}
