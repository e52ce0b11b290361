//! The command line of the program `kvnode`: a data node alone.
//!
//! Exit codes: 0 stopped cleanly, 1 failed, 2 wrong usage or configuration.
//!
//! - `arguments`, `file`: the command line and the file; `values`: values that both have
//! - `configuration`: the two together; `initial_state`: that of a folder
//! - `log`: where log lines go; `run`: the program; `reload`: what SIGHUP does

mod arguments;
mod configuration;
mod file;
mod initial_state;
mod log;
mod reload;
mod run;
#[cfg(test)]
mod tests;
mod values;

pub use run::main;

/// The definition of the command line, for completion scripts and man pages.
#[must_use]
pub fn command() -> clap::Command {
    <arguments::Arguments as clap::CommandFactory>::command()
}
