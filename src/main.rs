//! The sidecar's command line: parses it, hands over, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use dcp_proxy::cli::{Cli, Command};
use dcp_proxy::config::{self, Config};
use dcp_proxy::run::{self, RunError};
use dcp_proxy::screen::Screen;
use dcp_proxy::{logging, signals};

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
    let done = match cli.command {
        Some(Command::Check) => {
            screen.say(format!("{} is good:", cli.config.display()));
            screen.say(config.to_string().trim_end());
            Ok(true)
        }
        None => replicate(&config, cli.once, &screen),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            log::error!("stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replicate(config: &Config, once: bool, screen: &Screen) -> Result<bool, RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = signals::stop_token()?;
        run::run(config, once, screen, &stop).await
    })
}
