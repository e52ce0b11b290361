//! The program on a terminal.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::run::{Text, program};
use crate::server::Server;

/// Runs a subcommand whose three streams are a terminal, and answers its question.
pub(crate) fn on_terminal(server: &Server, line: &str, answer: &str) -> (i32, String) {
    let (mut child, terminal) = start(server, line);
    let mut text = Text::of(terminal.try_clone().unwrap());
    text.until(|text| text.ends_with("[y/N] "));
    (&terminal).write_all(answer.as_bytes()).unwrap();
    end(&mut child, server, &text.end())
}

/// Runs one until its output has these words so many times, and interrupts it.
pub(crate) fn interrupted(server: &Server, line: &str, words: &str, times: usize) -> (i32, String) {
    let (mut child, terminal) = start(server, line);
    let mut text = Text::of(terminal);
    text.until(|text| text.matches(words).count() >= times);
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    end(&mut child, server, &text.end())
}

fn start(server: &Server, line: &str) -> (Child, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&slave, size).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let line = format!("{line} --admin {}", server.address());
    let mut command = program(folder.path(), &line);
    let stream = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
    command.stdin(stream()).stdout(stream()).stderr(stream()).env("TERM", "xterm");
    let child = command.spawn().unwrap();
    // While this process holds the other end, reads of this one would never end: both the file and
    // the copies in the command are closed here.
    (child, File::from(master))
}

fn end(child: &mut Child, server: &Server, text: &str) -> (i32, String) {
    let code = child.wait().unwrap().code().unwrap();
    (code, text.replace("\r\n", "\n").replace(&server.address(), "HOST:PORT"))
}
