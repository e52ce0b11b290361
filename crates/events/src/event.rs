//! An event: as it is pushed, and as it is recorded.

use jiff::Timestamp;
use replica::plan::VbSet;
use serde::{Serialize, Serializer};

use crate::cursor::Cursor;
use crate::kind::{Kind, Level};

/// The longest text of an event, in bytes; the rest is cut.
const TEXT_BYTES_MAX: usize = 1024;
/// The longest name of a bucket, link or node in an event, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// An event as whoever knows of it tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// How important it is.
    pub level: Level,
    /// What happened.
    pub kind: Kind,
    /// The bucket, unless it concerns the whole process.
    pub bucket: Option<String>,
    /// The name of the link.
    pub link: Option<String>,
    /// The data node, where one is concerned and no link is.
    pub node: Option<String>,
    /// The vBuckets, as far as they are known.
    pub vbuckets: VbSet,
    /// 0, or for how many further equal events this one stands, which are not recorded themselves.
    pub more: u64,
    /// What happened, for people: one line.
    pub text: String,
}

impl Event {
    /// An event of the whole process, until more is said.
    #[must_use]
    pub fn new(level: Level, kind: Kind, text: impl Into<String>) -> Self {
        let (bucket, link, node) = (None, None, None);
        let (vbuckets, text) = (VbSet::default(), text.into());
        Self { level, kind, bucket, link, node, vbuckets, more: 0, text }
    }

    /// The same, of this bucket.
    #[must_use]
    pub fn of_bucket(mut self, bucket: impl Into<String>) -> Self {
        self.bucket = Some(bucket.into());
        self
    }

    /// The same, of this data node.
    #[must_use]
    pub fn of_node(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// The same, of these vBuckets.
    #[must_use]
    pub fn of_vbuckets(mut self, vbuckets: VbSet) -> Self {
        self.vbuckets = vbuckets;
        self
    }

    /// The same within the bounds, and in one line.
    pub(crate) fn bounded(mut self) -> Self {
        for name in [&mut self.bucket, &mut self.link, &mut self.node].into_iter().flatten() {
            *name = one_line(name, NAME_BYTES_MAX);
        }
        self.text = one_line(&self.text, TEXT_BYTES_MAX);
        self
    }

    /// Its size in the history, about.
    pub(crate) fn bytes(&self) -> usize {
        // A vBucket of a set takes a few bytes of a node of a tree.
        let names = [&self.bucket, &self.link, &self.node].into_iter().flatten().map(String::len);
        size_of::<Recorded>() + names.sum::<usize>() + self.text.len() + self.vbuckets.len() * 4
    }
}

/// Text without control characters, cut to a length.
fn one_line(text: &str, bytes_max: usize) -> String {
    logline::capped(text.replace(char::is_control, " "), bytes_max)
}

/// An event of the history. Serialized, it is the data of `GET /api/v1/events`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Recorded {
    /// Its position, which names this process too.
    pub id: Cursor,
    /// Its number in this process: 1 more than that of the event before it.
    pub seq: u64,
    /// When it was recorded, in UTC, to the millisecond.
    #[serde(serialize_with = "time")]
    pub time: Timestamp,
    /// See [`Event::level`].
    pub level: Level,
    /// See [`Event::kind`].
    pub kind: Kind,
    /// See [`Event::bucket`].
    pub bucket: Option<String>,
    /// See [`Event::link`].
    pub link: Option<String>,
    /// See [`Event::node`].
    pub node: Option<String>,
    /// See [`Event::vbuckets`]; null where none is known.
    #[serde(serialize_with = "set")]
    pub vbuckets: VbSet,
    /// See [`Event::more`].
    pub more: u64,
    /// See [`Event::text`].
    pub text: String,
}

impl Recorded {
    pub(crate) fn new(id: Cursor, time: Timestamp, event: Event) -> Self {
        let Event { level, kind, bucket, link, node, vbuckets, more, text } = event;
        let seq = id.seq;
        Self { id, seq, time, level, kind, bucket, link, node, vbuckets, more, text }
    }
}

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

fn set<S: Serializer>(set: &VbSet, serializer: S) -> Result<S::Ok, S::Error> {
    (!set.is_empty()).then_some(set).serialize(serializer)
}
