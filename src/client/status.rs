//! `dcp-proxy status`, once or again and again.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use console::Term;

use super::answer::Answer;
use super::error::{AskError, Exit};
use super::http::Http;
use super::interrupt;
use super::output::{self, Written, width};
use super::show;
use super::views::{DesiredMaps, Status};

/// Moves the cursor of a terminal to the top left and clears what is there.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Reads the status once.
pub(super) fn status(http: &Http, json_only: bool) -> Result<Answer, AskError> {
    let answer = http.get("/api/v1/status")?;
    let status = http.read::<Status>(&answer)?;
    // The text also says what is wanted, and why. An older sidecar cannot tell.
    let maps = match http.get("/api/v1/desired") {
        _ if json_only => None,
        Ok(maps) => Some(http.read::<DesiredMaps>(&maps)?),
        Err(_) => None,
    };
    let exit = if status.ready { Exit::Done } else { Exit::NotReady };
    Ok(Answer { exit, json: answer, page: show::status(&status, maps.as_ref()) })
}

/// Shows the status every so many seconds until Ctrl-C, or until nobody reads it. A sidecar that
/// does not answer is shown as such, because it may come back; wrong usage ends it.
pub(super) fn watch(http: &Http, seconds: u64, is_json: bool) -> Exit {
    let (interrupted, end) = sync_channel::<()>(1);
    interrupt::then(move || drop(interrupted));
    let term = Term::stdout();
    loop {
        let answer = status(http, is_json).unwrap_or_else(Answer::from);
        let text = match (is_json, width(&term)) {
            (true, _) => format!("{}\n", answer.json),
            (false, Some(width)) => format!("{CLEAR}{}", block(&answer, Some(width))),
            (false, None) => format!("{}\n", block(&answer, None)),
        };
        match output::write(&text) {
            Ok(Written::Taken) => {}
            Ok(Written::Closed) => return Exit::Done,
            Err(error) => return output::full(&error, Exit::Failed),
        }
        if answer.exit == Exit::Wrong {
            return answer.exit;
        }
        match end.recv_timeout(Duration::from_secs(seconds)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Exit::Done,
        }
    }
}

fn block(answer: &Answer, width: Option<u16>) -> String {
    answer.page.render(width).trim_end().to_owned() + "\n"
}
