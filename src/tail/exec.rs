//! The command of `--exec`: it reads lines from standard input, and writes to standard output how
//! many it has done since it began, each number on a line of its own. So a number acknowledges all
//! lines up to that one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::TICK;
use super::failure::Failure;
use super::shared::Shared;

/// The longest acknowledgement: the digits of a number, and a line end.
const ACK_BYTES_MAX: u64 = 32;

/// How long the command may take without an acknowledgement at the end, and in all after Ctrl-C.
const EXEC_PATIENCE: Duration = Duration::from_secs(10);
/// How long a command may be there after it was killed.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// A running command.
pub(super) struct Exec {
    child: Child,
    group: Arc<Group>,
    acks: JoinHandle<()>,
}

/// Starts the command. Returns it and its standard input.
pub(super) fn start(
    command: &str,
    group: &Arc<Group>,
    shared: &Arc<Shared>,
) -> Result<(Exec, File), Failure> {
    let failed = |why: String| Failure::Wrong(format!("--exec {}: {why}", logline::value(command)));
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Of its own, so that all of it can be ended, and Ctrl-C leaves it the time to finish.
        .process_group(0)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    group.enter(&child);
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed("it has no standard input and output".to_owned()));
    };
    let shared = Arc::clone(shared);
    let acks = std::thread::spawn(move || match read(output, &shared) {
        Ok(()) => shared.over.cancel(),
        Err(why) => {
            let text = format!("the command of --exec {why}: write the number of lines done");
            shared.fail(Failure::Failed(text));
        }
    });
    let group = Arc::clone(group);
    Ok((Exec { child, group, acks }, File::from(OwnedFd::from(input))))
}

/// Takes acknowledgements until the command closes its output.
fn read(output: ChildStdout, shared: &Shared) -> Result<(), String> {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    loop {
        line.clear();
        let read = output.by_ref().take(ACK_BYTES_MAX).read_line(&mut line);
        if read.map_err(|error| format!("wrote what is no text: {error}"))? == 0 {
            return Ok(());
        }
        let text = line.trim();
        let lines: u64 = text
            .parse()
            .map_err(|_| format!("wrote {}, which is no number", logline::value(text)))?;
        let written = shared.taken().written;
        if lines > written {
            return Err(format!("acknowledged {lines} lines of {written}"));
        }
        shared.release(|mark| mark.lines <= lines);
    }
}

impl Exec {
    /// Whether the command has closed its output and ended.
    pub(super) fn is_over(&mut self) -> bool {
        // In this order: the number of its group is its own for as long as it is not waited for.
        self.acks.is_finished() && self.has_ended()
    }

    fn has_ended(&mut self) -> bool {
        let ended = !matches!(self.child.try_wait(), Ok(None));
        if ended {
            self.group.leave();
        }
        ended
    }

    /// Ends the command, unless it is over, and returns how it ended.
    pub(super) async fn end(&mut self) -> String {
        let is_over = self.is_over();
        if !is_over {
            self.group.kill();
        }
        let since = Instant::now();
        while !self.has_ended() {
            if since.elapsed() > KILL_PATIENCE {
                return "cannot be ended".to_owned();
            }
            tokio::time::sleep(TICK).await;
        }
        match self.child.try_wait() {
            _ if !is_over => "was killed, without an answer in time,".to_owned(),
            Ok(Some(status)) => format!("ended with {status}"),
            Ok(None) => "goes on".to_owned(),
            Err(error) => format!("is lost: {error}"),
        }
    }
}

/// The process group of the command: the shell and what it has started.
#[derive(Debug, Default)]
pub(super) struct Group(Mutex<Option<Pid>>);

impl Group {
    fn lock(&self) -> MutexGuard<'_, Option<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, child: &Child) {
        *self.lock() = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    }

    fn leave(&self) {
        *self.lock() = None;
    }

    /// Kills all of it, if it is there.
    pub(super) fn kill(&self) {
        if let Some(group) = *self.lock() {
            // An error means that it has ended.
            _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// How long the command may take at the end.
#[derive(Debug)]
pub(super) struct Patience {
    lines: u64,
    since: Instant,
    stopped: Option<Instant>,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { lines: 0, since: Instant::now(), stopped: None }
    }

    /// Whether it is over: without another line that was done, or in all after Ctrl-C.
    pub(super) fn is_over(&mut self, lines: u64, is_stopped: bool) -> bool {
        let now = Instant::now();
        if lines != self.lines {
            (self.lines, self.since) = (lines, now);
        }
        if is_stopped {
            self.stopped.get_or_insert(now);
        }
        now.duration_since(self.stopped.unwrap_or(self.since)) > EXEC_PATIENCE
    }
}
