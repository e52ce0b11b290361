//! Changes of what is replicated: `replicate`, `drain`, `pause`, `resume`, `restart`,
//! `connections`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::Answer;
use super::caller::Caller;
use super::confirm;
use super::error::{AskError, Exit};
use super::http::Call;
use super::page::Page;
use super::parts::{Drain, Replicate, Restart, Selection, desired};
use super::preview::{Edit, Seen, preview};
use super::views::{Opened, Status};
use super::wait::{self, Limits, Outcome};
use crate::session::escaped;

/// How often an addition that closes nothing is tried where others change the bucket meanwhile.
const TRIES_MAX: u32 = 3;

pub(super) fn replicate(caller: &Caller<'_>, change: &Replicate) -> Result<Answer, AskError> {
    let Replicate { bucket, shares, remove, replace, dry_run, yes, .. } = change;
    let map = desired(shares);
    let edit = match (remove, replace) {
        (true, _) => Edit::Remove(map),
        (_, true) => Edit::Replace(map),
        (false, false) => Edit::Add(map),
    };
    if *yes {
        return send(caller, edit.call(bucket), bucket, "");
    }
    let mut tries = 1;
    loop {
        let Seen { preview, revision, body } = preview(&caller.http, bucket, &edit)?;
        let harmless = preview.closes() == 0;
        let previews = BTreeMap::from([(bucket.clone(), preview)]);
        if *dry_run {
            let page = match previews.values().all(|it| it.closes() + it.opens() == 0) {
                true => Page::from(format!("{bucket}: nothing would change\n")),
                false => Page::default(),
            };
            return Ok(Answer::done(body, page.table(confirm::table(&previews))));
        }
        confirm::confirm(&confirm::plan(&previews), *yes)?;
        match send(caller, edit.call(bucket).only_at(revision), bucket, "") {
            // Nothing was shown that might not be true any more.
            Err(error) if error.is_conflict() && harmless && tries < TRIES_MAX => tries += 1,
            Err(error) if error.is_conflict() => return Err(changed_meanwhile(bucket, &error)),
            answer => return answer,
        }
    }
}

fn changed_meanwhile(bucket: &str, error: &AskError) -> AskError {
    AskError::Failed(format!(
        "{bucket} was changed by somebody else in the meantime, so that something else would have \
         happened than was shown: nothing was changed, repeat the command ({error})"
    ))
}

/// Sends a change and waits for its end.
fn send(caller: &Caller<'_>, call: Call, bucket: &str, done: &str) -> Result<Answer, AskError> {
    let body = wait::change(&caller.http, call, bucket).map_err(AskError::or_older)?.body;
    opened(caller, body, bucket, done)
}

pub(super) fn connections(
    caller: &Caller<'_>,
    bucket: &str,
    count: u8,
) -> Result<Answer, AskError> {
    let path = format!("{}/connections", of(bucket));
    let call = Call::new("PUT", path).body(json!({ "connections": count }));
    send(caller, call, bucket, "")
}

/// `pause` or `resume`.
pub(super) fn pause(
    caller: &Caller<'_>,
    what: &Selection,
    how: &'static str,
) -> Result<Answer, AskError> {
    let Selection { bucket, vbs, producer } = what;
    let done = if how == "pause" { "paused, " } else { "resumed, " };
    let mut body = json!({});
    if let Some(body) = body.as_object_mut() {
        body.extend(producer.iter().map(|name| ("producer".to_owned(), json!(name))));
        body.extend(vbs.iter().map(|set| ("vbuckets".to_owned(), json!(set))));
    }
    send(caller, Call::new("POST", format!("{}/{how}", of(bucket))).body(body), bucket, done)
}

pub(super) fn restart(caller: &Caller<'_>, what: &Restart) -> Result<Answer, AskError> {
    let Restart { bucket, vbs, producer, connection } = what;
    let body = match (vbs, producer, connection) {
        (Some(set), _, _) => json!({ "vbuckets": set }),
        (None, producer, None) => json!({ "producer": producer }),
        (None, producer, Some(number)) => json!({ "producer": producer, "connection": number }),
    };
    send(
        caller,
        Call::new("POST", format!("{}/restart", of(bucket))).body(body),
        bucket,
        "restarted, ",
    )
}

