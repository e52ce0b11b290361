//! `GET /api/v1/events`: what happens to replication, as server-sent events or as a list.
//!
//! Nothing is queued for a follower: each reads on from its position when its connection has room,
//! and is told of a gap where the history has moved on meanwhile.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::events::{Batch, Cursor, Events, Filter, Gap, HISTORY_EVENTS_MAX, Kind, Recorded};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, HeaderName};
use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::body;
use super::connections::InProgress;
use super::contract::{self as api, EventList, LevelWord};
use super::error::ApiError;
use super::state::State;
use super::words;

/// The most clients that follow at the same time: people and a few programs.
pub(super) const FOLLOWERS_MAX: usize = 32;
/// How often something is sent at least, so that both sides see that the other one is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The same while more than half of the seats are taken: a client that has gone is noticed by what
/// is sent to it, and its seat is wanted.
const KEEP_ALIVE_CROWDED: Duration = Duration::from_secs(2);
/// Events that are written at once.
const BATCH_EVENTS: usize = 64;
/// What the client does after the end of the stream: it waits for this time and asks again.
const RETRY: &str = "retry: 1000\n\n";
/// The header of a client that has read up to an event.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Ends the streams of all followers, when the server stops.
pub(super) struct End(pub(super) CancellationToken);

/// The query of a request.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Only events after this id, or number of this process. `Last-Event-ID` takes precedence.
    #[param(pattern = "^([0-9a-fA-F]+-)?[0-9]+$", example = "19ac3f0b2d1-43")]
    after: Option<String>,
    /// Only events of this bucket.
    bucket: Option<String>,
    /// Only these kinds, with commas between them.
    #[param(example = "link-down,link-up")]
    kind: Option<String>,
    /// This level and more important ones.
    #[param(value_type = Option<LevelWord>)]
    level: Option<String>,
    /// Only events that name this vBucket.
    #[param(value_type = Option<u16>, minimum = 0, maximum = 1023)]
    vbucket: Option<String>,
    /// `false` ends the stream after what is kept.
    #[serde(default = "yes")]
    #[param(default = true)]
    follow: bool,
}

/// What a client has read up to.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
struct Position {
    /// The id of the last event that was read; empty for none.
    #[param(rename = "Last-Event-ID", pattern = "^(([0-9a-fA-F]+-)?[0-9]+)?$")]
    _last_event_id: Option<String>,
}

const fn yes() -> bool {
    true
}

/// What a request asks for.
struct Request {
    after: Option<Cursor>,
    filter: Filter,
    follow: bool,
    is_list: bool,
}

/// `GET /api/v1/events`: what happens to replication, as server-sent events, or with
/// `Accept: application/json` as the list of what is kept. The data of each server-sent event is an
/// `Event`, or a `Gap`.
#[utoipa::path(get, path = "/api/v1/events", tag = "reading",
    params(Asked, Position),
    responses((status = 200, description = "What is kept, then what happens",
        content((EventList = "application/json"), (String = "text/event-stream"))),
        api::Always, api::Request, api::Bucket))]
pub(super) async fn events(
    state: Data<State>,
    end: Data<End>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let asked = parse(&request)?;
    if let Some(bucket) = &asked.filter.bucket {
        state.bucket(bucket)?;
    }
    if asked.is_list {
        let batch = state.events.read(asked.after, &asked.filter, HISTORY_EVENTS_MAX);
        return Ok(HttpResponse::Ok().json(list(&batch)));
    }
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream");
    // It asks for the head only.
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let seat = Seat::of(&state.followers)?;
    let place = request.extensions_mut().remove::<Rc<InProgress>>();
    let follower = Follower {
        newest: state.events.newest(),
        events: state.events.clone(),
        asked,
        end: end.0.clone(),
        written: None,
        is_over: false,
        place,
        seat,
    };
    Ok(response.streaming(stream::unfold(follower, Follower::next)))
}

