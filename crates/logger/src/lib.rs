//! The log of a program: from `log`'s macros to standard error, without ever making a caller wait.
//!
//! A line is formatted where it is logged and put into a queue of bounded size. One thread writes
//! the queue. Where nobody reads the log, the queue fills and further lines are dropped and
//! counted; the program goes on, and its exit waits for the writer only while that makes progress.
//!
//! - `format`: a line as logfmt or JSON
//! - `limits`: which lines are suppressed because their event repeats
//! - `queue`: the bounded queue; `streams`: what it is written to
//! - `settings`: what the program starts with; `filters`, `levels`: levels that change at run time
//! - `global`: the logger of the process

mod filters;
mod format;
mod global;
mod levels;
mod limits;
mod queue;
mod settings;
mod streams;

pub use filters::{Filters, MODULES_MAX, level, word};
pub use format::Format;
pub use global::{
    LEFT_OUT_HELP, fatal, finish, is_filtered, is_said, left_out, recent, rust_log, say,
    set_format, start,
};
pub use levels::{InForce, configure, in_force, reset_filters, set_filters};
pub use settings::Settings;
pub use streams::{Sink, Stream, standard_streams};
