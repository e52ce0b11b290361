//! One process of a test. Its output is written to files; it is killed when dropped.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::until;

/// How much of a log is shown when a test fails.
const SHOWN_LINES_MAX: usize = 60;

/// A program that runs, or has exited.
pub struct Process {
    name: String,
    child: Child,
    out: Output,
    log: Output,
}

/// A file that several runs of one program append to.
struct Output {
    path: PathBuf,
    /// Where the output of this run begins.
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
    /// Starts `command`; its output is written to `NAME.out` and `NAME.log` in `folder`.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let (out, out_file) = Output::open(folder.join(format!("{name}.out")));
        let (log, log_file) = Output::open(folder.join(format!("{name}.log")));
        let command = command.env_remove("RUST_LOG").stdin(Stdio::null());
        let child = command.stdout(out_file).stderr(log_file).spawn().unwrap();
        Self { name: name.to_owned(), child, out, log }
    }

    /// The standard output of this run.
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// The standard error of this run.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for a line in the log with all these words.
    pub async fn logs(&self, words: &[&str]) -> String {
        until(&format!("{} logs {words:?}", self.name), async || self.logged(words)).await
    }

    /// The first line in the log with all these words.
    pub fn logged(&self, words: &[&str]) -> Option<String> {
        let log = self.log();
        let mut lines = log.lines();
        lines.find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    }

    /// Fails if the log has a warning or an error with none of these words.
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

    /// Waits for the exit and returns the exit code; -1 if a signal ended the process.
    pub async fn exit_code(&mut self) -> i32 {
        let what = format!("{} ends", self.name);
        until(&what, async || self.child.try_wait().unwrap()).await.code().unwrap_or(-1)
    }

    /// Kills it with SIGKILL and waits for its exit.
    pub fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        // `kill` is built into the shell; the standard library can only send SIGKILL.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has exited already.
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
