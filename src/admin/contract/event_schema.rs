//! How the events of `events` look in JSON; that package knows nothing of HTTP.

use dcp_actors::schema::{VbSetText, open_words};
use events::Kind;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// What `GET /api/v1/events` answers as a list.
#[derive(Debug, ToSchema)]
#[schema(as = Events)]
#[allow(dead_code, reason = "a schema")]
pub(in crate::admin) struct EventList {
    /// What is missing before the events; `None` where nothing is.
    gap: Option<GapFields>,
    /// The oldest first.
    events: Vec<EventFields>,
    /// The position to ask on from, as `after`.
    #[schema(examples("19ac3f0b2d1-43"))]
    next: String,
}

/// What happened to replication.
#[derive(Debug, ToSchema)]
#[schema(as = Event)]
#[allow(dead_code, reason = "a schema")]
pub(in crate::admin) struct EventFields {
    /// Its position, which names the process and the event.
    #[schema(examples("19ac3f0b2d1-43"))]
    id: String,
    /// Grows by 1 within a process.
    seq: u64,
    /// In UTC.
    #[schema(format = DateTime)]
    time: String,
    level: LevelWord,
    kind: KindWord,
    /// `None` where it does not apply or is not known, as in the next three.
    bucket: Option<String>,
    link: Option<String>,
    node: Option<String>,
    vbuckets: Option<VbSetText>,
    /// How many equal events this one stands for, besides itself.
    more: u64,
    text: String,
}

/// Events that are not kept any more.
#[derive(Debug, ToSchema)]
#[schema(as = Gap)]
#[allow(dead_code, reason = "a schema")]
pub(in crate::admin) struct GapFields {
    /// Events of all kinds; `None` where that is unknown.
    missed: Option<u64>,
    reason: GapWord,
    text: String,
}

/// Why there is a gap.
#[derive(Debug, ToSchema)]
#[schema(as = GapReason, rename_all = "lowercase")]
#[allow(dead_code, reason = "a schema")]
enum GapWord {
    /// The history no longer reaches back so far.
    Forgotten,
    /// The position is one of an earlier process.
    Restarted,
}

/// How important an event is; the most important first.
#[derive(Debug, ToSchema)]
#[schema(as = EventLevel, rename_all = "lowercase")]
#[allow(dead_code, reason = "a schema")]
pub(in crate::admin) enum LevelWord {
    /// Something was lost, or needs the operator.
    Error,
    /// A failure that is retried.
    Warn,
    /// A normal event.
    Info,
}

/// The kinds of events.
#[derive(Debug)]
struct KindWord;

impl PartialSchema for KindWord {
    fn schema() -> RefOr<Schema> {
        open_words("What happened, as one word", Kind::ALL)
    }
}

impl ToSchema for KindWord {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("EventKind")
    }
}
