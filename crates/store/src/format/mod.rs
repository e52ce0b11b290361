//! Every byte that the store itself writes to disk: keys, rows, records, marks, value files, the
//! state file. `docs/format.md` describes them; `tests.rs` holds that document to this code.
//!
//! The engine checks its blocks when it reads them from disk. The checksums here cover what happens
//! to the bytes after that, in caches and memory, and an entry that turns up under a wrong key.
//!
//! - `keys`: the keys of the four tables
//! - `row`, `record`, `step`, `entry`: their values; `numbers`: what records and steps consist of
//! - `pointer`: the layout of value files, and where a value is in them
//! - `state`: the state file
//! - `checksum`: what they share

mod checksum;
mod entry;
mod keys;
mod numbers;
mod pointer;
mod record;
mod row;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use checksum::{verified, with_checksum};
pub(crate) use entry::{CommitMark, Garbage, KeyEntry};
pub(crate) use keys::{
    COMMIT_MARK, Generation, MANIFEST, MetaKey, record_key, row_id, row_seqno, steps_key,
    undo_seqnos, value_file_key, version_seqnos,
};
pub(crate) use pointer::{
    OUT_OF_LINE_BYTES, VALUE_FILE_MAGIC, VALUE_HEADER_BYTES, ValueHeader, ValuePointer, ValuesEnd,
};
pub(crate) use record::VbRecord;
pub(crate) use row::{KEY_BYTES_MAX, decode_row, encode_row};
pub(crate) use state::{State, StateFlaw};
pub(crate) use step::{Step, decode_steps, encode_steps};

/// What is wrong with bytes that were read.
pub(crate) type Flaw = &'static str;
