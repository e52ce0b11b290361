//! One shell that runs blocks of a page one after the other, as a reader who pastes them.
//!
//! It runs in an empty folder that stands for the checked-out project: `target/release` there holds
//! the programs under test, and `cargo` builds nothing. Ports of the page give way to free ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::blocks::{Block, Note};
use super::shape;

/// A reader's patience with one session, in seconds.
const DEADLINE_S: u32 = 50;
/// Precedes the number of a block in the output.
const MARK: char = '\u{1e}';
/// Settings that make a failure visible sooner than a reader sees it, and keep the log short.
const BRISK: [(&str, &str); 2] =
    [("DCP_PROXY__LIMITS__STALL_MS", "5000"), ("DCP_PROXY__LIMITS__LAG_INTERVAL_MS", "250")];
/// Ends the jobs of the shell, the last one first, so that a sidecar can close its streams.
const PRELUDE: &str = r#"
cargo() {
  case $1 in
    build) ;;
    run) shift; [ "$1" != --release ] || shift; [ "$1" != -- ] || shift
         if [ "$BASHPID" = $$ ]; then dcp-proxy "$@"; else exec dcp-proxy "$@"; fi ;;
    *) echo "no cargo $1 in a document that is run" >&2; return 1 ;;
  esac
}
end() {
  set +e
  for job in $(jobs -p | tac); do kill -CONT $job; kill $job; wait $job; done 2>/dev/null
}
trap end EXIT
trap 'exit 1' TERM
set -e
"#;

/// Blocks of one page that one shell runs.
pub(crate) struct Session<'a> {
    /// What another page has the reader do before.
    pub(crate) before: Option<&'a Block>,
    /// The blocks in their order: those that run, each followed by what it prints.
    pub(crate) blocks: Vec<&'a Block>,
}

/// What a session has written.
pub(crate) struct Output {
    pub(crate) out: String,
    pub(crate) log: String,
}

impl Session<'_> {
    /// Runs it; panics with the page's line where a block fails or prints something else.
    pub(crate) fn run(&self, page: &str) -> Output {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("project");
        furnish(&folder);
        let ports = Ports::of(&format!("{} 127.0.0.1:4870", self.script()));
        fs::write(top.path().join("session.sh"), ports.replace(&self.script())).unwrap();
        let output = |name| fs::File::create(top.path().join(name)).unwrap();
        let mut shell = Command::new("timeout");
        shell.args(["--kill-after=5", &DEADLINE_S.to_string(), "bash", "../session.sh"]);
        shell.current_dir(&folder).env_remove("RUST_LOG").process_group(0);
        shell.stdin(Stdio::null()).stdout(output("out")).stderr(output("log")).envs(BRISK);
        shell.env("DCP_PROXY__ADMIN__LISTEN", ports.replace("127.0.0.1:4870"));
        let mut shell = shell.spawn().unwrap();
        let status = shell.wait().unwrap();
        end_group(shell.id());
        let read = |name| {
            let bytes = fs::read(top.path().join(name)).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let output = Output { out: read("out"), log: read("log") };
        let last = output.out.rsplit(MARK).next().and_then(|rest| rest.lines().next());
        let last = last.unwrap_or_default();
        assert!(
            status.success(),
            "{page}:{last}: the block fails ({status}):\n{}\n--- standard error:\n{}",
            output.out,
            output.log
        );
        self.compare(page, &output.out);
        output
    }

    fn all(&self) -> impl Iterator<Item = &Block> {
        self.before.iter().chain(&self.blocks).copied()
    }

    fn script(&self) -> String {
        let mut script = PRELUDE.to_owned();
        script.push_str("PATH=\"$PWD/target/release:$PATH\"\n");
        for block in self.all().filter(|block| block.note != Some(Note::Prints)) {
            let text = block.text.trim_end();
            if let Some(Note::File(name)) = &block.note {
                script.push_str(&format!("cat > {name} <<'END OF FILE'\n{text}\nEND OF FILE\n"));
                continue;
            }
            let mark = format!("printf '\\036{}\\n'", block.line);
            script.push_str(&format!("{mark}; {mark} >&2\n"));
            match block.note {
                Some(Note::Background) => script.push_str(&format!("{{\n{text}\n}} &\n")),
                Some(Note::ExitCode(code)) => script.push_str(&format!(
                    "set +e\n{text}\ncode=$?\nset -e\n[ $code = {code} ] || {{ echo \"exit code \
                     $code, and not {code}\" >&2; exit 1; }}\n"
                )),
                _ => script.push_str(&format!("{text}\n")),
            }
        }
        script
    }

    /// Compares what blocks print with what the page shows.
    #[track_caller]
    fn compare(&self, page: &str, out: &str) {
        let mut ran = None;
        for block in &self.blocks {
            if block.note != Some(Note::Prints) {
                ran = Some(block.line);
            } else if let Some(line) = ran {
                let mark = format!("{MARK}{line}\n");
                let real = out.split_once(&mark).map_or("", |(_, rest)| rest);
                let real = real.split(MARK).next().unwrap_or_default();
                if let Some(mismatch) = shape::mismatch(&block.text, real) {
                    panic!("{page}:{}: {mismatch}", block.line);
                }
            }
        }
    }
}