/// Stops replicating one bucket or all. A bucket that fails does not stop the others.
pub(super) fn drain(caller: &Caller<'_>, what: &Drain) -> Result<Answer, AskError> {
    let Drain { bucket, timeout, yes, .. } = what;
    let buckets = match bucket {
        Some(bucket) => vec![bucket.clone()],
        None => {
            let status: Status = caller.http.read(&caller.http.get("/api/v1/status")?)?;
            status.buckets.into_iter().map(|bucket| bucket.bucket).collect()
        }
    };
    let nothing = Edit::Replace(BTreeMap::new());
    let (mut previews, mut revisions) = (BTreeMap::new(), BTreeMap::new());
    if !*yes {
        for bucket in &buckets {
            let Seen { preview, revision, .. } = preview(&caller.http, bucket, &nothing)?;
            previews.insert(bucket.clone(), preview);
            revisions.insert(bucket.clone(), revision);
        }
        confirm::confirm(&confirm::plan(&previews), *yes)?;
    }
    let deadline = timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (mut all, mut whole, mut exit) = (Vec::new(), Page::default(), Exit::Done);
    for bucket in buckets {
        let revision = revisions.remove(&bucket).flatten();
        let call = nothing.call(&bucket).only_at(revision);
        let drained = drain_one(caller, call, &bucket, deadline);
        if let Err(error @ AskError::Interrupted(_)) = drained {
            return Err(error);
        }
        let Answer { exit: of_one, json: mut one, page } = drained.unwrap_or_else(Answer::from);
        exit = exit.max(of_one);
        whole = whole.page(page).text("\n");
        if let Some(one) = one.as_object_mut() {
            one.insert("bucket".to_owned(), Value::from(bucket));
        }
        all.push(one);
    }
    Ok(Answer { exit, json: json!({ "buckets": all }), page: whole })
}

/// Sends an empty map, and waits until the deadline at most.
fn drain_one(
    caller: &Caller<'_>,
    call: Call,
    bucket: &str,
    deadline: Option<Instant>,
) -> Result<Answer, AskError> {
    let http = &caller.http;
    let outcome =
        wait::send(http, call).wait(Limits::of_change(deadline), || http.is_moving(bucket));
    let body = match outcome {
        Outcome::Answer(Err(error)) if error.is_conflict() => {
            return Err(changed_meanwhile(bucket, &error));
        }
        Outcome::Answer(answer) => answer?.body,
        Outcome::Idle => return Err(http.lost()),
        Outcome::Late => {
            return Err(AskError::Failed(still_open(caller, bucket, "the timeout has passed")));
        }
        Outcome::Interrupted => {
            return Err(AskError::Interrupted(still_open(caller, bucket, "interrupted")));
        }
    };
    opened(caller, body, bucket, "")
}

/// The answer of a bucket that was changed. `done` is what has happened, with its comma.
fn opened(caller: &Caller<'_>, body: Value, bucket: &str, done: &str) -> Result<Answer, AskError> {
    let Opened { open } = caller.http.read(&body)?;
    let streams = if open == 1 { "stream is" } else { "streams are" };
    Ok(Answer::done(body, format!("{bucket}: {done}{open} {streams} open")))
}

/// What is still open of a bucket that is being drained.
fn still_open(caller: &Caller<'_>, bucket: &str, why: &str) -> String {
    let http = &caller.http;
    let status = http.get("/api/v1/status").and_then(|answer| http.read::<Status>(&answer));
    let open = status.ok().and_then(|status| {
        let found = status.buckets.into_iter().find(|found| found.bucket == bucket);
        found.map(|found| found.open)
    });
    let open = match open {
        Some(0) => "but a node has not confirmed that all streams are closed".to_owned(),
        Some(1) => "1 stream is still open".to_owned(),
        Some(open) => format!("{open} streams are still open"),
        None => "how many streams are still open is unknown".to_owned(),
    };
    let watch = caller.command(&["streams", bucket]);
    format!("{bucket}: {why}, {open}; the sidecar goes on closing, see: {watch}")
}

fn of(bucket: &str) -> String {
    format!("/api/v1/buckets/{}", escaped(bucket))
}
