//! `POST /api/v1/buckets/{bucket}/links/{producer}/{connection}/capture`: what passes a link, as
//! JSON lines, until a bound is reached or the client leaves.
//!
//! Frames are parsed, redacted and written as text when the client has room for them: never where
//! replication runs. A client that is too slow misses frames, and is told how many.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ::events::{Events, Kind, Level};
use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data, Path, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures::stream;
use logline::value;
use relay::{Gap, QUEUE_BYTES, Recorder, Recording, Seen};
use serde::Deserialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use wirelog::{About, Redaction, Salt};

use super::body;
use super::capture_lines::Lines;
use super::capture_seats::Seat;
use super::commands::client;
use super::connections::InProgress;
use super::contract as api;
use super::error::ApiError;
use super::events::End;
use super::state::State;
use crate::clock::utc;
use crate::random;

/// The bounds of a capture in seconds: a day.
const SECONDS_MAX: u64 = 86_400;
const SECONDS: u64 = 60;
/// The bounds of a capture in bytes of its text.
const BYTES_MIN: u64 = 4096;
const BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
const BYTES: u64 = 64 * 1024 * 1024;
/// How many bytes of frames are made text at once; twice as many characters.
const BATCH_BYTES: usize = 128 * 1024;
/// The pause before a recording is read again in which nothing was: not longer than a person
/// notices, and a pump need not wake anybody.
const PAUSE: Duration = Duration::from_millis(20);
/// The reason of an end that nobody wanted; the subcommand knows it.
const STOPS: &str = "the sidecar stops";
/// How often something is sent at least: a client that has gone is noticed by that.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The link in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
struct InLink {
    /// A bucket of the configuration, percent-encoded.
    #[param(rename = "bucket", example = "default")]
    _bucket: String,
    /// A producer of the configuration, percent-encoded.
    #[param(rename = "producer", example = "alpha")]
    _producer: String,
    /// The number of the connection, from 0.
    #[param(rename = "connection", minimum = 0, maximum = 63, example = 0)]
    _connection: u8,
}

/// What to capture.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Capture, examples(json!({"seconds": 60, "bytes": 67_108_864})))]
struct Asked {
    /// For how long; 0 with `last` alone.
    #[schema(minimum = 0, maximum = 86_400, default = 60, nullable = false)]
    seconds: Option<u64>,
    /// How many bytes the answer may have.
    #[schema(minimum = 4096, maximum = 17_179_869_184_u64, default = 67_108_864, nullable = false)]
    bytes: Option<u64>,
    /// Whether it begins with what is kept of the past.
    #[schema(default = false)]
    last: bool,
    /// Whether the keys of documents are replaced too.
    #[schema(default = false)]
    anonymise: bool,
}

impl Asked {
    fn checked(self) -> Result<(Duration, u64), ApiError> {
        let (seconds, bytes) = (self.seconds.unwrap_or(SECONDS), self.bytes.unwrap_or(BYTES));
        let least = u64::from(!self.last);
        if !(least..=SECONDS_MAX).contains(&seconds) {
            let text = format!("seconds is {seconds}: give {least} to {SECONDS_MAX}");
            return Err(ApiError::Wrong(text));
        }
        if !(BYTES_MIN..=BYTES_MAX).contains(&bytes) {
            let text = format!("bytes is {bytes}: give {BYTES_MIN} to {BYTES_MAX}");
            return Err(ApiError::Wrong(text));
        }
        Ok((Duration::from_secs(seconds), bytes))
    }
}

/// `POST /api/v1/buckets/{bucket}/links/{producer}/{connection}/capture`: what passes a link, as
/// JSON lines until a bound is reached or the client leaves. Values and passwords are replaced,
/// keys with `anonymise` too. A line without `hex` is no frame, and an empty one has no meaning;
/// the last line, `END`, says why the capture ended. The link need not be open. `Location` is what
/// `DELETE` ends it at, with all that had passed before; a client that leaves gets no `END`.
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/links/{producer}/{connection}/capture",
    tag = "process", params(InLink), request_body(content = Asked),
    responses((status = 200, description = "What passes, one object a line",
        content((String = "application/x-ndjson"))),
        api::Always, api::Body, api::Bucket, api::Occupied))]
