//! The completion scripts of shells, from the definition of the command line.

use std::io::{self, Write};

use clap::Command;
use clap_complete::{Shell, generate};

/// Returns the completion script of a shell for a program.
#[must_use]
pub fn script(mut command: Command, shell: Shell) -> Vec<u8> {
    let (mut script, name) = (Vec::new(), command.get_name().to_owned());
    generate(shell, &mut command, name, &mut script);
    script
}

/// Prints the completion script of a shell for a program.
///
/// # Errors
/// That of `out`.
pub fn print(command: Command, shell: Shell, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&script(command, shell))?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::process::{Command as Process, Stdio};

    use clap::{CommandFactory as _, ValueEnum as _};

    use super::*;
    use crate::cli::{Cli, Program};

    #[test]
    fn bash_accepts_its_scripts() {
        for program in [Program::DcpProxy, Program::Kvnode] {
            let mut bash = Process::new("bash");
            let mut bash =
                bash.arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let script = script(program.command(), Shell::Bash);
            bash.stdin.take().unwrap().write_all(&script).unwrap();
            let read = bash.wait_with_output().unwrap();
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        }
    }

    #[test]
    fn every_shell_has_every_subcommand() {
        for shell in Shell::value_variants() {
            let script = script(Program::DcpProxy.command(), *shell);
            let script = String::from_utf8(script).unwrap();
            for subcommand in Cli::command().get_subcommands() {
                let name = subcommand.get_name();
                assert!(script.contains(name), "{shell} completes {name}");
            }
        }
    }
}
