//! `dcp-proxy doctor`: looks at everything that replication needs, and says what to do about what
//! is not as it should be.
//!
//! - `gather`: asks nodes, machine and sidecar, all at the same time and within deadlines
//! - `facts`, `failure`: what it found; `rules`: what follows from that; `finding`: the result
//! - `page`: the output
//!
//! It changes nothing: no document, no state, no connection of others.

mod facts;
mod failure;
mod finding;
mod gather;
mod page;
mod rules;

use std::io;
use std::time::Duration;

use clap::Args;
use console::Term;

use crate::client::{width, write};
use crate::config::Config;

pub(crate) use self::failure::Failure;

/// The deadline of each step where none is given, in seconds: a healthy node needs milliseconds.
const TIMEOUT_S: u64 = 5;

/// What to check, and how to say it.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
    /// Exit with 1 for warnings too, not for errors alone.
    #[arg(long)]
    pub strict: bool,
    /// The deadline of each step with a node, in seconds; six times that is the limit for all
    /// steps.
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT_S,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
}

impl Default for DoctorArgs {
    fn default() -> Self {
        Self { json: false, strict: false, timeout: TIMEOUT_S }
    }
}

/// Checks everything that `config` names, and prints the findings. Returns whether none of them is
/// an error, or with [`DoctorArgs::strict`] a warning.
///
/// # Errors
/// The OS error where no runtime can be started, or the output cannot be written.
pub fn run(args: &DoctorArgs, config: &Config) -> io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let step = Duration::from_secs(args.timeout);
    let (facts, config) = runtime.block_on(async {
        let (maps, followed) = gather::maps(config, step).await;
        (gather::facts(&followed, maps, step).await, followed)
    });
    // A name lookup that hangs must not keep the process.
    runtime.shutdown_background();
    let report = rules::judge(&facts, &config);
    let passes = report.passes(args.strict);
    print(&match width(&Term::stdout()) {
        _ if args.json => format!("{:#}", page::json(&report, passes)),
        Some(width) => page::sections(&report, width),
        None => page::lines(&report),
    })?;
    Ok(passes)
}

/// Writes a text and a line end to standard output. It does not go through the queue of the log,
/// which drops what is too long. A reader that has closed the pipe, as `head` does, is no failure.
///
/// # Errors
/// The OS error, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let failed = |error: io::Error| {
        let text = "could not write to standard output, which is incomplete";
        io::Error::new(error.kind(), format!("{text}: {error}"))
    };
    write(format!("{text}\n")).map(drop).map_err(failed)
}
