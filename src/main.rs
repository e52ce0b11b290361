//! The program `dcp-proxy`: parses the command line, runs it, and returns the exit code.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use dcp_proxy::cli::{Cli, Command, ConfigArgs};
use dcp_proxy::client::{self, Exit};
use dcp_proxy::config::{self, Config, Problems};
use dcp_proxy::doctor::{self, DoctorArgs};
use dcp_proxy::explain;
use dcp_proxy::logging::Asked;
use dcp_proxy::run::{self, Options, RunError};
use dcp_proxy::screen::Screen;
use dcp_proxy::signals::HangUps;
use dcp_proxy::sources::Sources;
use dcp_proxy::{
    completions, descriptors, logging, man, map, replay, signals, tail, verify_command,
};
use lifecycle::{notify, panics};
use logger::{Format, Stream};

/// The allocator of musl takes one lock for all threads; nodes inside the process suffer from it.
#[cfg(all(feature = "jemalloc", target_env = "musl"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit code for wrong usage or configuration; clap uses the same.
const WRONG: u8 = 2;
/// How long the end of the process waits for what blocks a thread, such as a file that is read.
const BLOCKED_WAIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return code(client::usage(&error)),
    };
    let (file, is_named) = (cli.config_file(), cli.config.is_some());
    let Some(command) = &cli.command else {
        return with_config(&cli, |config, screen| {
            for warning in &config.warnings {
                log::warn!("configuration: {}", warning.within(&config.path));
            }
            let options = Options { once: cli.once, admin_file: cli.admin_file.clone() };
            replicate(config, &options, screen, cli.log())
        });
    };
    match command {
        Command::Ask(ask) => code(client::run(ask, file, is_named)),
        Command::Map { what } => code(map::run(what, file)),
        Command::Tail(args) => code(tail::run(args, file)),
        Command::Verify(args) => match args.in_sidecar() {
            Some((what, to)) => code(client::run_verify(&what, &to, file, is_named)),
            None => code(verify_command::run(args, file, is_named)),
        },
        Command::Explain(args) => code(explain::run(args, file, is_named)),
        Command::Replay(args) => code(replay::run(args, file)),
        Command::Doctor(args) => {
            with_config(&cli, |config, _| doctor::run(args, config).map_err(RunError::Check))
        }
        Command::Check { connect } => with_config(&cli, |config, _| check(&cli, config, *connect)),
        Command::Config(ConfigArgs { ask: Some(ask), .. }) => {
            code(client::run_config(ask, file, is_named))
        }
        Command::Config(ConfigArgs { default: true, .. }) => {
            written(std::io::stdout().write_all(config::default_file().as_bytes()))
        }
        Command::Config(_) => match config::load(file) {
            Ok(config) => written(std::io::stdout().write_all(config.effective().as_bytes())),
            Err(problems) => refused(&cli, &problems),
        },
        Command::Completions { shell, program } => {
            written(completions::print(program.command(), *shell, &mut std::io::stdout().lock()))
        }
        Command::Man { folder: None } => written(man::print(&mut std::io::stdout().lock())),
        Command::Man { folder: Some(folder) } => man_pages(folder),
    }
}

fn man_pages(folder: &Path) -> ExitCode {
    match man::write(folder) {
        Ok(count) => {
            let text = format!("{count} man pages written to {}\n", folder.display());
            written(std::io::stdout().write_all(text.as_bytes()))
        }
        Err(error) => {
            eprintln!("could not write to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// Prints the effective values, warnings, and with `connect` what `doctor` finds.
fn check(cli: &Cli, config: &Config, connect: bool) -> Result<bool, RunError> {
    let valid = format!("{} is valid:\n{config}", cli.config_file().display());
    doctor::print(valid.trim_end()).map_err(RunError::Check)?;
    for warning in &config.warnings {
        eprintln!("warning: {}", warning.within(&config.path));
    }
    if connect {
        return doctor::run(&DoctorArgs::default(), config).map_err(RunError::Check);
    }
    Ok(true)
}

/// The exit code after output to standard output.
fn written(result: std::io::Result<()>) -> ExitCode {
    code(client::written(result))
}

fn code(exit: Exit) -> ExitCode {
    exit.into()
}

/// Starts logging, loads the configuration, and runs what needs both.
fn with_config(
    cli: &Cli,
    run: impl FnOnce(&Arc<Config>, &Screen) -> Result<bool, RunError>,
) -> ExitCode {
    let screen = Screen::new();
    logging::abort_on_panic();
    let exit = match logging::start(cli.log(), &screen) {
        Ok(()) => configured(cli, &screen, run),
        Err(error) => failed(&RunError::Start(error)),
    };
    logger::finish();
    if cli.once && !logger::is_said() {
        let lost = "the result could not be written to standard output";
        logger::fatal(env!("CARGO_CRATE_NAME"), lost);
        logger::finish();
        return ExitCode::FAILURE;
    }
    exit
}

fn configured(
    cli: &Cli,
    screen: &Screen,
    run: impl FnOnce(&Arc<Config>, &Screen) -> Result<bool, RunError>,
) -> ExitCode {
    let config = match config::load(cli.config_file()) {
        Ok(config) => Arc::new(config),
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
        Some(Format::Json) => {
            problems.lines().for_each(|line| logger::fatal(env!("CARGO_CRATE_NAME"), line));
        }
        _ => logger::say(Stream::Error, &problems.rendered()),
    }
    ExitCode::from(WRONG)
}

fn failed(error: &RunError) -> ExitCode {
    logger::fatal(env!("CARGO_CRATE_NAME"), format_args!("failed: {error}"));
    ExitCode::FAILURE
}

fn replicate(
    config: &Arc<Config>,
    options: &Options,
    screen: &Screen,
    asked: Asked,
) -> Result<bool, RunError> {
    kvnode::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // First, because signals without a handler do nothing to process 1 of a container.
    let caught = runtime.block_on(async { (HangUps::catch(), signals::stop_token()) });
    let (hang_ups, stop) = (caught.0?, caught.1?);
    notify::start()?;
    lifecycle::leave_lost_folder();
    panics::reports_in(&config.state);
    descriptors::check(config)?;
    let sources = Sources::open(Arc::clone(config), asked)?;
    let done = runtime.block_on(async {
        let hung_up = sources.clone();
        hang_ups.each(move || {
            let sources = hung_up.clone();
            // It logs what is wrong.
            async move { _ = sources.reload("SIGHUP").await }
        });
        let _watcher = sources.watch_file()?;
        run::run(&sources, options, screen, &stop).await
    });
    // A file that blocks its reader must not keep the process.
    runtime.shutdown_timeout(BLOCKED_WAIT);
    done
}
