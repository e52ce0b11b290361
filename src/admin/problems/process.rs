//! The process itself: its phase, its configuration and state, its certificates and log.

use std::time::{Duration, SystemTime};

use super::Problem;
use super::facts::Facts;
use super::thousands;
use crate::admin::views::Phase;
use crate::clock::utc;
use crate::config::Certificate;
use crate::sources::LastReload;
use crate::vb_state::Severity;

/// How long before its end a certificate is a problem.
const EXPIRES_SOON: Duration = Duration::from_secs(30 * 24 * 3600);
/// The ids of what comes first among problems that are as bad.
pub(super) const PHASES: [&str; 2] = ["starting", "stopping"];

/// That the process does not replicate yet, or any more. What else is wrong follows from that.
pub(super) fn phase(facts: &Facts<'_>) -> Vec<Problem> {
    let problem = match facts.phase {
        Phase::Running => return Vec::new(),
        Phase::Starting => Problem::new(
            Severity::Warning,
            "starting",
            "replication has not started yet: data nodes inside this process load their data",
            "wait a moment; the log says what is done",
        ),
        Phase::Stopping => Problem::new(
            Severity::Warning,
            "stopping",
            "the sidecar is stopping: streams are being closed",
            "nothing: the process ends by itself, and a second signal ends it at once",
        ),
    };
    vec![problem]
}

/// Everything else.
pub(super) fn problems(facts: &Facts<'_>) -> Vec<Problem> {
    let mut problems: Vec<_> = facts.broken.iter().map(invariant).collect();
    problems.extend(facts.state_error.as_deref().map(state));
    problems.extend(facts.reload.as_ref().and_then(|last| reload(facts, last)));
    problems.extend(facts.certificates.iter().filter_map(|it| certificate(facts.now, it)));
    problems.extend(lines(facts.lines_lost));
    problems
}

fn invariant((place, count): &(String, u64)) -> Problem {
    let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
    let what = format!("a defect of the sidecar itself, {times} at {place}");
    let remedy = "please report it with the error lines of the log; the sidecar goes on";
    Problem::new(Severity::Error, "invariant-broken", what, remedy)
}

fn state(error: &str) -> Problem {
    let what = format!("what was changed at run time is not on disk: {error}");
    let remedy = "see to it before the sidecar is restarted, which would undo these changes; it \
                  is written again by itself";
    Problem::new(Severity::Error, "state-not-written", what, remedy)
}

fn reload(facts: &Facts<'_>, last: &LastReload) -> Option<Problem> {
    let command = facts.command(&["reload"]);
    let problem = match &last.error {
        Some(error) => {
            let first = error.lines().next().unwrap_or_default();
            let what =
                format!("the configuration file is invalid, the old one is in force: {first}");
            let remedy = format!(
                "correct {} ({} lists all), then run {command}",
                facts.file(),
                facts.command(&["check"])
            );
            Problem::new(Severity::Warning, "reload-failed", what, remedy)
        }
        None if !last.restart_needed.is_empty() => {
            let keys = last.restart_needed.join(", ");
            let what = format!("settings keep their old values until a restart: {keys}");
            Problem::new(Severity::Notice, "restart-needed", what, "restart the sidecar")
        }
        None => return None,
    };
    Some(problem.since(Some(last.at)))
}

fn certificate(now: SystemTime, (file, expiry): &(Certificate, i64)) -> Option<Problem> {
    let end = Duration::from_secs(u64::try_from(*expiry).unwrap_or(0));
    let end = SystemTime::UNIX_EPOCH.checked_add(end)?;
    let left = end.duration_since(now).ok();
    if left.is_some_and(|left| left > EXPIRES_SOON) {
        return None;
    }
    let (name, path) = (format!("{} of node {}", file.key, file.node), file.path.display());
    let (severity, id, what) = match left {
        Some(left) => {
            let days = left.as_secs() / (24 * 3600);
            let what = format!("the certificate in {path} ({name}) expires in {days} days");
            (Severity::Warning, "certificate-expires", what)
        }
        None => {
            let what = format!("the certificate in {path} ({name}) has expired on {}", utc(end));
            (Severity::Error, "certificate-expired", what)
        }
    };
    let remedy = "renew it; the file is read again without a restart";
    let problem = Problem::new(severity, id, what, remedy).at(&file.node);
    Some(if left.is_none() { problem.since(Some(end)) } else { problem })
}

fn lines(lost: u64) -> Option<Problem> {
    let count = usize::try_from(lost).unwrap_or(usize::MAX);
    let what = format!("{} lines of the log were lost, because nobody reads it", thousands(count));
    let remedy = "see what standard error of the sidecar is connected to";
    (lost > 0).then(|| Problem::new(Severity::Warning, "log-lines-lost", what, remedy))
}
