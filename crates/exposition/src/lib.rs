//! What the `/metrics` pages of both programs share.
//!
//! - [`Format`]: the text formats, and which one a scraper gets
//! - [`Durations`]: a histogram of durations
//! - [`certificate`]: when a certificate expires
//! - [`process`]: the metrics of the process itself, by the names that every exporter has

pub mod certificate;
mod durations;
mod format;
pub mod process;

pub use durations::Durations;
pub use format::Format;
