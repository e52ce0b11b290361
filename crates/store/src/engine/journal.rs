//! Reads the engine's journals before the engine opens them.
//!
//! fjall truncates a journal at the first record whose structure is broken, without an error (its
//! issue 311). So every batch is read here first, with its checksum and the number of the commit
//! that each of our batches carries. A commit that is known to have been synced and cannot be read
//! is an error that names the file. An unfinished batch after the last synced one is what a crash
//! leaves; it is cut off and logged.

mod batches;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use batches::{JournalBatch, Reader, marks};
use logline::value;
use vbucket::StoreError;

use crate::errors::{damaged, io};
use crate::format::ValuesEnd;

/// What the journals hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Inspected {
    /// The commit of the last intact batch; `None` where every journal is empty.
    pub last: Option<u64>,
    /// Every commit up to this number was synced, as far as the journals know.
    pub synced: u64,
}

/// Tells whether all out-of-line values between the ends of two commits are on the disk.
pub(crate) type HasValues<'a> = &'a dyn Fn(ValuesEnd, ValuesEnd) -> Result<bool, StoreError>;

/// Reads every journal in `dir`; `synced` is what the state file says. A commit that lacks
/// out-of-line values, by `has_values`, counts as an unfinished one.
///
/// # Errors
/// [`StoreError::Damaged`] where a synced commit cannot be read, [`StoreError::Io`].
pub(crate) fn inspect(
    dir: &Path,
    synced: u64,
    has_values: HasValues<'_>,
) -> Result<Inspected, StoreError> {
    let paths = journals(dir)?;
    let mut seen: Option<JournalBatch> = None;
    let mut synced = synced;
    let mut rest = paths.as_slice();
    while let Some((path, later)) = rest.split_first() {
        rest = later;
        let is_newest = later.is_empty();
        let bytes = read(path)?;
        let broken = |at: usize, flaw: String| {
            damaged(path.display().to_string(), format!("at byte {at}: {flaw}"))
        };
        let mut reader = Reader::new(&bytes);
        while let Some((batch, next)) = reader.batch() {
            let number = batch.mark.number;
            let before = seen.map_or_else(ValuesEnd::default, |batch| batch.mark.values);
            if number > synced && !has_values(before, batch.mark.values)? {
                undo_from(path, later, reader.at(), number, synced)?;
                return Ok(Inspected { last: seen.map(|batch| batch.mark.number), synced });
            }
            reader = next;
            if let Some(before) = seen.filter(|before| !batch.follows(before)) {
                let flaw = format!("commit {number} follows {}", before.mark.number);
                return Err(broken(reader.at(), flaw));
            }
            synced = synced.max(batch.mark.synced);
            seen = Some(batch);
        }
        if reader.at() == 0 && !is_newest {
            return Err(broken(0, "no readable commit in a journal that was full".to_owned()));
        }
        let is_torn = reader.rest().iter().any(|&byte| byte != 0);
        if is_torn {
            synced = newest_synced(reader.rest(), synced);
        }
        let last = seen.map_or(0, |batch| batch.mark.number);
        if is_newest && seen.is_some() && last < synced {
            let flaw = format!("no readable commit after {last}, but {synced} were synced");
            return Err(broken(reader.at(), flaw));
        }
        // Without a readable batch the tables decide, and the journal stays as evidence.
        if is_torn && is_newest && (seen.is_some() || synced == 0) {
            cut_off(path, reader.at(), last)?;
        }
    }
    Ok(Inspected { last: seen.map(|batch| batch.mark.number), synced })
}

/// Undoes commit `number`, whose values were lost in a power cut, and all later ones: it begins at
/// byte `at` of `path`, and `later` are the journals after that.
///
/// No table on disk holds anything of them: before a memtable is flushed, the values of its rows
/// are synced, and so are all values before those.
fn undo_from(
    path: &Path,
    later: &[PathBuf],
    at: usize,
    number: u64,
    synced: u64,
) -> Result<(), StoreError> {
    let mut synced = newest_synced(&read(path)?, synced);
    for path in later {
        synced = newest_synced(&read(path)?, synced);
    }
    if number <= synced {
        let flaw = format!("commit {number} lacks its values, but {synced} were synced");
        return Err(damaged(path.display().to_string(), format!("at byte {at}: {flaw}")));
    }
    for path in later.iter().rev() {
        let removed = std::fs::remove_file(path);
        removed.map_err(|e| io("removing a journal", format!("{}: {e}", path.display())))?;
    }
    cut_off(path, at, number - 1)
}

/// The highest number of a synced commit: `synced`, or what commit marks anywhere in `bytes` say.
fn newest_synced(bytes: &[u8], synced: u64) -> u64 {
    marks(bytes).map(|mark| mark.synced).fold(synced, u64::max)
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(path).map_err(|e| io("reading a journal", format!("{path:?}: {e}")))
}

/// The journals, oldest first.
pub(super) fn journals(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io("listing the journals", format!("{}: {e}", dir.display()))),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| io("listing the journals", e))?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number
            && path.extension().is_some_and(|extension| extension == "jnl")
        {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Cuts an unfinished batch, which a crash left, off the end of a journal.
fn cut_off(path: &Path, at: usize, last: u64) -> Result<(), StoreError> {
    log::warn!(
        "cutting an unfinished commit off a journal, path={} at_byte={at} last_commit={last}",
        value(path.display())
    );
    let cut = OpenOptions::new().write(true).open(path).and_then(|file| {
        file.set_len(at as u64)?;
        file.sync_all()
    });
    cut.map_err(|e| io("cutting off a journal", format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests;