pub(super) async fn capture(
    state: Data<State>,
    end: Data<End>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (bucket, producer, number) = path.into_inner();
    let asked = body::json::<Asked>(payload).await?;
    let (name, recorder) = link(&state, &bucket, &producer, &number)?;
    let (last, keys) = (asked.last, asked.anonymise);
    let (time, bytes) = asked.checked()?;
    let seat = Seat::of(&state.captures)?;
    let began = Instant::now();
    let until = began + time;
    let salt = random::bytes()
        .map_err(|error| ApiError::NotNow(format!("the machine has no random bytes: {error}")))?;
    let about = About {
        program: concat!("dcp-proxy ", env!("CARGO_PKG_VERSION")).to_owned(),
        link: name.clone(),
        redaction: if keys { "values,keys" } else { "values" }.to_owned(),
        began: utc(SystemTime::now()),
        ..About::default()
    };
    let lines = Lines::new(about, Redaction { keys }, Salt::new(salt), bytes, (began, until));
    let client = client(&request);
    let what = format!("capture of {name}, for {client}");
    log::info!(
        "capture begins link={} seconds={} bytes={bytes} last={last} keys={} client={client}",
        value(&name),
        time.as_secs(),
        if keys { "replaced" } else { "shown" },
    );
    let text = format!("{what}: at most {} s and {bytes} bytes", time.as_secs());
    state.events.note(Level::Info, Kind::CaptureBegun, Some(&bucket), text);
    let told = Told {
        events: state.events.clone(),
        bucket,
        what,
        began,
        summary: String::new(),
        why: None,
    };
    let place = request.extensions_mut().remove::<Rc<InProgress>>();
    let recording = recorder.record(QUEUE_BYTES, last);
    let (end, written) = (end.0.clone(), began);
    let mut response = HttpResponse::Ok();
    response.content_type("application/x-ndjson").insert_header((LOCATION, seat.path()));
    let capture = Capture { recording, lines, told, end, written, place, seat };
    Ok(response.streaming(stream::unfold(capture, Capture::next)))
}

/// The link that a path names: the name of its connections, and its recorder.
fn link(
    state: &State,
    bucket: &str,
    producer: &str,
    number: &str,
) -> Result<(String, Arc<Recorder>), ApiError> {
    state.bucket(bucket)?;
    body::known(producer, &state.producers())?;
    let maps = state.sources.maps();
    let in_force = maps.buckets().get(bucket).map(|maps| maps.in_force().connections.count());
    let count = in_force.unwrap_or(1);
    let connection = number.parse::<u8>().ok().filter(|number| *number < count);
    let connection = connection.ok_or_else(|| {
        let last = count.saturating_sub(1);
        let text = format!("invalid connection {number:?} to {producer}: give 0 to {last}");
        ApiError::Wrong(text)
    })?;
    Ok(state.replication()?.recorder(bucket, producer, connection)?)
}

/// A capture and its client.
struct Capture {
    recording: Recording,
    lines: Lines,
    told: Told,
    end: CancellationToken,
    /// When something was last written.
    written: Instant,
    /// Its connection, which is not idle.
    place: Option<Rc<InProgress>>,
    seat: Seat,
}

impl Capture {
    /// Waits for what is to be written next; called when the connection has room for it.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(place) = &self.place {
            place.follows();
        }
        if self.told.why.is_some() {
            return None;
        }
        loop {
            let mut out = Vec::new();
            if self.seat.asked().is_cancelled() {
                self.lines.end_now("its client has ended it");
            }
            let is_more = self.recording.read(BATCH_BYTES, &mut |seen| {
                self.lines.take(seen, &mut out);
            });
            let why = self.lines.why_over(is_more, Instant::now());
            let why = why.or_else(|| self.end.is_cancelled().then_some(STOPS));
            if let Some(why) = why {
                if why == STOPS {
                    self.lines.lose(waiting(&mut self.recording), &mut out);
                }
                self.lines.end(why, &mut out);
                self.told.why = Some(why);
            }
            self.told.summary = self.lines.summary();
            if out.is_empty() && self.written.elapsed() >= KEEP_ALIVE {
                out.push(b'\n');
            }
            if !out.is_empty() {
                // Others are served in between.
                tokio::task::yield_now().await;
                self.written = Instant::now();
                return Some((Ok(out.into()), self));
            }
            tokio::select! {
                () = self.end.cancelled() => {}
                () = self.seat.asked().cancelled() => {}
                () = sleep(PAUSE) => {}
            }
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if self.told.why.is_none() {
            self.lines.lose(waiting(&mut self.recording), &mut Vec::new());
            self.told.summary = self.lines.summary();
        }
    }
}

/// Takes what waits, and returns how many frames it had, with those that were left out.
fn waiting(recording: &mut Recording) -> u64 {
    let mut frames = 0;
    recording.read(usize::MAX, &mut |seen| match seen {
        Seen::Frame { .. } => frames += 1,
        Seen::Gap { gap: Gap::Slow(count) | Gap::Evicted(count), .. } => frames += count as u64,
        Seen::Gap { gap: Gap::Unkept, .. } | Seen::Closed { .. } => {}
    });
    frames
}

/// Tells the end of a capture when it is dropped, however it ended.
struct Told {
    events: Events,
    bucket: String,
    what: String,
    began: Instant,
    /// What was captured so far.
    summary: String,
    /// Why it ended.
    why: Option<&'static str>,
}

impl Drop for Told {
    fn drop(&mut self) {
        let why = self.why.unwrap_or("the client has left and may lack the last");
        let Self { what, summary, .. } = self;
        let text = format!("{what} ended after {:.1?}: {summary}, {why}", self.began.elapsed());
        log::info!("capture ended text={}", value(&text));
        self.events.note(Level::Info, Kind::CaptureEnded, Some(&self.bucket), text);
    }
}
