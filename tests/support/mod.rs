//! Real processes for the end-to-end tests: started, listened to, killed, and never left behind.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Far more than it needs: other tests run
/// beside it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running program and what it has said so far.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    output: String,
}

/// What a program left behind.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` where a signal killed it.
    pub code: Option<i32>,
    /// Everything it said, on either stream.
    pub output: String,
}

impl Process {
    /// Starts the sidecar in `folder`, where its `proxy.toml` is.
    pub fn sidecar(folder: &Path, arguments: &[&str]) -> Self {
        Self::start(env!("CARGO_BIN_EXE_dcp-proxy"), folder, arguments)
    }

    /// Starts a data node in `folder`.
    pub fn kvnode(folder: &Path, arguments: &[&str]) -> Self {
        Self::start(env!("CARGO_BIN_EXE_kvnode"), folder, arguments)
    }

    fn start(program: &str, folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        read_lines(child.stdout.take().unwrap(), sender.clone());
        read_lines(child.stderr.take().unwrap(), sender);
        Self { child, lines, output: String::new() }
    }

    /// Waits for a line that contains `text`, among those that were not waited for yet.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next_line(deadline) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(why) => panic!("no line with {text:?} ({why}) in:\n{}", self.output),
            }
        }
    }

    /// Asks it to stop, as a supervisor does.
    pub fn terminate(&self) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    }

    /// Kills it, as the kernel does when memory is out.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.ended()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next_line(deadline) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end:\n{}", self.output),
            }
        }
        let code = self.child.wait().unwrap().code();
        Ended { code, output: std::mem::take(&mut self.output) }
    }

    fn next_line(&mut self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        self.output.push_str(&line);
        self.output.push('\n');
        Ok(line)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where a test waited for that.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Ended {
    /// Panics with everything it said unless it ended with `code` and said all of `texts`.
    #[track_caller]
    pub fn expect(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "it said:\n{}", self.output);
        for text in texts {
            assert!(self.output.contains(text), "{text:?} is not in:\n{}", self.output);
        }
    }
}

fn read_lines(stream: impl Read + Send + 'static, to: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if to.send(line).is_err() {
                return;
            }
        }
    });
}
