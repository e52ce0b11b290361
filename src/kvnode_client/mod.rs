//! The program `kvnode`: runs a data node, or asks a running one.
//!
//! The node itself is in the package `kvnode`. The commands here are a client of the binary
//! protocol; they work with any node that speaks it.
//!
//! - `args`: the command line; `connect`: which node to ask, as which user
//! - `ask`: from a command to its answer; `documents`, `vbuckets`, `collections`, `stats`, `seed`:
//!   the commands
//! - `user`: users in a file, without a node
//! - `refusal`: what an error status means, in words; `failure`: why there is no good answer
//! - `answer`: the output

mod answer;
mod args;
mod ask;
mod collections;
mod connect;
mod documents;
mod failure;
mod refusal;
mod seed;
mod stats;
mod user;
mod vbuckets;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use self::answer::Answer;
use self::args::{Cli, Command};
use crate::{client, completions};

/// The definition of the command line, for completion scripts and man pages.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { node, command: asked } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return client::usage(&error).into(),
    };
    match asked {
        None => kvnode::cli::run(&node),
        Some(Command::Completions { shell }) => {
            let text = completions::script(command(), shell);
            let json = serde_json::Value::Null;
            answer::finish(Ok(Answer { text, json, failure: None }), false)
        }
        Some(Command::User(user)) => answer::finish(user.run(), user.is_json()),
        Some(Command::Ask(asked)) => answer::finish(ask::ask(&asked), asked.at().json),
    }
}

#[cfg(test)]
mod tests;
