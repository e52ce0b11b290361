//! One process of a test: its output goes to files, it is killed when it is dropped.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::until;

/// How much of a log is shown when a test fails.
const SHOWN_LINES_MAX: usize = 60;

/// A running program, or what is left of it.
pub struct Process {
    name: String,
    child: Child,
    out: Output,
    log: Output,
}

/// A file that several runs of one program append to.
struct Output {
    path: PathBuf,
    /// Where this run begins.
    begin: usize,
}

impl Output {
    fn open(path: PathBuf) -> (Self, File) {
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let begin = usize::try_from(file.metadata().unwrap().len()).unwrap();
        (Self { path, begin }, file)
    }

    fn text(&self) -> String {
        // Its folder may be gone by the time a failed test shows it.
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.begin..).unwrap_or_default()).into_owned()
    }
}

impl Process {
    /// Starts `command`; what it writes goes to `NAME.out` and `NAME.log` in `folder`.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let (out, out_file) = Output::open(folder.join(format!("{name}.out")));
        let (log, log_file) = Output::open(folder.join(format!("{name}.log")));
        let command = command.env_remove("RUST_LOG").stdin(Stdio::null());
        let child = command.stdout(out_file).stderr(log_file).spawn().unwrap();
        Self { name: name.to_owned(), child, out, log }
    }

    /// What this run wrote to standard output.
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// What this run wrote to standard error.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for a line in the log that holds all these words.
    pub async fn logs(&self, words: &[&str]) -> String {
        until(&format!("{} logs {words:?}", self.name), async || self.logged(words)).await
    }

    /// The first line in the log that holds all these words.
    pub fn logged(&self, words: &[&str]) -> Option<String> {
        let log = self.log();
        let mut lines = log.lines();
        lines.find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    }

    /// Fails where the log has a warning or an error without any of these words.
    #[track_caller]
    pub fn assert_quiet(&self, allowed: &[&str]) {
        let log = self.log();
        let loud = |line: &&str| line.contains("WARN ") || line.contains("ERROR ");
        let listed = |line: &str| allowed.iter().any(|word| line.contains(word));
        let unlisted: Vec<_> = log.lines().filter(loud).filter(|line| !listed(line)).collect();
        assert!(unlisted.is_empty(), "{} logged: {unlisted:#?}", self.name);
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end and gives the exit code; -1 where a signal ended it.
    pub async fn exit_code(&mut self) -> i32 {
        let what = format!("{} ends", self.name);
        until(&what, async || self.child.try_wait().unwrap()).await.code().unwrap_or(-1)
    }

    /// Kills it the hard way and waits until it is gone.
    pub fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        // The shell has `kill` built in; the standard library sends nothing but KILL.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for (what, text) in [("log", self.log()), ("output", self.out())] {
                let skipped = text.lines().count().saturating_sub(SHOWN_LINES_MAX);
                eprintln!("---- {} of {}, {skipped} lines left out", what, self.name);
                text.lines().skip(skipped).for_each(|line| eprintln!("{line}"));
            }
        }
    }
}
