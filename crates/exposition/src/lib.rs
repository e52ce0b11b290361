//! What the `/metrics` pages of both programs share.
//!
//! - [`Format`]: the text formats, and which one a scraper gets
//! - [`Durations`]: a histogram of durations
//! - [`process`]: the metrics of the process itself, by the names that every exporter has

mod durations;
mod format;
pub mod process;

pub use durations::Durations;
pub use format::Format;
