//! Bad days of containers: each environment in which both programs have to work, or to say what
//! they need. What this machine does not permit is skipped with a message.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use common::{Config, FakeNode, Process, until};

const SIDECAR: &str = env!("CARGO_BIN_EXE_dcp-proxy");
const NODE: &str = env!("CARGO_BIN_EXE_kvnode");

/// Environments in which everything works: a shell line that runs `"$@"` in the folder `$FOLDER`,
/// of which `data` is a writable volume.
const WORKS: [(&str, &str); 8] = [
    ("no variables, no home, no terminal", r#"exec env -i "$@""#),
    (
        "a user that nobody knows",
        r#"exec setpriv --reuid 54321 --regid 54321 --clear-groups env -u HOME "$@""#,
    ),
    ("no /proc", r#"exec unshare -r -m sh -c 'mount -t tmpfs none /proc && exec "$@"' sh "$@""#),
    ("no /sys", r#"exec unshare -r -m sh -c 'mount -t tmpfs none /sys && exec "$@"' sh "$@""#),
    (
        "everything read-only but the data",
        r#"exec unshare -r -m sh -c 'mount --bind "$0" "$0" && mount --bind "$0/data" "$0/data" &&
           mount -o remount,bind,ro "$0" && cd "$0" && exec "$@"' "$FOLDER" "$@""#,
    ),
    ("a working directory that is gone", r#"mkdir gone; cd gone; rmdir ../gone; exec "$@""#),
    ("standard streams that are closed", r#"exec "$@" <&- >&- 2>&-"#),
    ("four gigabytes of addresses", r#"ulimit -v 4000000; exec "$@""#),
];

/// Little memory in all: a cgroup of version 1 or 2. Signals do not reach the program.
const LITTLE_MEMORY: (&str, &str) = (
    "64 MiB of memory",
    r#"top=/sys/fs/cgroup/memory; file=memory.limit_in_bytes
       [ -d "$top" ] || { top=/sys/fs/cgroup; file=memory.max; }
       own=$top/dcp-proxy-test-$$; mkdir "$own" || exit 1; code=1
       if echo 64M > "$own/$file"; then
           sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$own" "$@"; code=$?
       fi
       rmdir "$own"; exit $code"#,
);

fn in_environment(folder: &Path, line: &str, program: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh"]).args(program).env("FOLDER", folder).current_dir(folder);
    command
}

/// Whether this machine permits the environment; says so otherwise.
fn is_permitted(folder: &Path, name: &str, line: &str) -> bool {
    let test = ["test", "-x", SIDECAR, "-a", "-x", NODE];
    let output = in_environment(folder, line, &test).output().unwrap();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        eprintln!("skipped: {name}: not permitted here, or the programs cannot be read: {why}");
    }
    output.status.success()
}

/// A folder that anybody may write to, with a demonstration in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let demonstration = Config::demonstration(8, 50);
    let text = format!("{}[state]\ndirectory = \"data/state\"\n", demonstration.as_str());
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("proxy.toml"), text).unwrap();
    std::fs::write(folder.path().join("password"), "secret").unwrap();
    for (name, mode) in [("", 0o777), ("data", 0o777), ("proxy.toml", 0o644), ("password", 0o644)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path().join(name), mode).unwrap();
    }
    folder
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// The arguments of a data node with its data in `data`, and its port in a file there.
fn node(folder: &Path) -> Vec<String> {
    let own = |name| path(folder, name);
    let words = [NODE, "--listen", "127.0.0.1:0", "--bucket", "default:8", "--username", "u"];
    let mut words: Vec<_> = words.map(str::to_owned).into();
    words.extend(["--data".to_owned(), own("data/node"), "--port-file".to_owned()]);
    words.extend([own("data/port"), "--password-file".to_owned(), own("password")]);
    words
}

#[tokio::test]
async fn a_sidecar_with_its_own_nodes_replicates_in_each_of_them() {
    for (name, line) in WORKS.into_iter().chain([LITTLE_MEMORY]) {
        let folder = folder();
        if !is_permitted(folder.path(), name, line) {
            continue;
        }
        let config = path(folder.path(), "proxy.toml");
        let program = [SIDECAR, "--config", &config, "--once"];
        let mut command = in_environment(folder.path(), line, &program);
        let mut process = Process::start("sidecar", folder.path(), &mut command);
        let code = process.exit_code().await;
        assert_eq!(code, 0, "{name}: {}{}", process.out(), process.log());
        let is_heard = !line.contains(">&-");
        assert!(!is_heard || process.out().contains("identical, 51 rows"), "{}", process.out());
        process.assert_quiet(&[]);
    }
}

#[tokio::test]
async fn a_data_node_serves_and_stops_in_each_of_them() {
    for (name, line) in WORKS {
        let folder = folder();
        if !is_permitted(folder.path(), name, line) {
            continue;
        }
        let program = node(folder.path());
        let program: Vec<_> = program.iter().map(String::as_str).collect();
        let mut command = in_environment(folder.path(), line, &program);
        let mut process = Process::start("node", folder.path(), &mut command);
        until(&format!("{name}: the port is told"), async || {
            assert!(process.is_running(), "{name}: {}", process.log());
            folder.path().join("data/port").exists().then_some(())
        })
        .await;
        process.signal("TERM");
        assert_eq!(process.exit_code().await, 0, "{name}: {}", process.log());
        process.assert_quiet(&[]);
    }
}

/// Environments in which a program cannot work, and what it says then.
const REFUSED: [(&str, &str, &str); 2] = [
    (
        "data that is read-only",
        r#"exec unshare -r -m sh -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" &&
           cd "$0" && exec "$@"' "$FOLDER" "$@""#,
        "Read-only file system",
    ),
    (
        "a disk that is full",
        r#"exec unshare -r -m sh -c 'mount -t tmpfs -o size=16k none "$0/data" &&
           dd if=/dev/zero of="$0/data/full" bs=16k count=1 2>/dev/null
           exec "$@"' "$FOLDER" "$@""#,
        "No space left on device",
    ),
];

#[tokio::test]
async fn what_cannot_work_says_what_it_needs_and_where() {
    for (name, line, words) in REFUSED {
        let folder = folder();
        if !is_permitted(folder.path(), name, line) {
            continue;
        }
        let config = path(folder.path(), "proxy.toml");
        let sidecar = [SIDECAR, "--config", &config].map(str::to_owned).to_vec();
        for program in [sidecar, node(folder.path())] {
            let program: Vec<_> = program.iter().map(String::as_str).collect();
            let mut command = in_environment(folder.path(), line, &program);
            let mut process = Process::start("program", folder.path(), &mut command);
            assert_ne!(process.exit_code().await, 0, "{name}: {}", process.log());
            let last = process.log().lines().last().unwrap_or_default().to_owned();
            let data = path(folder.path(), "data");
            assert!(last.contains(words) && last.contains(&data), "{name}: {last}");
        }
    }
}

#[tokio::test]
async fn a_sidecar_whose_state_cannot_be_written_runs_and_says_so() {
    let (name, line, words) = REFUSED[0];
    let folder = folder();
    if !is_permitted(folder.path(), name, line) {
        return;
    }
    let (alpha, beta) = (FakeNode::start("alpha").await, FakeNode::start("beta").await);
    let config = Config::new(&beta.endpoint, &alpha.endpoint, "0");
    std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
    let mut command = in_environment(folder.path(), line, &[SIDECAR]);
    let mut process = Process::start("sidecar", folder.path(), &mut command);
    process.logs(&["WARN", "changes at run time cannot be kept", words, "proxy.state"]).await;
    process.logs(&["admin API listens"]).await;
    process.signal("TERM");
    assert_eq!(process.exit_code().await, 0, "{}", process.log());
}

#[tokio::test]
async fn a_change_that_a_full_disk_cannot_keep_is_refused_with_the_remedy() {
    let (name, line, words) = REFUSED[1];
    let folder = folder();
    if !is_permitted(folder.path(), name, line) {
        return;
    }
    let (alpha, beta) = (FakeNode::start("alpha").await, FakeNode::start("beta").await);
    let text = Config::new(&beta.endpoint, &alpha.endpoint, "0")
        .as_str()
        .replace("[admin]", "[state]\ndirectory = \"data/state\"\n[admin]\ntoken = \"for tests\"");
    std::fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let mut command = in_environment(folder.path(), line, &[SIDECAR]);
    let mut process = Process::start("sidecar", folder.path(), &mut command);
    let listens = process.logs(&["admin API listens"]).await;
    let (_, url) = listens.split_once("url=").unwrap();
    let mut pause = Command::new(SIDECAR);
    pause.args(["pause", "default", "0", "--admin", url]).current_dir(folder.path());
    pause.env("DCP_PROXY_TOKEN", "for tests");
    let mut pause = Process::start("pause", folder.path(), &mut pause);
    assert_eq!(pause.exit_code().await, 1, "{}", pause.out());
    let said = pause.log();
    assert!(said.contains(words) && said.contains("free space on its disk"), "{said}");
    process.signal("TERM");
    assert_eq!(process.exit_code().await, 0, "{}", process.log());
}

#[tokio::test]
async fn as_process_1_of_a_container_signals_stop_both_programs() {
    let line = r#"exec unshare -r --pid --fork --mount-proc "$@""#;
    let folder = folder();
    if !is_permitted(folder.path(), "process 1", line) {
        return;
    }
    let config = path(folder.path(), "proxy.toml");
    let sidecar = [SIDECAR, "--config", &config].map(str::to_owned).to_vec();
    for (program, ready) in [(sidecar, "admin API listens"), (node(folder.path()), "is ready")] {
        let program: Vec<_> = program.iter().map(String::as_str).collect();
        let mut command = in_environment(folder.path(), line, &program);
        let mut process = Process::start("first", folder.path(), &mut command);
        process.logs(&[ready]).await;
        let own = process.id();
        let children = format!("/proc/{own}/task/{own}/children");
        let child = std::fs::read_to_string(children).unwrap().trim().to_owned();
        let kill = Command::new("kill").args(["-TERM", &child]).status().unwrap();
        assert!(kill.success(), "{child}");
        assert_eq!(process.exit_code().await, 0, "{}", process.log());
    }
}
