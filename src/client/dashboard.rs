//! `dcp-proxy dashboard`: the address of the dashboard, with the token that its actions need.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tempfile::{Builder, NamedTempFile};

use super::answer::Answer;
use super::error::AskError;
use super::http::Http;
use super::interrupt;
use super::output;
use crate::session::dashboard_url;

/// What opens a file in a browser: freedesktop.org's, and that of macOS.
const OPENERS: [&str; 2] = ["xdg-open", "open"];
/// How long the page that leads to the dashboard stays: a browser that starts reads it late.
const STAY: Duration = Duration::from_secs(10);

/// What is read of the overview.
#[derive(Deserialize)]
struct Overview {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    kind: String,
    accepted: bool,
}

/// Asks the sidecar whether it knows the token, and prints the address.
pub(super) fn dashboard(http: &Http, opens: bool) -> Result<Answer, AskError> {
    let answer = http.get("/api/v1/overview").map_err(AskError::or_older)?;
    let Overview { token: Token { kind, accepted } } = http.read(&answer)?;
    let token = http.token().filter(|_| accepted).map(|token| token.expose());
    let url = dashboard_url(http.url(), token.as_deref());
    let mut text = format!("{url}\n");
    if !accepted {
        _ = writeln!(text, "it can show, and not change anything: {}", why(http, &kind));
    }
    if opens {
        open(&url).map_err(|error| {
            AskError::Failed(format!("no browser could be started: {error}: open {url}"))
        })?;
    }
    Ok(Answer::done(json!({ "url": url, "token": kind, "accepted": accepted }), text))
}

/// Why the sidecar does not take the token, or there is none.
fn why(http: &Http, kind: &str) -> String {
    match (http.token(), http.hint()) {
        (_, Some(hint)) => hint.to_owned(),
        (Some(_), None) => format!("the {kind} token of the sidecar is another one"),
        (None, None) => format!(
            "the {kind} token is not known: give --config with the file of the sidecar, or --token"
        ),
    }
}

/// Opens the address in a browser. It is not an argument of the browser, which every user of the
/// machine could read, but in a page that only this user can read.
fn open(url: &str) -> io::Result<()> {
    let page = leading_to(url)?;
    let started = OPENERS.iter().find_map(|opener| {
        let mut command = Command::new(opener);
        command.arg(page.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Ok(status) if !status.success() => {
                Some(Err(io::Error::other(format!("{opener} failed: {status}"))))
            }
            started => Some(started.map(drop)),
        }
    });
    let missing = || io::Error::other(format!("there is no {}", OPENERS.join(" and no ")));
    started.ok_or_else(missing)??;
    // The page is deleted at the end, also after Ctrl-C.
    let (interrupted, end) = sync_channel::<()>(1);
    interrupt::then(move || drop(interrupted));
    output::say(format_args!("opened in a browser; this command ends in {} s", STAY.as_secs()));
    _ = end.recv_timeout(STAY);
    Ok(())
}

/// A page for this user alone that leads to `url`.
fn leading_to(url: &str) -> io::Result<NamedTempFile> {
    let mut page = Builder::new().prefix("dcp-proxy-").suffix(".html").tempfile()?;
    // A token is escaped in the address, and an address has no quote.
    let text = format!(
        "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer>\
         <meta http-equiv=refresh content=\"0;url={url}\"><title>dcp-proxy</title>\n"
    );
    page.write_all(text.as_bytes())?;
    page.flush()?;
    Ok(page)
}
