//! The program `dcp-proxy`: parses the command line, runs it, and returns the exit code.

use std::process::ExitCode;

use clap::Parser as _;
use dcp_proxy::cli::{Cli, Command};
use dcp_proxy::client::{self, Exit};
use dcp_proxy::config::{self, Config};
use dcp_proxy::run::{self, Options, RunError};
use dcp_proxy::screen::Screen;
use dcp_proxy::{logging, signals};

/// The exit code for wrong usage or configuration; clap uses the same.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Ask(ask)) => match client::run(ask, &cli.config) {
            Exit::Done => ExitCode::SUCCESS,
            Exit::NotReady | Exit::Failed => ExitCode::FAILURE,
            Exit::Wrong => ExitCode::from(WRONG),
        },
        Some(Command::Check) => with_config(&cli, |config, screen| {
            screen.say(format!("{} is valid:", cli.config.display()));
            screen.say(config.to_string().trim_end());
            Ok(true)
        }),
        None => with_config(&cli, |config, screen| {
            let options = Options { once: cli.once, admin_file: cli.admin_file.clone() };
            replicate(config, &options, screen)
        }),
    }
}

/// Starts logging, loads the configuration, and runs what needs both.
fn with_config(
    cli: &Cli,
    run: impl FnOnce(&Config, &Screen) -> Result<bool, RunError>,
) -> ExitCode {
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
    match run(&config, &screen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            log::error!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replicate(config: &Config, options: &Options, screen: &Screen) -> Result<bool, RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = signals::stop_token()?;
        run::run(config, options, screen, &stop).await
    })
}
