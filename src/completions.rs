//! The completion scripts of shells, from the definition of the command line.

use std::io::{self, Write};

use clap::Command;
use clap_complete::{Shell, generate};

/// Returns the completion script of a shell for a program.
#[must_use]
pub fn script(mut command: Command, shell: Shell) -> Vec<u8> {
    let (mut script, name) = (Vec::new(), command.get_name().to_owned());
    generate(shell, &mut command, name.clone(), &mut script);
    if shell == Shell::Bash { in_bash(&name, script) } else { script }
}

/// Makes the Bash script name the subcommands of a program with a hyphen in one way.
/// `clap_complete` writes the hyphen as `__` where it finds a subcommand, and as the separator of
/// subcommands where it lists the subcommand's options, which are then never found.
fn in_bash(program: &str, script: Vec<u8>) -> Vec<u8> {
    const SEPARATOR: &str = "__subcmd__";
    let [found, listed] = ["__", SEPARATOR].map(|hyphen| program.replace('-', hyphen) + SEPARATOR);
    String::from_utf8(script)
        .map(|script| script.replace(&listed, &found).into_bytes())
        .unwrap_or_else(|error| error.into_bytes())
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

    /// What Bash completes for words of which the last one is not finished.
    fn completed(program: Program, words: &[&str]) -> Vec<String> {
        let script = String::from_utf8(script(program.command(), Shell::Bash)).unwrap();
        let name = program.command().get_name().to_owned();
        let function = name.replace('-', "__");
        // As Bash calls it: the program, the last word, and the one before it.
        let run = format!(
            "{script}\nCOMP_WORDS=({name} \"$@\"); COMP_CWORD=$#; _{function} {name} \
             \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let bash = Process::new("bash").args(["-c", &run, "bash"]).args(words).output().unwrap();
        let errors = String::from_utf8_lossy(&bash.stderr);
        assert!(bash.status.success() && errors.is_empty(), "{errors}");
        String::from_utf8(bash.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_completes_the_second_level_and_the_options_of_subcommands() {
        for (program, words, expected) in [
            (Program::DcpProxy, vec!["conf"], "config"),
            (Program::DcpProxy, vec!["config", ""], "save"),
            (Program::DcpProxy, vec!["config", "--eff"], "--effective"),
            (Program::DcpProxy, vec!["config", "diff", "--adm"], "--admin"),
            (Program::DcpProxy, vec!["map", "g"], "get"),
            (Program::DcpProxy, vec!["log-level", "--res"], "--reset"),
            (Program::DcpProxy, vec!["completions", "z"], "zsh"),
            (Program::Kvnode, vec!["se"], "seed"),
            (Program::Kvnode, vec!["seed", "--fir"], "--first"),
        ] {
            let replies = completed(program, &words);
            assert!(replies.iter().any(|reply| reply == expected), "{words:?}: {replies:?}");
        }
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let replies = completed(Program::DcpProxy, &[name, "--he"]);
            assert_eq!(replies, ["--help"], "{name}");
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
