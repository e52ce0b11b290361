//! Recorded conversations of data nodes: one JSON object a line, as in `tests/data/wire`.
//!
//! Pure: bytes in, bytes out. The map:
//!
//! - `line`: what a file holds, and how it is written
//! - `read`: the reader, whose errors name the line
//! - `what`: a frame in a few words, for people who read a file
//! - `redact`: documents, passwords and keys replaced by as many bytes
//!
//! A line of a frame has `n` (its number, from 1), `t` (seconds since the recording began), `from`
//! and `to` (names of connections), `what`, `hex` (the whole frame) and perhaps `note`. A line
//! without `hex` is no frame: `EOF` says that `from` closed the connection, `CAPTURE` says what
//! made the file, `DROPPED` says how many frames are missing at that place, `UNKEPT` that data
//! frames before it may be, and `END` why the file ends there. Further keys, and further lines
//! without `hex`, are for later versions; this reader passes over them.

mod line;
mod read;
mod redact;
mod what;

pub use line::{
    About, Line, WITHHELD, write, write_about, write_dropped, write_end, write_eof, write_unkept,
};
pub use read::{Fault, MAX_LINE_BYTES, ReadError, Reader, Record, Recorded};
pub use redact::{Redaction, Salt, redact};
pub use what::what;
