//! The program `dcp-proxy`: parses the command line, runs it, and returns the exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use dcp_proxy::cli::{Cli, Command};
use dcp_proxy::client::{self, Exit};
use dcp_proxy::config::{self, Config, Problems};
use dcp_proxy::reload::Reload;
use dcp_proxy::run::{self, Options, RunError};
use dcp_proxy::screen::Screen;
use dcp_proxy::{descriptors, logging, signals};
use logger::{Format, Stream};

/// The exit code for wrong usage or configuration; clap uses the same.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Ask(ask)) => {
            match client::run(ask, cli.config_file(), cli.config.is_some()) {
                Exit::Done => ExitCode::SUCCESS,
                Exit::NotReady | Exit::Failed => ExitCode::FAILURE,
                Exit::Wrong => ExitCode::from(WRONG),
            }
        }
        Some(Command::Check) => with_config(&cli, |config, screen| {
            screen.say(format!("{} is valid:", cli.config_file().display()));
            screen.say(config.to_string().trim_end());
            for warning in &config.warnings {
                eprintln!("warning: {}", warning.within(&config.path));
            }
            Ok(true)
        }),
        Some(Command::Config(args)) if args.default => print(&config::default_file()),
        Some(Command::Config(_)) => match config::load(cli.config_file()) {
            Ok(config) => print(&config.effective()),
            Err(problems) => refused(&cli, &problems),
        },
        None => with_config(&cli, |config, screen| {
            for warning in &config.warnings {
                log::warn!("configuration: {}", warning.within(&config.path));
            }
            let options = Options { once: cli.once, admin_file: cli.admin_file.clone() };
            replicate(config, &options, screen, Reload::new(config, cli.log()))
        }),
    }
}

/// Starts logging, loads the configuration, and runs what needs both.
fn with_config(
    cli: &Cli,
    run: impl FnOnce(&Config, &Screen) -> Result<bool, RunError>,
) -> ExitCode {
    let screen = Screen::new();
    logging::abort_on_panic();
    let exit = match logging::start(cli.log(), &screen) {
        Ok(()) => configured(cli, &screen, run),
        Err(error) => failed(&RunError::Start(error)),
    };
    logger::finish();
    exit
}

fn configured(
    cli: &Cli,
    screen: &Screen,
    run: impl FnOnce(&Config, &Screen) -> Result<bool, RunError>,
) -> ExitCode {
    let config = match config::load(cli.config_file()) {
        Ok(config) => config,
        Err(problems) => return refused(cli, &problems),
    };
    logging::configure(cli.log(), &config.log);
    match run(&config, screen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

/// Says what is wrong with the configuration.
fn refused(cli: &Cli, problems: &Problems) -> ExitCode {
    match cli.log_format {
        Some(Format::Json) => logger::fatal(env!("CARGO_CRATE_NAME"), problems),
        _ => logger::say(Stream::Error, &problems.rendered()),
    }
    ExitCode::from(WRONG)
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logger::say(Stream::Error, &format!("could not write to standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn failed(error: &RunError) -> ExitCode {
    logger::fatal(env!("CARGO_CRATE_NAME"), format_args!("failed: {error}"));
    ExitCode::FAILURE
}

fn replicate(
    config: &Config,
    options: &Options,
    screen: &Screen,
    reload: Reload,
) -> Result<bool, RunError> {
    kvnode::raise_limit();
    descriptors::check(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        signals::on_hang_up(move || reload.run())?;
        let stop = signals::stop_token()?;
        run::run(config, options, screen, &stop).await
    })
}
