//! Other programs: where they are, and what they say.

use std::ffi::OsStr;
use std::io::{self, Error};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A command with its arguments, ready for more.
pub(crate) fn command<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[A]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs a command, whose output is shown.
///
/// # Errors
/// Where it cannot be started, or does not end with 0.
pub(crate) fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status().map_err(|error| unstarted(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::other(format!("{}: {status}", line(command))))
    }
}

/// Runs a command and returns what it writes to standard output.
///
/// # Errors
/// Where it cannot be started, or does not end with 0: then with what it said.
pub(crate) fn output(command: &mut Command) -> io::Result<String> {
    let output = ended(command)?;
    if !output.status.success() {
        let said = said(&output);
        return Err(Error::other(format!("{}: {}: {said}", line(command), output.status)));
    }
    String::from_utf8(output.stdout).map_err(Error::other)
}

/// Runs a command that must end with `code`, and returns everything that it says.
///
/// # Errors
/// Where it cannot be started, or ends otherwise.
pub(crate) fn expect(command: &mut Command, code: i32) -> io::Result<String> {
    let output = ended(command)?;
    let said = said(&output);
    if output.status.code() == Some(code) {
        return Ok(said);
    }
    let line = line(command);
    Err(Error::other(format!("{line}: {} where exit code {code} is right: {said}", output.status)))
}

fn ended(command: &mut Command) -> io::Result<Output> {
    command.output().map_err(|error| unstarted(command, &error))
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn unstarted(command: &Command, error: &Error) -> Error {
    Error::new(error.kind(), format!("{} cannot be started: {error}", line(command)))
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Where a program is: in one of the folders, else on the path.
pub(crate) fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).collect::<Vec<_>>();
    // Programs of the administrator are not on everybody's path.
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let all = folders.iter().chain(&on_path).chain(&more);
    all.map(|folder| folder.join(program)).find(|file| is_file(file))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_its_code_and_what_it_said() {
        let mut shell = command("sh", &["-c", "echo out; echo why >&2; exit 3"]);
        let error = output(&mut shell).unwrap_err().to_string();
        assert!(error.contains("exit 3: exit status: 3: out\nwhy"), "{error}");
        assert_eq!(expect(&mut shell, 3).unwrap(), "out\nwhy");
        let error = expect(&mut shell, 2).unwrap_err().to_string();
        assert!(error.contains("where exit code 2 is right"), "{error}");
        assert!(run(&mut command("false", &[""; 0])).is_err());
    }

    #[test]
    fn a_program_is_found_on_the_path_or_not_at_all() {
        assert!(find("sh", &[]).is_some());
        assert_eq!(find("no-such-program", &[PathBuf::from("/usr/bin")]), None);
        let error = run(&mut command("/no/such", &["x"])).unwrap_err().to_string();
        assert!(error.starts_with("/no/such x cannot be started"), "{error}");
    }
}
