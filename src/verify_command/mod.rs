//! `dcp-proxy verify`: compares what two nodes have of a bucket.
//!
//! `args` has its arguments, `routes` finds the nodes, `in_force` asks the running sidecar for the
//! vBuckets, `state` is what a run leaves for the next one, `report` has the lines for people.

mod args;
mod in_force;
mod report;
mod routes;
mod state;

use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use self::report::Report;
use self::routes::{NoRoute, Routes, routes};
use self::state::State;
use crate::client::{Exit, write_line};
use crate::clock::utc;
use crate::signals;
use crate::verify::{Event, Progress, Verified, Verify, verify_each};

pub use self::args::VerifyArgs;

/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(250);
/// How often the file of `--state` is written.
const STATE_EVERY: Duration = Duration::from_secs(1);

/// Compares, and prints differences to standard output and the rest to standard error. `is_named`
/// is whether the command line names the file `config`.
#[must_use]
pub fn run(args: &VerifyArgs, config: &Path, is_named: bool) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(compare(args, config, is_named)),
        Err(error) => Err(NoRoute::Failed(format!("no threads: {error}"))),
    };
    match done {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Failed,
        Err(NoRoute::Wrong(what)) => {
            eprintln!("{what}");
            Exit::Wrong
        }
        Err(NoRoute::Failed(what)) => {
            eprintln!("{what}");
            Exit::Failed
        }
    }
}

/// Returns whether everything was compared and is identical.
async fn compare(args: &VerifyArgs, config: &Path, is_named: bool) -> Result<bool, NoRoute> {
    let failed = |error: io::Error| NoRoute::Failed(error.to_string());
    let stop = signals::stop_token().map_err(failed)?;
    let state = args.state.as_deref().map(State::read).transpose().map_err(NoRoute::Wrong)?;
    let age = args.state.as_deref().and_then(age);
    let Routes { routes, remark } = routes(args, config, is_named).await?;
    if let Some(remark) = remark {
        eprintln!("{remark}");
    }
    let mut run = Run { state, written: Instant::now(), stop, trouble: None };
    let mut is_identical = true;
    let mut all = Verified::default();
    let mut errors = Vec::new();
    // After an interruption, what is left is told as not compared.
    for mut what in routes {
        let before = run.state.as_ref().map(|state| state.resume(&mut what)).unwrap_or_default();
        if what.vbs.is_empty() && before.vbuckets > 0 {
            let (file, age) = (args.state.as_deref(), age.as_deref().unwrap_or("an unknown time"));
            let file = file.map(|file| file.display().to_string()).unwrap_or_default();
            eprintln!(
                "all vBuckets were compared before, the last ones at {age}: the result is that of \
                 then; remove {file} to compare them again"
            );
        }
        let report = Report::new(&what, &before);
        let (verified, error) = run.route(&what, before, &report).await;
        report.ended(&verified, error.as_deref());
        errors.extend(error.clone());
        is_identical &= error.is_none() && verified.is_identical();
        all.join(&verified);
    }
    if args.json {
        run.print(&report::summary(&all, is_identical, &errors));
    }
    match run.trouble {
        Some(trouble) => Err(NoRoute::Failed(trouble)),
        None => Ok(is_identical),
    }
}

/// When the file of `--state` was written.
fn age(file: &Path) -> Option<String> {
    let at = std::fs::metadata(file).and_then(|of| of.modified()).ok()?;
    Some(utc(at))
}

/// One run of the command.
struct Run {
    state: Option<State>,
    written: Instant,
    stop: CancellationToken,
    /// The output or the file of `--state` cannot be written.
    trouble: Option<String>,
}

impl Run {
    /// Compares two nodes. Returns what was compared, and why not all of it.
    async fn route(
        &mut self,
        what: &Verify,
        before: Verified,
        report: &Report,
    ) -> (Verified, Option<String>) {
        let (progress, stop) = (Progress::default(), self.stop.clone());
        let mut verified = Verified { wanted: before.wanted + what.vbs.len(), ..before };
        let mut each = |event: Event| self.event(event, what, &mut verified);
        let ended = {
            let mut verifying = pin!(verify_each(what, &progress, &mut each, &stop));
            let mut tick = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    ended = &mut verifying => break ended,
                    _ = tick.tick() => report.show(progress.now()),
                }
            }
        };
        self.keep(true);
        (verified, ended.err().map(|error| error.to_string()))
    }

    fn event(&mut self, event: Event, what: &Verify, verified: &mut Verified) {
        match event {
            Event::Found(difference) => match serde_json::to_string(&difference) {
                Ok(line) => self.print(&line),
                Err(error) => self.fail(error.to_string()),
            },
            Event::Done(done) => {
                verified.add(&done);
                // What could not be compared is left for the next run.
                let is_compared = !done.by_class.keys().any(|class| class.is_unknown());
                if let Some(state) = self.state.as_mut().filter(|_| is_compared) {
                    state.note(what, &done);
                }
                self.keep(false);
            }
        }
    }

    /// A reader that closes the pipe wants no more.
    fn print(&mut self, line: &str) {
        match write_line(line) {
            Ok(true) => {}
            Ok(false) => self.stop.cancel(),
            Err(error) => self.fail(format!("could not write to standard output: {error}")),
        }
    }

    fn keep(&mut self, now: bool) {
        let due = now || self.written.elapsed() >= STATE_EVERY;
        let Some(state) = self.state.as_mut().filter(|state| due && state.is_dirty) else { return };
        self.written = Instant::now();
        if let Err(error) = state.write() {
            self.fail(format!("could not write the file of --state: {error}"));
        }
    }

    fn fail(&mut self, what: String) {
        self.trouble.get_or_insert(what);
        self.stop.cancel();
    }
}
