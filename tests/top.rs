//! `dcp-proxy top` on a real terminal: it draws a real sidecar, says when that does not answer,
//! and gives the terminal back however it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use common::{Config, PATIENCE, Sidecar, until};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Action, LocalModes, Termios, Winsize, tcflow, tcgetattr, tcsetwinsize};
use tempfile::TempDir;
use vt100::Parser;

/// The size of the terminal.
const ROWS: u16 = 40;
const COLUMNS: u16 = 120;
/// What a shell has set: lines are edited, keys are shown.
const OF_A_SHELL: LocalModes = LocalModes::ICANON.union(LocalModes::ECHO);

/// A terminal with the program on it, which is killed when this is dropped.
struct Terminal {
    child: Child,
    /// The side of the person.
    person: File,
    /// The side of the program.
    program: File,
    before: Termios,
    output: Receiver<Vec<u8>>,
    screen: Parser,
}

impl Terminal {
    /// Starts `top` on a new terminal.
    fn start(folder: &Path, url: &str, environment: &[(&str, &str)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let program = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap());
        let program = program.unwrap();
        resize(&program, COLUMNS, ROWS);
        let before = tcgetattr(&program).unwrap();
        let mut command = top(folder, url);
        let stream = || Stdio::from(OwnedFd::from(program.try_clone().unwrap()));
        command.stdin(stream()).stdout(stream()).stderr(stream());
        command.env("TERM", "xterm").env("LANG", "C.UTF-8").envs(environment.iter().copied());
        let child = command.spawn().unwrap();
        let person = File::from(master);
        let (sender, output) = channel();
        let mut reader = person.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = Parser::new(cells(ROWS), cells(COLUMNS), 0);
        Self { child, person, program, before, output, screen }
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    fn until(&mut self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self.screen.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(part) = self.output.recv_timeout(left) else {
                panic!("not within {PATIENCE:?}: {what}:\n{}", self.screen.screen().contents())
            };
            self.screen.process(&part);
        }
    }

    /// Waits until all of these words are on the screen.
    #[track_caller]
    fn shows(&mut self, words: &[&str]) {
        self.until(&format!("it shows {words:?}"), |screen| {
            let text = screen.contents();
            words.iter().all(|word| text.contains(word))
        });
    }

    fn types(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).unwrap();
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    async fn exit(&mut self) -> ExitStatus {
        until("top ends", async || self.child.try_wait().unwrap()).await
    }

