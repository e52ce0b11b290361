//! `dcp-proxy tail`: the changes of a data node as JSON lines.
//!
//! - `args`: the command line; `plan`: what to follow, from the node and the checkpoint
//! - `reader`: this thread reads the node, by the rules of the package `follow`
//! - `writer`: another one makes lines and writes them to `output`, or to the command of `exec`
//! - `taken`: how far lines were taken; `shared`: that and the rest which threads share
//! - `save`: a third thread writes that to the checkpoint
//! - `failure`: what is told at the end

mod args;
mod exec;
mod failure;
mod output;
mod plan;
mod reader;
mod save;
mod shared;
mod taken;
mod writer;

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use self::exec::{Exec, Group, Patience};
use self::failure::Failure;
use self::output::Output;
use self::plan::Plan;
use self::reader::{Ended, Reader};
use self::save::Save;
use self::shared::Shared;
use self::writer::Writer;
use crate::client::Exit;
use crate::{nodes, signals};

pub use self::args::{From, TailArgs};

/// How long the line that is being written may take after Ctrl-C. A pipe that nobody reads would
/// take for ever.
const GRACE: Duration = Duration::from_secs(1);
/// How often it is checked on.
const TICK: Duration = Duration::from_millis(20);

/// Shows the changes, until the end that was asked for, Ctrl-C, or a closed pipe.
#[must_use]
pub fn run(args: &TailArgs, config: &Path) -> Exit {
    match tail(args, config) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit()
        }
    }
}

fn tail(args: &TailArgs, config: &Path) -> Result<(), Failure> {
    let endpoint = nodes::find(args.node.as_deref(), &args.login, config)
        .map_err(|error| Failure::Wrong(error.to_string()))?;
    // Before it is read.
    let _lock = args.checkpoint.as_deref().map(save::lock).transpose()?;
    let failed = |error: io::Error| Failure::Failed(format!("no runtime: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let done = runtime.block_on(async {
        let group = Arc::new(Group::default());
        let last = Arc::clone(&group);
        let stop = signals::stop_token_with(move || last.kill()).map_err(failed)?;
        let plan = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            plan = plan::plan(args, endpoint) => plan?,
        };
        follow(args, &plan, &group, &stop).await
    });
    // A name lookup that hangs must not keep the process.
    runtime.shutdown_background();
    done
}

async fn follow(
    args: &TailArgs,
    plan: &Plan,
    group: &Arc<Group>,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let tracks = plan.vbs.iter().map(|(vb, (track, _))| (*vb, track.clone())).collect();
    let shared = Arc::new(Shared::new(tracks));
    let save = args.checkpoint.as_ref().map(|path| {
        let (bucket, filter) = (plan.bucket.clone(), plan.filter.clone());
        let (others, shared) = (plan.others.clone(), Arc::clone(&shared));
        Arc::new(Save { path: path.clone(), bucket, filter, others, shared })
    });
    if let Some(save) = &save {
        // What is shown first is fixed before the first line, and a file that cannot be written is
        // found now.
        shared.taken().touch();
        save.save()?;
    }
    let (exec, file) = match &args.exec {
        Some(command) => {
            let (exec, file) = exec::start(command, group, &shared)?;
            (Some(exec), file)
        }
        None => (None, standard_output()?),
    };
    let (items, received) = mpsc::channel();
    let writer = Writer {
        output: Output::new(file, Arc::clone(&shared.stop)),
        shared: Arc::clone(&shared),
        options: plan.lines,
        key: args.key.clone().unwrap_or_default().into_bytes(),
        written_is_taken: exec.is_none(),
        marks: Vec::new(),
        lines: 0,
        passed: 0,
    };
    let writes = std::thread::spawn(move || writer.run(&received));
    let (saves_end, saves) = mpsc::channel();
    let saver = save.clone().map(|save| std::thread::spawn(move || save.run(&saves)));

    let ended = Reader::new(plan, &shared, items).run(stop).await;
    let mut patience = exec.as_ref().map(|_| Patience::new());
    let ended = finish(ended, &shared, stop, &mut patience, || writes.is_finished()).await;
    let unfinished = match (exec, patience) {
        (Some(exec), Some(patience)) => finish_exec(exec, patience, &ended, &shared, stop).await,
        _ => None,
    };
    drop(saves_end);
    if let Some(saver) = saver {
        // A panic of it has been told.
        _ = saver.join();
    }
    let saved = save.map_or(Ok(()), |save| save.save());
    match (ended, shared.failure(), unfinished) {
        (Ended::Failed(failure), _, _) | (_, Some(failure), _) => Err(failure),
        // Ctrl-C ends the command too.
        (Ended::Stopped, None, Some(_)) if stop.is_cancelled() => saved,
        (_, None, Some(failure)) => Err(failure),
        (Ended::Done | Ended::Stopped, None, None) => saved,
    }
}

/// Waits until the lines are written: all of them after [`Ended::Done`], otherwise the one that is
/// being written.
async fn finish(
    ended: Ended,
    shared: &Shared,
    stop: &CancellationToken,
    patience: &mut Option<Patience>,
    is_written: impl Fn() -> bool,
) -> Ended {
    let mut ticks = interval(TICK);
    let ended = match ended {
        Ended::Done => loop {
            if is_written() {
                return Ended::Done;
            }
            let is_stopped = stop.is_cancelled();
            let lines = shared.taken().lines;
            let is_late = patience.as_mut().is_some_and(|it| it.is_over(lines, is_stopped));
            if is_stopped || is_late {
                break Ended::Stopped;
            }
            ticks.tick().await;
        },
        ended => ended,
    };
    shared.stop.store(true, Relaxed);
    let written = async {
        while !is_written() {
            ticks.tick().await;
        }
    };
    if timeout(GRACE, written).await.is_err() && patience.is_none() {
        eprintln!("standard output takes nothing: the last line may be cut off");
    }
    ended
}

/// Waits until the command has done its lines. Returns why it has not, if so.
async fn finish_exec(
    mut exec: Exec,
    mut patience: Patience,
    ended: &Ended,
    shared: &Shared,
    stop: &CancellationToken,
) -> Option<Failure> {
    let mut ticks = interval(TICK);
    while !exec.is_over() && !patience.is_over(shared.taken().lines, stop.is_cancelled()) {
        ticks.tick().await;
    }
    let was_over = exec.is_over();
    let how = exec.end().await;
    let (lines, written) = {
        let taken = shared.taken();
        (taken.lines, taken.written)
    };
    let what = format!("the command of --exec {how} and has done {lines} of {written} lines");
    if stop.is_cancelled() && !was_over {
        eprintln!("{what}");
    }
    match ended {
        _ if lines < written => Some(Failure::Failed(what)),
        // Nobody asked for an end before the command was over.
        Ended::Stopped if !stop.is_cancelled() => {
            let text = "more are to come: see what it wrote to standard error";
            let what = format!("the command of --exec {how} and has done {lines} lines");
            Some(Failure::Failed(format!("{what}; {text}")))
        }
        _ => None,
    }
}

/// Standard output without the buffer of the library.
fn standard_output() -> Result<File, Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("no standard output: {error}"));
    let file = io::stdout().as_fd().try_clone_to_owned().map(File::from).map_err(failed)?;
    output::end_line(&file).map_err(failed)?;
    Ok(file)
}
