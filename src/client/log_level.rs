//! The subcommand `log-level`: what is in force, as the text that it takes.

use logger::{Filters, word};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::error::AskError;
use super::http::{Call, Http};
use super::views::Levels;

pub(super) fn log_level(
    http: &Http,
    filters: Option<&Filters>,
    reset: bool,
) -> Result<Answer, AskError> {
    let answer = match filters {
        Some(filters) => put(http, body(filters))?,
        None if reset => put(http, json!({ "reset": true }))?,
        None => http.get("/log-level")?,
    };
    let text = text(&http.read::<Levels>(&answer)?);
    Ok(Answer::done(answer, text))
}

fn put(http: &Http, body: Value) -> Result<Value, AskError> {
    http.quick(&Call::new("PUT", "/log-level").body(body)).map(|reply| reply.body)
}

fn body(filters: &Filters) -> Value {
    let mut body = Map::new();
    if let Some(level) = filters.level {
        body.insert("level".to_owned(), word(level).into());
    }
    // An older sidecar knows no filters.
    if !filters.modules.is_empty() {
        let modules = filters.modules.iter().map(|(module, level)| (module.clone(), word(*level)));
        body.insert("filters".to_owned(), modules.collect());
    }
    body.into()
}

/// What is in force in the first line, and below what differs from the configuration.
fn text(levels: &Levels) -> String {
    let Levels { level, filters, configured, rust_log } = levels;
    let modules = filters.iter().map(|(module, level)| format!(",{module}={level}"));
    let mut text = format!("{level}{}", modules.collect::<String>());
    if let Some(configured) = configured
        && *configured != text
    {
        text.push_str(&format!("\nconfigured: {configured} (log-level --reset)"));
    }
    if let Some(bound) = rust_log {
        text.push_str(&format!("\nno more is logged than RUST_LOG of the sidecar allows: {bound}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;

    use super::*;

    #[test]
    fn what_is_sent_and_what_is_shown() {
        let filters = |text: &str| body(&text.parse().unwrap()).to_string();
        assert_eq!(filters("info"), r#"{"level":"info"}"#);
        assert_eq!(filters("relay=trace"), r#"{"filters":{"relay":"trace"}}"#);

        let shown = |answer: Value| text(&Levels::deserialize(answer).unwrap());
        assert_eq!(shown(json!({ "level": "info" })), "info", "an older sidecar");
        let same =
            json!({ "level": "info", "filters": {}, "configured": "info", "rust_log": null });
        assert_eq!(shown(same), "info");
        insta::assert_snapshot!(shown(json!({
            "level": "warn", "filters": { "dcp_actors": "info", "relay::pump": "trace" },
            "configured": "info", "rust_log": "debug,relay=info",
        })), @r"
        warn,dcp_actors=info,relay::pump=trace
        configured: info (log-level --reset)
        no more is logged than RUST_LOG of the sidecar allows: debug,relay=info
        ");
    }
}
