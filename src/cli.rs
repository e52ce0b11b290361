//! The definition of the command line.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use log::LevelFilter;
use logger::Format;

use crate::client::{Ask, ConfigAsk};
use crate::doctor::DoctorArgs;
use crate::explain::ExplainArgs;
use crate::logging::Asked;
use crate::map::Map;
use crate::replay::ReplayArgs;
use crate::tail::TailArgs;
use crate::verify_command::VerifyArgs;

/// The configuration file where none is named.
pub const CONFIG_FILE: &str = "proxy.toml";

/// The meaning of exit codes.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or no answer, or not ready (status), or the output cannot be written
  2  wrong usage or configuration, or streams would close and nobody can be asked (--yes)";

/// Keeps vBuckets of one data node replicated from others, over DCP.
///
/// Without a command it runs until Ctrl-C or SIGTERM; a second signal terminates it immediately.
#[derive(Debug, Parser)]
#[command(name = "dcp-proxy", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The configuration file [default: proxy.toml in the working directory].
    #[arg(long, value_name = "FILE", global = true, display_order = 990)]
    pub config: Option<PathBuf>,

    /// The log level; RUST_LOG has finer filters.
    #[arg(long, value_name = "LEVEL", value_parser = level(), global = true, display_order = 991)]
    pub log: Option<LevelFilter>,

    /// The log format.
    #[arg(long, value_name = "FORMAT", value_parser = format(), global = true, display_order = 992)]
    pub log_format: Option<Format>,

    /// Replicate the present data, compare both nodes, and exit: 0 when they are identical.
    #[arg(long)]
    pub once: bool,

    /// File to write the URL of the admin API to, once it listens.
    #[arg(long, value_name = "FILE")]
    pub admin_file: Option<PathBuf>,

    /// A command to run instead.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// What it says about the log.
    #[must_use]
    pub const fn log(&self) -> Asked {
        Asked { level: self.log, format: self.log_format }
    }
}

/// A command to run instead.
#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub enum Command {
    /// Print the completion script of a shell, for `source` or the folder of its completions.
    Completions {
        /// The shell.
        shell: Shell,
        /// The program to complete.
        #[arg(long, value_enum, default_value_t)]
        program: Program,
    },
    /// Print the man page, or write the pages of both programs and of every subcommand to a folder.
    Man {
        /// The folder; made if it is not there.
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Check the configuration and print the effective values without secrets.
    Check {
        /// Then do what `doctor` does.
        #[arg(long)]
        connect: bool,
    },
    /// Check nodes, machine and sidecar against the configuration; the exit code is 1 where there
    /// is an error.
    Doctor(DoctorArgs),
    /// Explain one vBucket: what our node, its producer and the sidecar say of it, what is going on
    /// and what happens next; the exit code is 1 where something is wrong or unknown.
    Explain(ExplainArgs),
    /// Print the changes of a data node as JSON lines.
    Tail(Box<TailArgs>),
    /// Print a configuration file; or show what a running sidecar was told besides its file, save
    /// it or drop it.
    Config(ConfigArgs),
    /// Read and write the maps of a whole cluster in etcd.
    Map {
        /// What to do.
        #[command(subcommand)]
        what: Map,
    },
    /// Play a recorded conversation of a link to a node, a sidecar or the rules of this program,
    /// and say where they behave differently; the exit code is 1 then.
    Replay(Box<ReplayArgs>),
    /// Compare what two data nodes have of a bucket, while they run; the exit code is 1 where they
    /// differ.
    ///
    /// Each difference is a line of JSON. A key differs where its newest changes do, on both nodes,
    /// in two looks; what is still on its way is no difference.
    Verify(VerifyArgs),
    /// Ask a running sidecar.
    #[command(flatten)]
    Ask(Ask),
}

/// What to print. A subcommand stands instead of the options.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    group = ArgGroup::new("which").required(true)
)]
pub struct ConfigArgs {
    /// The whole file with every setting, its default and a comment.
    #[arg(long, group = "which")]
    pub default: bool,

    /// The effective values, and where each comes from, without secrets.
    #[arg(long, group = "which")]
    pub effective: bool,

    /// What to do with a running sidecar.
    #[command(subcommand)]
    pub ask: Option<ConfigAsk>,
}

/// A program of this project.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Program {
    /// The sidecar.
    #[default]
    DcpProxy,
    /// The data node.
    Kvnode,
}

impl Program {
    /// The definition of its command line.
    #[must_use]
    pub fn command(self) -> clap::Command {
        match self {
            Self::DcpProxy => <Cli as clap::CommandFactory>::command(),
            Self::Kvnode => crate::kvnode_client::command(),
        }
    }
}

impl Cli {
    /// The configuration file, named or by default.
    #[must_use]
    pub fn config_file(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(CONFIG_FILE))
    }
}

fn level() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["off", "error", "warn", "info", "debug", "trace"])
        .try_map(|name| name.parse::<LevelFilter>())
}

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::NAMES).try_map(|name| name.parse::<Format>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_default_file_is_in_the_working_directory() {
        let cli = parse("dcp-proxy").unwrap();
        assert_eq!(cli.config_file(), Path::new("proxy.toml"));
        assert!(!cli.once && cli.command.is_none() && cli.log.is_none());
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        for line in ["dcp-proxy --config x check", "dcp-proxy check --config x --log debug"] {
            let cli = parse(line).unwrap();
            let check = Some(Command::Check { connect: false });
            assert_eq!((cli.config_file(), &cli.command), (Path::new("x"), &check));
        }
    }

    #[test]
    fn one_configuration_is_printed() {
        use clap::error::ErrorKind;
        let both = |line| match parse(line).unwrap().command {
            Some(Command::Config(ConfigArgs { default, effective, ask: None })) => {
                (default, effective)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(both("dcp-proxy config --default"), (true, false));
        assert_eq!(both("dcp-proxy config --effective --config x"), (false, true));
        let error = |line| parse(line).unwrap_err();
        assert_eq!(error("dcp-proxy config"), ErrorKind::MissingRequiredArgument);
        let line = "dcp-proxy config --default --effective";
        assert_eq!(error(line), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn wrong_usage_is_refused() {
        use clap::error::ErrorKind;
        assert_eq!(parse("dcp-proxy doctor --timeout 0").unwrap_err(), ErrorKind::ValueValidation);
        assert_eq!(parse("dcp-proxy chekc").unwrap_err(), ErrorKind::InvalidSubcommand);
        assert_eq!(parse("dcp-proxy --log loud").unwrap_err(), ErrorKind::InvalidValue);
        assert_eq!(parse("dcp-proxy --log-format xml").unwrap_err(), ErrorKind::InvalidValue);
        assert_eq!(parse("dcp-proxy --twice").unwrap_err(), ErrorKind::UnknownArgument);
    }
}
