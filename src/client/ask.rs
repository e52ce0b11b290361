//! Each subcommand: its requests, and its output from the answers.

use mcbp::VbId;
use serde_json::{Value, json};

use super::answer::Answer;
use super::args::{Ask, Transfer, desired};
use super::error::{AskError, Exit};
use super::http::{Http, segment};
use super::log_level::log_level;
use super::page::Page;
use super::show;
use super::streams;
use super::views::{Moved, MovedSet, Opened, Replications, Status};

pub(super) fn ask(ask: &Ask, http: &Http) -> Result<Answer, AskError> {
    match ask {
        Ask::Status { .. } => status(http),
        Ask::Streams { bucket, .. } => streams(http, bucket.as_deref()),
        Ask::Replicate { bucket, shares, replace, .. } => {
            let method = if *replace { "PUT" } else { "PATCH" };
            change(http, method, bucket, "replications", &json!(desired(shares)))
        }
        Ask::Connections { bucket, count, .. } => {
            change(http, "PUT", bucket, "connections", &json!({ "connections": count }))
        }
        Ask::Takeover { what, .. } => transfer(http, what, "takeover"),
        Ask::Move { what, .. } => transfer(http, what, "move"),
        Ask::Drain { bucket, .. } => drain(http, bucket.as_deref()),
        Ask::LogLevel { filters, reset, .. } => log_level(http, filters.as_ref(), *reset),
        // It prints while it reads, and has no answer at its end.
        Ask::Events(_) => Err(AskError::Usage("events prints its answer by itself".to_owned())),
    }
}

fn status(http: &Http) -> Result<Answer, AskError> {
    let answer = http.get("/api/v1/status")?;
    let status = http.read::<Status>(&answer)?;
    let exit = if status.ready { Exit::Done } else { Exit::NotReady };
    Ok(Answer { exit, json: answer, page: show::status(&status) })
}

fn streams(http: &Http, bucket: Option<&str>) -> Result<Answer, AskError> {
    let mut answer = http.get("/api/v1/replications")?;
    if let (Some(name), Some(Value::Array(buckets))) = (bucket, answer.get_mut("buckets")) {
        buckets.retain(|bucket| bucket.get("bucket").and_then(Value::as_str) == Some(name));
        if buckets.is_empty() {
            return Err(AskError::Usage(format!("the sidecar has no bucket {name:?}")));
        }
    }
    let page = streams::page(&http.read::<Replications>(&answer)?);
    Ok(Answer::done(answer, page))
}

fn change(
    http: &Http,
    method: &'static str,
    bucket: &str,
    what: &str,
    body: &Value,
) -> Result<Answer, AskError> {
    let path = format!("/api/v1/buckets/{}/{what}", segment(bucket));
    let answer = http.change(method, &path, body, bucket)?;
    let Opened { open } = http.read(&answer)?;
    Ok(Answer::done(answer, format!("{bucket}: {open} streams are open")))
}

fn transfer(http: &Http, what: &Transfer, how: &str) -> Result<Answer, AskError> {
    let Transfer { bucket, vbs, from } = what;
    let of_bucket = format!("/api/v1/buckets/{}", segment(bucket));
    let first = vbs.iter().next().filter(|_| vbs.len() == 1);
    let Some(VbId(vb)) = first else {
        let body = json!({ "from": from, "vbuckets": vbs });
        let answer = http.moves(&format!("{of_bucket}/{how}"), &body, bucket)?;
        let text = show::moved(bucket, from, &http.read::<MovedSet>(&answer)?.moved);
        return Ok(Answer::done(answer, text));
    };
    let path = format!("{of_bucket}/vbuckets/{vb}/{how}");
    let answer = http.moves(&path, &json!({ "from": from }), bucket)?;
    let Moved { elapsed_ms, .. } = http.read(&answer)?;
    let took = show::ms(elapsed_ms);
    Ok(Answer::done(answer, format!("{bucket}: vb:{vb} is active here, dead at {from}, in {took}")))
}

/// Stops replicating one bucket or all. A bucket that fails does not stop the others.
fn drain(http: &Http, bucket: Option<&str>) -> Result<Answer, AskError> {
    let buckets = match bucket {
        Some(bucket) => vec![bucket.to_owned()],
        None => {
            let status: Status = http.read(&http.get("/api/v1/status")?)?;
            status.buckets.into_iter().map(|bucket| bucket.bucket).collect()
        }
    };
    let (mut all, mut whole, mut exit) = (Vec::new(), Page::default(), Exit::Done);
    for bucket in buckets {
        let changed = change(http, "PUT", &bucket, "replications", &json!({}));
        let Answer { exit: of_one, json: mut one, page } = changed.unwrap_or_else(Answer::from);
        exit = exit.max(of_one);
        whole = whole.page(page).text("\n");
        if let Some(one) = one.as_object_mut() {
            one.insert("bucket".to_owned(), Value::from(bucket));
        }
        all.push(one);
    }
    Ok(Answer { exit, json: json!({ "buckets": all }), page: whole })
}
