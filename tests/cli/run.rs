//! Runs the program, and waits with deadlines.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::Server;

/// The deadline of every wait, far longer than needed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The output of a subcommand.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("no JSON, {e}: {self:?}"))
    }

    /// The whole, to compare with a snapshot; without what differs from run to run.
    pub(crate) fn shown(&self, line: &str, server: &Server) -> String {
        let Self { code, out, err } = self;
        let code = code.unwrap();
        let text =
            format!("$ dcp-proxy {line}\n{out}--- standard error\n{err}--- exit code {code}");
        text.replace(&server.address(), "HOST:PORT")
    }
}

/// The program in `folder`, with arguments separated by spaces.
pub(crate) fn program(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    for name in ["RUST_LOG", "DCP_PROXY_TOKEN", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.current_dir(folder).stdin(Stdio::null()).args(line.split_whitespace());
    command
}

/// Runs it to its end.
pub(crate) fn run_in(folder: &Path, line: &str) -> Said {
    said(program(folder, line).output().unwrap())
}

fn said(Output { status, stdout, stderr }: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

impl Server {
    /// Runs a subcommand against this sidecar, where there is no configuration file.
    pub(crate) fn run(&self, line: &str) -> Said {
        let folder = tempfile::tempdir().unwrap();
        run_in(folder.path(), &format!("{line} --admin {}", self.address()))
    }

    /// Starts one whose output is read while it runs.
    pub(crate) fn start_run(&self, line: &str) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("{line} --admin {}", self.address());
        let mut command = program(folder.path(), &line);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running::new(child)
    }
}

/// A subcommand that runs. It is killed when dropped.
pub(crate) struct Running {
    child: Child,
    out: Text,
    err: Text,
}

/// What a stream has said so far.
pub(crate) struct Text {
    parts: Receiver<Vec<u8>>,
    text: String,
}

impl Text {
    pub(crate) fn of(mut stream: impl std::io::Read + Send + 'static) -> Self {
        let (sender, parts) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { parts, text: String::new() }
    }

    /// Reads until the text is as it should be.
    #[track_caller]
    pub(crate) fn until(&mut self, is_there: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(&self.text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(part) = self.parts.recv_timeout(left) else {
                panic!("it does not say what it should: {:?}", self.text)
            };
            self.text += &String::from_utf8_lossy(&part);
        }
    }

    /// Reads to the end.
    pub(crate) fn end(&mut self) -> String {
        while let Ok(part) = self.parts.recv_timeout(PATIENCE) {
            self.text += &String::from_utf8_lossy(&part);
        }
        std::mem::take(&mut self.text)
    }
}

impl Running {
    pub(crate) fn new(mut child: Child) -> Self {
        let out = Text::of(child.stdout.take().unwrap());
        let err = Text::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Waits for words on standard output.
    #[track_caller]
    pub(crate) fn says(&mut self, words: &str) {
        self.out.until(|text| text.contains(words));
    }

    /// Waits for words on standard error.
    #[track_caller]
    pub(crate) fn warns(&mut self, words: &str) {
        self.err.until(|text| text.contains(words));
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let kill = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Said {
        let (out, err) = (self.out.end(), self.err.end());
        Said { code: self.child.wait().unwrap().code(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has exited already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Reads whatever is there until the end.
pub(crate) fn rest(mut stream: impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    // The other end of a terminal that was closed is an error.
    _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
