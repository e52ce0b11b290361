//! Sub-document operations on the text of a JSON document: a value is found by skipping what is
//! before it, and a change is one copy of the text with a piece of it replaced. No tree is made.
//!
//! - [`Path`]: `a.b[0].c`, with `[-1]` for the last element and backticks around names with dots
//! - [`lookup`]: SUBDOC_GET, SUBDOC_EXISTS, SUBDOC_GET_COUNT
//! - [`mutate`]: the operations that change a document
//! - `check`: properties that the fuzz target and tests share
//!
//! Documents and results are as kv_engine 8.0.2 has them: recording 15a of `tests/data/wire`. A
//! document is taken for valid JSON: what is not is found out only on the way, and never leads to a
//! panic.

#[doc(hidden)]
pub mod check;
mod fault;
mod lookup;
mod mutate;
mod path;
mod place;
mod scan;
mod value;

pub use fault::Fault;
pub use lookup::{Found, Lookup, lookup};
pub use mutate::{Mutated, Mutation, mutate};
pub use path::Path;

/// The levels of a document: a value in `[[1]]` is on level 3. More are [`Fault::DocTooDeep`].
pub const LEVELS_MAX: usize = 32;

/// The parts of a path, so that what it names is within [`LEVELS_MAX`].
pub const PARTS_MAX: usize = LEVELS_MAX - 1;

/// The bytes of a path.
pub const PATH_BYTES_MAX: usize = 1024;
