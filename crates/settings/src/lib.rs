//! Configuration files in TOML: one table of settings, and what follows from it.
//!
//! A program describes its settings once, as a list of [`Setting`]. From that list come the check
//! of keys, types and ranges, the overrides by environment variables, the commented default file,
//! the effective file and the reference. All mistakes of a file are found in one run.
//!
//! - `schema`: what a setting is; `nearest`: the known name that a wrong one resembles
//! - `mask`: hides secrets in what is shown of a file; `problem`: problems and where they are
//! - `render`: source snippets with a caret; `source`: the file and the variables as one text
//! - `read`: the content of a file, of a sane kind and size
//! - `findings`: collects problems; `known`: the environment variables of settings
//! - `overrides`: the file with these variables
//! - `walk`: the check; `words`: what it says
//! - `document`: a file, read and checked; `entries`: its effective values, and how two differ
//! - `print`: the default and the effective file; `reference`: the settings as a document

mod document;
mod entries;
mod findings;
mod known;
mod mask;
mod nearest;
mod overrides;
mod print;
mod problem;
mod read;
mod reference;
mod render;
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod walk;
mod words;

pub use document::{Document, plain};
pub use entries::{Entry, changed, restart_needed};
pub use findings::Findings;
pub use known::variables;
pub use nearest::nearest;
pub use print::{default_file, effective_file};
pub use problem::{Place, Problem, Problems};
pub use read::read;
pub use reference::reference;
pub use schema::{Fallback, Kind, Reload, Setting, variable_of};
pub use source::{Source, Span};
