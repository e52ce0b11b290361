//! `dcp-proxy verify --in-sidecar` and `--repair`: the sidecar compares its copies with their
//! producers; those that differ are made anew, after a question, and compared again.

mod report;

use std::thread::sleep;
use std::time::{Duration, Instant};

use replica::plan::VbSet;
use serde_json::{Value, json};

use self::report::{answer, confirmed, copies, differing, plan, within};
use super::answer::Answer;
use super::caller::Caller;
use super::confirm;
use super::error::AskError;
use super::http::Call;
use super::output::say;
use super::plain::plain;
use super::views::{Verification, VerifiedTarget};
use super::wait;
use crate::session::escaped;

/// How often the progress is read.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is said, and when its wait for nothing ends.
const SAY: Duration = Duration::from_secs(10);
const IDLE_MAX: Duration = Duration::from_secs(3600);
/// What the sidecar is to compare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InSidecar {
    /// The bucket.
    pub bucket: String,
    /// Only these vBuckets.
    pub vb: Option<VbSet>,
    /// Whether those that differ are made anew.
    pub repair: bool,
    /// Whether that is not asked for.
    pub yes: bool,
}

pub(super) fn verify(caller: &Caller<'_>, what: &InSidecar) -> Result<Answer, AskError> {
    let known = of_bucket(caller, &what.bucket)?;
    let vbs = match &what.vb {
        Some(vbs) => Some(vbs.clone()),
        // What is known to differ is compared again first, and the rest is not.
        None if what.repair => Some(differing(&known)).filter(|known| !known.is_empty()),
        None => None,
    };
    let (compared, targets) = compare(caller, what, vbs.as_ref())?;
    let to_repair = within(&confirmed(&known, &targets), &compared);
    if !what.repair || to_repair.is_empty() {
        return Ok(answer(&what.bucket, &compared, &targets));
    }
    confirm::confirm(&plan(&what.bucket, &to_repair, &targets), what.yes)?;
    say(format!("making {} anew", copies(to_repair.len(), &what.bucket)));
    let path = format!("/api/v1/buckets/{}/renew", escaped(&what.bucket));
    let call = Call::new("POST", path).body(json!({ "vbuckets": to_repair }));
    let look = caller.command(&["status"]);
    let tell = || {
        say(format!(
            "waits for the streams of {}: until they are open, these copies may be empty, see: \
             {look}",
            copies(to_repair.len(), &what.bucket)
        ));
    };
    wait::change_told(&caller.http, call, &what.bucket, tell).map_err(AskError::or_older)?;
    let (compared, targets) = compare(caller, what, Some(&to_repair))?;
    Ok(answer(&what.bucket, &compared, &targets))
}

/// Asks for a comparison and waits for its end. Returns what was asked for, and what is known.
fn compare(
    caller: &Caller<'_>,
    what: &InSidecar,
    vbs: Option<&VbSet>,
) -> Result<(VbSet, Vec<VerifiedTarget>), AskError> {
    let bucket = &what.bucket;
    let mut body = json!({});
    if let Some(body) = body.as_object_mut() {
        body.extend(vbs.map(|set| ("vbuckets".to_owned(), json!(set))));
    }
    let path = format!("/api/v1/buckets/{}/verify", escaped(bucket));
    let reply =
        caller.http.quick(&Call::new("POST", path).body(body)).map_err(AskError::or_older)?;
    let asked: VbSet = caller.http.read(reply.body.get("vbuckets").unwrap_or(&Value::Null))?;
    say(format!("comparing {} with its producers", copies(asked.len(), bucket)));
    let (mut before, mut moved, mut said) = (None, Instant::now(), Instant::now());
    loop {
        let targets = of_bucket(caller, bucket)?;
        let busy: Vec<_> = targets.iter().filter(|target| target.is_busy()).collect();
        if busy.is_empty() {
            return Ok((asked, targets));
        }
        let left: u64 = busy.iter().filter_map(|target| Some(target.current.as_ref()?.left)).sum();
        let held = busy.iter().find_map(|target| target.current.as_ref()?.held.clone());
        let state = (left, held);
        if before.as_ref() != Some(&state) {
            (before, moved) = (Some(state.clone()), Instant::now());
        }
        if said.elapsed() >= SAY {
            said = Instant::now();
            let why = state.1.map(|why| format!(", waits: {}", plain(&why))).unwrap_or_default();
            say(format!("{left} vBuckets of {bucket} left{why}"));
        }
        if moved.elapsed() >= IDLE_MAX {
            let look = caller.command(&["status"]);
            return Err(AskError::Failed(format!(
                "no vBucket of {bucket} was compared for an hour, {left} are left: the sidecar \
                 goes on, see: {look}"
            )));
        }
        sleep(LOOK);
    }
}

fn of_bucket(caller: &Caller<'_>, bucket: &str) -> Result<Vec<VerifiedTarget>, AskError> {
    let http = &caller.http;
    let all = http.get("/api/v1/verify").map_err(AskError::or_older)?;
    let Verification { targets } = http.read(&all)?;
    Ok(targets.into_iter().filter(|target| target.bucket == bucket).collect())
}
