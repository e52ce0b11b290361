//! `dcp-proxy reload`: the sidecar reads its configuration file again.

use std::fmt::Write as _;

use serde::Deserialize as _;
use serde_json::{Value, json};
use ureq::http::StatusCode;

use super::answer::Answer;
use super::error::{AskError, Exit};
use super::http::{Call, Http};
use super::plain::plain;
use super::views::Reloaded;

/// Asks for it. Where the file is invalid, the problems are the answer, and nothing has changed.
pub(super) fn reload(http: &Http) -> Result<Answer, AskError> {
    match http.quick(&Call::new("POST", "/reload").body(json!({}))) {
        Ok(reply) => {
            let text = done(&http.read(&reply.body)?);
            Ok(Answer::done(reply.body, text))
        }
        Err(AskError::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, text, body }) => {
            let page = refused(&text, &body).into();
            Ok(Answer { exit: Exit::Failed, json: body, page })
        }
        Err(error) => Err(error.or_older()),
    }
}

/// What the reload has changed, in words.
pub(super) fn done(reloaded: &Reloaded) -> String {
    let Reloaded { changed, restart_needed, warnings, .. } = reloaded;
    let mut text = match changed.len() {
        0 => "reloaded, nothing has changed\n".to_owned(),
        _ => "reloaded\n".to_owned(),
    };
    list(&mut text, "changed", changed);
    list(&mut text, "restart needed", restart_needed);
    list(&mut text, "warning", warnings);
    text
}

/// Why nothing was reloaded, in words.
fn refused(error: &str, body: &Value) -> String {
    let mut text = format!("not reloaded, the old configuration stays: {error}\n");
    let problems = Reloaded::deserialize(body).map(|body| body.problems).unwrap_or_default();
    for problem in &problems {
        // A problem has a line for the place in the file, and one that points at it.
        let lines = problem.lines().map(plain);
        let lines: Vec<_> = lines.collect();
        _ = writeln!(text, "{}", lines.join("\n"));
    }
    text
}

fn list(text: &mut String, what: &str, keys: &[String]) {
    for key in keys {
        _ = writeln!(text, "{what}: {}", plain(key));
    }
}
