//! Takeovers and moves: their requests, their progress while they run, and what is left to do.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mcbp::VbId;
use replica::plan::VbSet;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::answer::Answer;
use super::caller::Caller;
use super::error::{AskError, Exit};
use super::failures;
use super::http::{Call, Reply};
use super::output::say;
use super::parts::Transfer;
use super::progress::Progress;
use super::show::ms;
use super::views::{Failures, Move, Moved, MovedSet, Replications};
use super::wait::{self, Limits, MOVE_IDLE_MAX, Outcome};
use crate::session::escaped;

/// How often the progress is read and drawn on a terminal.
const DRAW_EVERY: Duration = Duration::from_secs(1);
/// How often it is read, and printed as a line, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// `takeover` or `move`.
pub(super) fn transfer(
    caller: &Caller<'_>,
    what: &Transfer,
    how: &'static str,
) -> Result<Answer, AskError> {
    let Transfer { bucket, vbs, from } = what;
    let of_bucket = format!("/api/v1/buckets/{}", escaped(bucket));
    let one = vbs.iter().next().filter(|_| vbs.len() == 1);
    let call = match one {
        Some(VbId(vb)) => Call::new("POST", format!("{of_bucket}/vbuckets/{vb}/{how}"))
            .body(json!({ "from": from })),
        None => Call::new("POST", format!("{of_bucket}/{how}"))
            .body(json!({ "from": from, "vbuckets": vbs })),
    };
    match run(caller, call, what) {
        Ok(Outcome::Answer(Reply { body, .. })) => done(caller, what, body, one),
        Ok(Outcome::Interrupted) => Err(interrupted(caller, what, how)),
        Ok(Outcome::Idle | Outcome::Late) => Ok(left(caller, what, how, &caller.http.lost())),
        Err(error) if error.exit() == Exit::Wrong => Err(error),
        Err(error) => Ok(left(caller, what, how, &error)),
    }
}

/// Sends the command, and shows its progress until it is answered.
fn run(caller: &Caller<'_>, call: Call, what: &Transfer) -> Result<Outcome<Reply>, AskError> {
    let http = &caller.http;
    let waiter = wait::send(http, call);
    let mut screen = Screen::new(what.vbs.len(), caller.to.json);
    let (mut progress, begin) = (Progress::new(what.vbs.clone()), Instant::now());
    let limits = Limits { every: screen.every, idle_max: MOVE_IDLE_MAX, deadline: None };
    let outcome = waiter.wait(limits, || {
        let moves = moves(caller, &what.bucket).unwrap_or_default();
        let is_moving = progress.read(begin.elapsed(), &moves);
        screen.show(&progress);
        // Moves of others may come first.
        is_moving || !moves.is_empty()
    });
    Ok(match outcome {
        Outcome::Answer(answer) => Outcome::Answer(answer?),
        Outcome::Idle => Outcome::Idle,
        Outcome::Late => Outcome::Late,
        Outcome::Interrupted => Outcome::Interrupted,
    })
}

/// The moves of a bucket that run and wait.
fn moves(caller: &Caller<'_>, bucket: &str) -> Result<Vec<Move>, AskError> {
    let all: Replications = caller.http.read(&caller.http.get("/api/v1/replications")?)?;
    let found = all.buckets.into_iter().find(|found| found.bucket == bucket);
    Ok(found.map(|found| found.moves).unwrap_or_default())
}

/// All vBuckets were moved.
fn done(
    caller: &Caller<'_>,
    what: &Transfer,
    body: Value,
    one: Option<VbId>,
) -> Result<Answer, AskError> {
    let Transfer { bucket, from, .. } = what;
    let Some(VbId(vb)) = one else {
        let page = failures::moved(bucket, from, &caller.http.read::<MovedSet>(&body)?.moved);
        return Ok(Answer::done(body, page));
    };
    let Moved { elapsed_ms, .. } = caller.http.read(&body)?;
    let took = ms(elapsed_ms);
    Ok(Answer::done(body, format!("{bucket}: vb:{vb} is active here, dead at {from}, in {took}")))
}

/// What failed, and the command that does the rest.
fn left(caller: &Caller<'_>, what: &Transfer, how: &str, error: &AskError) -> Answer {
    let moved = error.body().and_then(|body| Failures::deserialize(body).ok()?.moved);
    let mut rest = what.vbs.clone();
    for moved in moved.unwrap_or_default() {
        rest.remove(VbId(moved.vbucket));
    }
    let command = resume(caller, what, how, &rest);
    let mut json = error.body().cloned().unwrap_or_else(|| json!({ "error": error.to_string() }));
    if let Some(json) = json.as_object_mut() {
        json.insert("left".to_owned(), json!({ "vbuckets": rest, "command": command }));
    }
    let page = failures::page(error);
    let page = if page.ends_line() { page } else { page.text("\n") };
    let many = if rest.len() == 1 { "vBucket is" } else { "vBuckets are" };
    let text = format!(
        "{} {many} left; those that are active here already count as done. To resume:\n{command}\n",
        rest.len()
    );
    Answer { exit: error.exit(), json, page: page.text(text) }
}

fn interrupted(caller: &Caller<'_>, what: &Transfer, how: &str) -> AskError {
    let watch = caller.command(&["status", "--watch"]);
    let again = resume(caller, what, how, &what.vbs);
    AskError::Interrupted(format!(
        "interrupted: the sidecar goes on with the {how} of {} vBuckets of {}. To watch it:\n\
         {watch}\nOnce it is over, this does what has failed, if anything has:\n{again}",
        what.vbs.len(),
        what.bucket
    ))
}

fn resume(caller: &Caller<'_>, what: &Transfer, how: &str, rest: &VbSet) -> String {
    caller.command(&[how, &what.bucket, &rest.to_string(), "--from", &what.from])
}

/// Where the progress is shown: a bar on a terminal, lines elsewhere, nothing for programs. It
/// goes to standard error; standard output has the result alone.
struct Screen {
    bar: Option<ProgressBar>,
    is_quiet: bool,
    every: Duration,
}

impl Screen {
    fn new(total: usize, is_quiet: bool) -> Self {
        let is_terminal = io::stderr().is_terminal() && !is_quiet;
        let bar = is_terminal.then(|| {
            let total = u64::try_from(total).unwrap_or(u64::MAX);
            let target = ProgressDrawTarget::stderr();
            let bar = ProgressBar::with_draw_target(Some(total), target);
            let style = "[{bar:30}] {pos}/{len} vBuckets done, {msg}";
            // The template is a literal. If it is invalid, a plain bar is better than none.
            let style = ProgressStyle::with_template(style);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message("waiting for its turn");
            bar
        });
        Self { bar, is_quiet, every: if is_terminal { DRAW_EVERY } else { LINE_EVERY } }
    }

    fn show(&mut self, progress: &Progress) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(progress.words());
                bar.set_position(u64::try_from(progress.done()).unwrap_or(u64::MAX));
            }
            None if self.is_quiet => {}
            None => say(progress.line()),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