/// Kills what is left of the process group of a shell that has ended.
fn end_group(leader: u32) {
    let kill = format!("kill -KILL -{leader} 2>/dev/null");
    let _ = Command::new("sh").args(["-c", &kill]).status();
}

/// Makes what a checked-out and built project has.
fn furnish(folder: &Path) {
    let built = Path::new(env!("CARGO_BIN_EXE_dcp-proxy")).parent().unwrap();
    fs::create_dir_all(folder.join("target")).unwrap();
    symlink(built, folder.join("target/release")).unwrap();
    symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), folder.join("tests")).unwrap();
    let shipped = include_str!("../../proxy.toml");
    let small = shipped.replace("documents = 100_000", "documents = 2_000");
    assert_ne!(shipped, small, "the sample documents of proxy.toml");
    fs::write(folder.join("proxy.toml"), small).unwrap();
}

/// A free port for each port of loopback in a text.
struct Ports(BTreeMap<u16, u16>);

impl Ports {
    fn of(text: &str) -> Self {
        let named: BTreeSet<u16> = places(text).map(|(_, port)| port).collect();
        // Bound until each has one, so that no two get the same.
        let bound = named.into_iter().map(|port| (port, TcpListener::bind("127.0.0.1:0").unwrap()));
        let bound: Vec<_> = bound.collect();
        let free = |listener: &TcpListener| listener.local_addr().unwrap().port();
        Self(bound.iter().map(|(port, listener)| (*port, free(listener))).collect())
    }

    fn replace(&self, text: &str) -> String {
        let (mut replaced, mut from) = (String::new(), 0);
        for (range, port) in places(text) {
            replaced.push_str(&text[from..range.start]);
            replaced.push_str(&self.0[&port].to_string());
            from = range.end;
        }
        replaced + &text[from..]
    }
}

/// The ports of loopback in a text, with their places; 0 is none.
fn places(text: &str) -> impl Iterator<Item = (Range<usize>, u16)> {
    text.match_indices("127.0.0.1").filter_map(|(at, host)| {
        let rest = &text[at + host.len()..];
        // Of an address, or of a pair in Python.
        let before = [":", "\", "].into_iter().find(|between| rest.starts_with(between))?.len();
        let digits = rest[before..].find(|c: char| !c.is_ascii_digit());
        let start = at + host.len() + before;
        let end = digits.map_or(text.len(), |digits| start + digits);
        let port = text[start..end].parse().ok().filter(|port| *port > 0)?;
        Some((start..end, port))
    })
}

#[test]
fn ports_of_loopback_are_replaced_as_a_whole() {
    let text = "127.0.0.1:487 127.0.0.1:4870, (\"127.0.0.1\", 487) 127.0.0.1:0 10.0.0.1:487";
    let ports = Ports([(487, 4870), (4870, 1)].into());
    let want = "127.0.0.1:4870 127.0.0.1:1, (\"127.0.0.1\", 4870) 127.0.0.1:0 10.0.0.1:487";
    assert_eq!(ports.replace(text), want);
}