    /// Fails unless the terminal is as it was before the program.
    #[track_caller]
    fn assert_given_back(&mut self) {
        self.until("the terminal is given back", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        let after = tcgetattr(&self.program).unwrap();
        assert!(self.before.local_modes.contains(OF_A_SHELL), "{:?}", self.before);
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
        assert_eq!(after.output_modes, self.before.output_modes);
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.program).unwrap().local_modes.intersects(OF_A_SHELL)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has exited already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

fn resize(terminal: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}

fn top(folder: &Path, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    for name in ["RUST_LOG", "DCP_PROXY_TOKEN", "NO_COLOR", "LC_ALL", "LC_CTYPE"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args(["top", "--admin", url]);
    command
}

/// A sidecar between two data nodes inside it, and the address of its admin API.
async fn sidecar(folder: &TempDir) -> (Sidecar, String) {
    let sidecar = Sidecar::start(folder.path(), &Config::demonstration(8, 100));
    let line = sidecar.process.logs(&["admin API listens", "url="]).await;
    let url = line.split_once("url=").unwrap().1.to_owned();
    (sidecar, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_draws_a_sidecar_follows_keys_and_gives_the_terminal_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_sidecar, url) = sidecar(&folder).await;
    let mut terminal = Terminal::start(folder.path(), &url, &[]);
    terminal.shows(&[
        "ready",
        "everything is replicated",
        "default/alpha#0",
        "vBuckets of default",
    ]);
    terminal.shows(&["oooooooo", "embedded alpha at", "streams-settled"]);
    assert!(terminal.is_raw() && terminal.screen.screen().alternate_screen());
    terminal.types("2l\r");
    terminal.shows(&["vb:1 of default", "stream open", "active here: no"]);
    terminal.types("/nothing like it\r");
    terminal.shows(&["links: 0 of 1", "the filter hides all links"]);
    terminal.types("?");
    terminal.shows(&["top only reads", "takeover, move, pause"]);
    terminal.types("?");
    terminal.types("\r");
    // Another size: what stood beside the grid has no room.
    resize(&terminal.program, 80, 24);
    terminal.screen.screen_mut().set_size(cells(24), cells(80));
    terminal.until("it is drawn anew", |screen| !screen.contents().contains("nodes \u{2500}"));
    terminal.shows(&["links: 0 of 1", "? help  q quit"]);
    terminal.types("q");
    assert_eq!(terminal.exit().await.code(), Some(0));
    terminal.assert_given_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_hangs_or_is_gone_is_shown_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let (mut sidecar, url) = sidecar(&folder).await;
    let mut terminal = Terminal::start(folder.path(), &url, &[]);
    terminal.shows(&["everything is replicated"]);
    sidecar.process.signal("STOP");
    terminal.shows(&["NO ANSWER from the sidecar since", "as it was then", "no answer within"]);
    sidecar.process.signal("CONT");
    terminal.until("it answers again", |screen| !screen.contents().contains("NO ANSWER"));
    sidecar.process.kill_9();
    terminal.shows(&["NO ANSWER from the sidecar since", "Connection refused", "asked again"]);
    // What is known stays.
    terminal.shows(&["default/alpha#0", "oooooooo"]);
    terminal.signal("TERM");
    assert_eq!(terminal.exit().await.code(), Some(0));
    terminal.assert_given_back();
}

/// Nothing listens there: a port that was free a moment ago, and is taken by nobody who answers.
fn nobody() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_give_the_terminal_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, url) = nobody();
    for name in ["HUP", "INT", "TERM"] {
        let mut terminal = Terminal::start(folder.path(), &url, &[]);
        terminal.shows(&["NO ANSWER from the sidecar since", "no answer within"]);
        terminal.signal(name);
        assert_eq!(terminal.exit().await.code(), Some(0), "{name}");
        terminal.assert_given_back();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_gives_the_terminal_back_and_its_text_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, url) = nobody();
    let panics = [(failpoint::VARIABLE, "top-panics")];
    let mut terminal = Terminal::start(folder.path(), &url, &panics);
    assert!(!terminal.exit().await.success());
    terminal.assert_given_back();
    terminal.shows(&["panicked at", "a test asked for it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_takes_no_output_keeps_it_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, url) = nobody();
    let mut terminal = Terminal::start(folder.path(), &url, &[]);
    terminal.shows(&["waiting for the first answer"]);
    // As by Ctrl-S in a terminal that has it. The next drawing blocks.
    tcflow(&terminal.program, Action::OOff).unwrap();
    terminal.signal("TERM");
    terminal.exit().await;
    let after = tcgetattr(&terminal.program).unwrap();
    assert_eq!(after.local_modes, terminal.before.local_modes, "keys are shown again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_gone_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, url) = nobody();
    let mut terminal = Terminal::start(folder.path(), &url, &[]);
    terminal.shows(&["waiting for the first answer"]);
    let nothing = || File::open("/dev/null").unwrap();
    drop(std::mem::replace(&mut terminal.person, nothing()));
    drop(std::mem::replace(&mut terminal.program, nothing()));
    // The thread that reads has a copy of the side of the person: it ends with the last byte.
    terminal.signal("HUP");
    terminal.exit().await;
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, url) = nobody();
    let run = |more: &[&str]| {
        let mut command = top(folder.path(), &url);
        let output = command.args(more).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = run(&[]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.starts_with("top needs a terminal"), "{err}");
    assert!(err.contains("use dcp-proxy status --watch"), "{err}");
    let (code, out, _err) = run(&["--json"]);
    assert_eq!(code, Some(2));
    assert!(out.contains("use dcp-proxy status --watch --json"), "{out}");
}
