//! Each subcommand: its requests, and its output from the answers.

use super::answer::Answer;
use super::args::Ask;
use super::caller::Caller;
use super::change;
use super::dashboard;
use super::error::AskError;
use super::http::Http;
use super::log_level::log_level;
use super::parts::StreamsFilter;
use super::paused;
use super::reload;
use super::status;
use super::streams;
use super::transfer;
use super::views::Replications;

pub(super) fn ask(ask: &Ask, caller: &Caller<'_>) -> Result<Answer, AskError> {
    let http = &caller.http;
    match ask {
        Ask::Status { to, .. } => status::status(http, to.json),
        Ask::Dashboard { open, .. } => dashboard::dashboard(http, *open),
        Ask::Streams { bucket, filter, .. } if filter.paused => {
            paused::paused(http, bucket.as_deref(), filter)
        }
        Ask::Streams { bucket, filter, .. } => streams(http, bucket.as_deref(), filter),
        Ask::Replicate { change, .. } => change::replicate(caller, change),
        Ask::Connections { bucket, count, .. } => change::connections(caller, bucket, *count),
        Ask::Takeover { what, .. } => transfer::transfer(caller, what, "takeover"),
        Ask::Move { what, .. } => transfer::transfer(caller, what, "move"),
        Ask::Drain { what, .. } => change::drain(caller, what),
        Ask::Pause { what, .. } => change::pause(caller, what, "pause"),
        Ask::Resume { what, .. } => change::pause(caller, what, "resume"),
        Ask::Restart { what, .. } => change::restart(caller, what),
        Ask::Reload { .. } => reload::reload(http),
        Ask::LogLevel { filters, reset, .. } => log_level(http, filters.as_ref(), *reset),
        // They print while they read, and have no answer at their end.
        Ask::Events(_) => Err(AskError::Usage("events prints its answer by itself".to_owned())),
        Ask::Capture(_) => Err(AskError::Usage("capture writes its file by itself".to_owned())),
        Ask::Top { .. } => Err(AskError::Usage("top shows its answers by itself".to_owned())),
    }
}

fn streams(http: &Http, bucket: Option<&str>, filter: &StreamsFilter) -> Result<Answer, AskError> {
    let mut answer = http.get("/api/v1/replications")?;
    if let Some(name) = bucket
        && !StreamsFilter::only_bucket(&mut answer, name)
    {
        return Err(AskError::no_bucket(name));
    }
    filter.apply(&mut answer);
    let nothing = if filter.shows_all() { "nothing is replicated" } else { "no such stream" };
    let page = streams::page(&http.read::<Replications>(&answer)?, nothing);
    Ok(Answer::done(answer, page))
}