fn parse(request: &HttpRequest) -> Result<Request, ApiError> {
    let asked = Query::<Asked>::from_query(request.query_string());
    let Query(asked) = asked.map_err(|error| {
        let allowed = "give after, bucket, kind, level, vbucket or follow, each once";
        ApiError::Wrong(words::query(&error.to_string(), allowed))
    })?;
    let header = |name: &HeaderName| request.headers().get(name).map(|it| it.to_str());
    // A position that cannot be read is not one that is missing: the client would get all of it.
    let position = header(&LAST_EVENT_ID).transpose().map_err(|_| {
        let text = "Last-Event-ID is not ASCII text: give the id of an event, or leave it out";
        ApiError::Wrong(text.to_owned())
    })?;
    let after = position.filter(|id| !id.is_empty()).or(asked.after.as_deref());
    let after = after.map(str::parse).transpose().map_err(ApiError::Wrong)?;
    let kinds = asked.kind.as_deref().map(|kinds| kinds.split(',').map(str::parse::<Kind>));
    let kinds = kinds.map(Iterator::collect::<Result<Vec<_>, _>>).transpose();
    let level = asked.level.as_deref().map(str::parse).transpose().map_err(ApiError::Wrong)?;
    let vbucket = asked.vbucket.as_deref().map(body::vbucket).transpose()?;
    let filter = Filter {
        vbucket,
        bucket: asked.bucket,
        kinds: kinds.map_err(ApiError::Wrong)?.unwrap_or_default(),
        level: level.unwrap_or_default(),
    };
    let is_list = header(&ACCEPT).and_then(Result::ok);
    let is_list = is_list.is_some_and(|accept| accept.contains("application/json"));
    Ok(Request { after, filter, follow: asked.follow, is_list })
}

fn list(Batch { gap, events, next }: &Batch) -> serde_json::Value {
    let events: Vec<&Recorded> = events.iter().map(|event| &**event).collect();
    json!({ "gap": gap, "events": events, "next": next })
}

/// One of the followers that there may be at the same time.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn of(followers: &Arc<AtomicUsize>) -> Result<Self, ApiError> {
        let more = |count| (count < FOLLOWERS_MAX).then_some(count + 1);
        followers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|count| {
            let ask = "ask again later, or with ?follow=false and Accept: application/json";
            ApiError::NotNow(format!("{count} clients follow the events already: {ask}"))
        })?;
        Ok(Self(Arc::clone(followers)))
    }

    /// How often something is to be sent at least.
    fn keep_alive(&self) -> Duration {
        let is_crowded = self.0.load(Ordering::Relaxed) > FOLLOWERS_MAX / 2;
        if is_crowded { KEEP_ALIVE_CROWDED } else { KEEP_ALIVE }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One client.
struct Follower {
    events: Events,
    newest: watch::Receiver<u64>,
    asked: Request,
    end: CancellationToken,
    /// When something was last written.
    written: Option<Instant>,
    /// Whether everything was written that is to be.
    is_over: bool,
    /// Its connection, which is not idle.
    place: Option<Rc<InProgress>>,
    seat: Seat,
}

impl Follower {
    /// Waits for what is to be written next; called when the connection has room for it.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(place) = &self.place {
            place.follows();
        }
        let Some(written) = self.written else { return self.write(RETRY.to_owned()) };
        loop {
            self.newest.mark_unchanged();
            let Batch { gap, events, next } =
                self.events.read(self.asked.after, &self.asked.filter, BATCH_EVENTS);
            self.asked.after = Some(next);
            if gap.is_some() || !events.is_empty() {
                return self.write(text(gap.as_ref(), &events));
            }
            if self.is_over || !self.asked.follow {
                return None;
            }
            if written.elapsed() >= self.seat.keep_alive() {
                // A position without an event: the client asks on from there.
                return self.write(format!(": keep-alive\nid: {next}\n\n"));
            }
            tokio::select! {
                () = self.end.cancelled() => self.is_over = true,
                _ = self.newest.changed() => {}
                // Others may take seats meanwhile.
                () = sleep(KEEP_ALIVE_CROWDED) => {}
            }
        }
    }

    fn write(mut self, text: String) -> Option<(Result<Bytes, Infallible>, Self)> {
        self.written = Some(Instant::now());
        Some((Ok(Bytes::from(text)), self))
    }
}

/// A gap, as the data of its event.
#[derive(Serialize)]
struct GapData<'a> {
    kind: &'static str,
    #[serde(flatten)]
    gap: &'a Gap,
}

fn text(gap: Option<&Gap>, events: &[Arc<Recorded>]) -> String {
    let mut text = String::new();
    if let Some(gap) = gap {
        text.push_str(&format!("event: gap\ndata: {}\n\n", json!(GapData { kind: "gap", gap })));
    }
    for event in events {
        let Recorded { id, kind, .. } = &**event;
        text.push_str(&format!("id: {id}\nevent: {kind}\ndata: {}\n\n", json!(**event)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_in_the_documents_with_its_meaning() {
        let text = include_str!("../../docs/admin-api.md");
        for kind in Kind::ALL {
            let row = format!("\n| `{kind}` | {} |\n", kind.meaning());
            assert!(text.contains(&row), "docs/admin-api.md needs{row}");
        }
    }
}
