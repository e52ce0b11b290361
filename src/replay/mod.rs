//! `dcp-proxy replay`: plays a recorded conversation of a link to the rules of this program, to a
//! data node, or to a sidecar, and says where they behave differently.
//!
//! - `recording`: a file as conversations; `begun`: what one that begins in the middle lacks
//! - `machine`: the rules of a link, fed with frames
//! - `shape`: what is compared; `script`: what one peer sends and gets; `player`: plays a script,
//!   without a socket
//! - `allowed`: what of a script may be sent to a node
//! - `wire`: plays it on a connection; `node` opens one to a data node, `host` accepts those of a
//!   sidecar, which `sidecar` starts
//! - `output`: what is printed

mod allowed;
mod args;
mod begun;
mod host;
mod machine;
mod node;
mod output;
mod player;
mod recording;
mod script;
mod shape;
mod sidecar;
#[cfg(test)]
mod tests;
mod wire;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use mcbp::Side;
use tokio::signal::unix::{SignalKind, signal};

use self::allowed::Consent;
pub use self::args::{Against, ReplayArgs, StandsFor};
use self::machine::Incomplete;
use self::node::Target;
use self::output::Output;
use self::recording::Recording;
pub use self::shape::Compare;
use crate::client::Exit;
use crate::{nodes, random};

/// The bucket where neither the recording nor the command line names one.
const BUCKET: &str = "default";

/// Replays a recording; the exit code is 1 where something differs, 2 where it cannot be replayed.
#[must_use]
pub fn run(args: &ReplayArgs, config_file: &Path) -> Exit {
    let out = Output::new(args.json);
    replayed(args, config_file, &out).unwrap_or_else(|why| {
        out.error(&why);
        Exit::Wrong
    })
}

fn replayed(args: &ReplayArgs, config_file: &Path, out: &Output) -> Result<Exit, String> {
    let mut recording = load(&args.file)?;
    if recording.conversations.is_empty() {
        let file = args.file.display();
        let others = recording.others;
        return Err(format!(
            "{file} has no frame between `proxy` and `consumer` or `producer` ({others} frames of \
             others): it is no recording of a link"
        ));
    }
    out.remarks(&recording);
    for conversation in &mut recording.conversations {
        out.assumed(&begun::complete(conversation));
    }
    let mut is_empty = false;
    let (differences, matched) = match args.against {
        Against::Machine => {
            let (differences, compared) = machine(args, &recording, out)?;
            is_empty = compared == 0;
            (differences, None)
        }
        Against::Node => {
            let (differences, matched) = against_node(args, config_file, &recording, out)?;
            (differences, Some(matched))
        }
        Against::Sidecar => {
            let run = sidecar::run(&recording.conversations, args.compare, args.wait());
            let found = runtime()?.block_on(until_signal(run))?;
            out.log(&found.log).map_err(|error| full(&error))?;
            (found.differences, Some(found.matched))
        }
    };
    if differences.is_empty() && (is_empty || matched == Some(0)) {
        let file = args.file.display();
        return Err(format!(
            "nothing was compared: {file} has no frame that says how streams behave"
        ));
    }
    out.result(&differences, matched).map_err(|error| full(&error))?;
    Ok(if differences.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Drops what runs at the first signal that ends a program, so that nothing of it is left behind:
/// no sidecar, and no folder.
async fn until_signal<T>(run: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let caught = |kind| signal(kind).map_err(|error| format!("no signals: {error}"));
    let mut interrupts = caught(SignalKind::interrupt())?;
    let mut terminations = caught(SignalKind::terminate())?;
    let mut hangups = caught(SignalKind::hangup())?;
    let name = tokio::select! {
        done = run => return done,
        _ = interrupts.recv() => "SIGINT",
        _ = terminations.recv() => "SIGTERM",
        _ = hangups.recv() => "SIGHUP",
    };
    Err(format!("ended by {name} before there was a result"))
}

fn full(error: &io::Error) -> String {
    format!("could not write to standard output: {error}")
}

fn load(file: &Path) -> Result<Recording, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    if file.as_os_str() == "-" {
        return recording::read(io::stdin().lock()).map_err(|error| named(&error));
    }
    let input = File::open(file).map_err(|error| named(&error))?;
    recording::read(BufReader::new(input)).map_err(|error| named(&error))
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))
}

fn machine(
    args: &ReplayArgs,
    recording: &Recording,
    out: &Output,
) -> Result<(Vec<String>, usize), String> {
    let (mut incomplete, mut differences, mut compared) = (Incomplete::new(), Vec::new(), 0);
    for conversation in &recording.conversations {
        let report = machine::feed(conversation, &mut incomplete);
        out.report(&report, args.all).map_err(|error| full(&error))?;
        compared += report.rows.iter().filter(|row| row.is_judged).count();
        differences.extend(report.differences);
    }
    Ok((differences, compared))
}

fn against_node(
    args: &ReplayArgs,
    config_file: &Path,
    recording: &Recording,
    out: &Output,
) -> Result<(Vec<String>, u64), String> {
    let side = side(args, recording)?;
    if side == Side::Consumer && !args.yes {
        let text = "replay --as consumer makes the node's replicas what they were in the \
                    recording, documents too, and may roll them back: give --yes for a node that \
                    may lose them";
        return Err(text.to_owned());
    }
    if side == Side::Producer && args.node.is_none() {
        let text = "replay --as producer needs --node: without it, the node is [node] of the \
                    configuration file, which is the consumer";
        return Err(text.to_owned());
    }
    let found = nodes::find(args.node.as_deref(), &args.login, config_file);
    let endpoint = found.map_err(|error| error.to_string())?;
    let openings = recording.conversations.iter().flat_map(|one| one.openings.values());
    let recorded = openings.map(|opening| &*opening.bucket).find(|bucket| !bucket.is_empty());
    let bucket = args.bucket.as_deref().or(recorded).unwrap_or(BUCKET);
    let number = random::hex::<4>().map_err(|error| error.to_string())?;
    let suffix = format!(":replay-{number}");
    let consent = if args.yes { Consent::Given } else { Consent::None };
    let (compare, wait) = (args.compare, args.wait());
    let target =
        Target { endpoint: &endpoint, side, bucket, suffix: &suffix, consent, compare, wait };
    let runtime = runtime()?;
    let (mut differences, mut matched) = (Vec::new(), 0);
    for conversation in &recording.conversations {
        let played = runtime.block_on(until_signal(node::run(conversation, &target, out)))?;
        differences.extend(played.differences);
        matched += played.matched;
    }
    Ok((differences, matched))
}

/// Which recorded node the real one stands for.
fn side(args: &ReplayArgs, recording: &Recording) -> Result<Side, String> {
    if let Some(stands_for) = args.stands_for {
        return Ok(stands_for.into());
    }
    let is_there = |side| recording.conversations.iter().any(|one| one.has(side));
    match (is_there(Side::Consumer), is_there(Side::Producer)) {
        (true, false) => Ok(Side::Consumer),
        (false, true) => Ok(Side::Producer),
        _ => Err("both nodes are in the recording: say with --as consumer or --as producer which \
                  one this node stands for"
            .to_owned()),
    }
}
