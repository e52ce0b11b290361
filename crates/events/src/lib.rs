//! What happens to replication, as a bounded history that is independent of the log level.
//!
//! Who knows of an event pushes it into [`Events`]; followers read the history from any event on,
//! each at its own pace, and are told where it no longer reaches back. Nothing is kept for a
//! follower but its position, so that a slow one costs nothing.
//!
//! - `kind`: the words for kinds and levels; `event`: an event before and after it is recorded
//! - `line`: an event from a log line; `history`: what is kept, and how equal events are limited
//! - `cursor`: a position that tells one process from another; `handle`: [`Events`]

mod cursor;
mod event;
mod handle;
mod history;
mod kind;
mod line;
mod remedy;

pub use cursor::Cursor;
pub use event::{Event, Recorded};
pub use handle::{Batch, Events, Gap, GapReason};
pub use history::{Filter, HISTORY_BYTES_MAX, HISTORY_EVENTS_MAX};
pub use kind::{Kind, Level};
