//! The sidecar's command line: parses it, hands over, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use dcp_proxy::cli::{Cli, Command};
use dcp_proxy::screen::Screen;
use dcp_proxy::{config, logging};

/// Wrong usage or configuration; clap uses the same number.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::new();
    logging::start(cli.log, screen.clone());
    logging::abort_on_panic();
    let config = match config::load(&cli.config) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(WRONG);
        }
    };
    match cli.command {
        Some(Command::Check) => {
            screen.say(format!(
                "{} is good:\n{}",
                cli.config.display(),
                config.to_string().trim_end()
            ));
            ExitCode::SUCCESS
        }
        None => ExitCode::SUCCESS,
    }
}
