//! A look into the engine's journals before the engine opens them.
//!
//! fjall cuts a journal off at the first record whose structure is broken and says nothing (its
//! issue 311). Here every batch is read first, with its checksum and the number of the commit that
//! our batches carry: a commit that is known to have been synced and is not there is an error that
//! names the file. What a crash leaves, an unfinished batch behind the last synced one, is cut off
//! and logged. The layout is that of fjall 3.1 (`src/journal/entry.rs`).

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use vbucket::StoreError;

use crate::errors::{damaged, io};
use crate::format::CommitMark;
use crate::keys::COMMITS;
use crate::values::End;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";

/// One intact batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct JournalBatch {
    mark: CommitMark,
    /// The engine's own sequence number, which its checksum does not cover.
    sequence: u64,
}

/// How far the engine's sequence may have moved between a mark and its batch: other threads take
/// numbers too, one for each table that they write.
const SEQUENCE_GAP_MAX: u64 = 1 << 20;

/// What the journals hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Inspected {
    /// The commit of the last intact batch; `None` where every journal is empty.
    pub last: Option<u64>,
    /// Every commit up to this number was synced, as far as the journals know.
    pub synced: u64,
}

/// Reads every journal in `dir`; `synced` is what the state file says, `whole` whether the values
/// are there that lie apart between the ends of two commits. A commit without its values counts as
/// one that was not finished.
///
/// # Errors
/// [`StoreError::Damaged`] where a synced commit is not readable.
pub(crate) fn inspect(
    dir: &Path,
    synced: u64,
    whole: &dyn Fn(End, End) -> bool,
) -> Result<Inspected, StoreError> {
    let mut seen: Option<JournalBatch> = None;
    let mut synced = synced;
    let paths = journals(dir)?;
    for (index, path) in paths.iter().enumerate() {
        let bytes = read(path)?;
        let broken = |at: usize, flaw: String| {
            damaged(path.display().to_string(), format!("at byte {at}: {flaw}"))
        };
        let mut reader = Reader { bytes: &bytes, at: 0 };
        while let Some((batch, next)) = reader.batch() {
            let before = seen.map_or_else(End::default, |batch| batch.mark.values);
            if batch.mark.number > synced && !whole(before, batch.mark.values) {
                let from_here = paths.get(index..).unwrap_or_default();
                undo_from(from_here, reader.at, batch.mark.number, synced)?;
                return Ok(Inspected { last: seen.map(|batch| batch.mark.number), synced });
            }
            reader.at = next;
            if let Some(before) = seen
                && !follows(before, batch)
            {
                let flaw = format!("commit {} follows {}", batch.mark.number, before.mark.number);
                return Err(broken(reader.at, flaw));
            }
            synced = synced.max(batch.mark.synced);
            seen = Some(batch);
        }
        let is_newest = index + 1 == paths.len();
        if reader.at == 0 && !is_newest {
            return Err(broken(0, "no readable commit in a journal that was full".to_owned()));
        }
        let rest = reader.rest();
        let torn = rest.iter().any(|&byte| byte != 0);
        if torn {
            synced = marks(rest).map(|mark| mark.synced).max().unwrap_or(0).max(synced);
        }
        let last = seen.map_or(0, |batch| batch.mark.number);
        if is_newest && seen.is_some() && last < synced {
            let flaw = format!("no readable commit behind {last}, but {synced} were synced");
            return Err(broken(reader.at, flaw));
        }
        // With nothing readable before it the tables decide, and what speaks against them stays.
        if torn && is_newest && (seen.is_some() || synced == 0) {
            cut_off(path, reader.at, last)?;
        }
    }
    Ok(Inspected { last: seen.map(|batch| batch.mark.number), synced })
}

/// Undoes commit `number`, whose values a power cut took, and all that follow: it begins at byte
/// `at` of the first of `paths`.
///
/// No table has anything of them. Before a table is written out, the values that its rows name are
/// synced, and so are all values before those.
fn undo_from(paths: &[PathBuf], at: usize, number: u64, synced: u64) -> Result<(), StoreError> {
    let mut synced = synced;
    for path in paths {
        synced = marks(&read(path)?).map(|mark| mark.synced).max().unwrap_or(0).max(synced);
    }
    let Some((first, later)) = paths.split_first() else { return Ok(()) };
    if number <= synced {
        let flaw = format!("commit {number} lacks its values, but {synced} were synced");
        return Err(damaged(first.display().to_string(), format!("at byte {at}: {flaw}")));
    }
    for path in later.iter().rev() {
        let removed = std::fs::remove_file(path);
        removed.map_err(|e| io("removing a journal", format!("{}: {e}", path.display())))?;
    }
    cut_off(first, at, number - 1)
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(path).map_err(|e| io("reading a journal", format!("{path:?}: {e}")))
}

/// The journals, oldest first.
fn journals(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
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

fn follows(before: JournalBatch, batch: JournalBatch) -> bool {
    batch.mark.number == before.mark.number + 1 && batch.sequence > before.sequence
}

/// Removes the unfinished batch that a crash left at the end of the newest journal.
fn cut_off(path: &Path, at: usize, last: u64) -> Result<(), StoreError> {
    log::warn!(
        "cutting an unfinished commit off a journal, path={} at_byte={at} last_commit={last}",
        path.display()
    );
    let cut = OpenOptions::new().write(true).open(path).and_then(|file| {
        file.set_len(at as u64)?;
        file.sync_all()
    });
    cut.map_err(|e| io("cutting off a journal", format!("{}: {e}", path.display())))
}

/// The commit marks of whole batches anywhere in `bytes`, found by their fixed bytes.
fn marks(bytes: &[u8]) -> impl Iterator<Item = CommitMark> {
    const HEADER_BYTES: usize = 21;
    const ITEM_BYTES: usize = HEADER_BYTES + COMMITS.len() + CommitMark::BYTES;
    const END_BYTES: usize = 1 + 8 + TRAILER.len();
    bytes.windows(ITEM_BYTES + END_BYTES).filter_map(|window| {
        let mut reader = Reader { bytes: window, at: 0 };
        // The cheap tests first: this runs at every byte.
        if window.first() != Some(&ITEM) || !window.ends_with(TRAILER) {
            return None;
        }
        let mark = reader.item()??;
        reader.end().map(|_| mark)
    })
}

/// A cursor that goes on only behind what was read whole.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next batch and where it ends, or `None` where there is no intact one. The cursor stays.
    fn batch(&self) -> Option<(JournalBatch, usize)> {
        let mut reader = Reader { bytes: self.bytes, at: self.at };
        if reader.byte()? != START {
            return None;
        }
        let items = u32::from_le_bytes(reader.array()?);
        let sequence = u64::from_le_bytes(reader.array()?);
        let from = reader.at;
        let mut mark = None;
        for _ in 0..items {
            mark = reader.item()?;
        }
        let body = self.bytes.get(from..reader.at)?;
        if reader.end()? != xxhash_rust::xxh3::xxh3_64(body) {
            return None;
        }
        let mark = mark?;
        let gap = sequence.checked_sub(mark.sequence)?;
        if gap > SEQUENCE_GAP_MAX {
            return None;
        }
        Some((JournalBatch { mark, sequence }, reader.at))
    }

    /// One item: `Some(Some(_))` for a commit mark, `Some(None)` for any other.
    fn item(&mut self) -> Option<Option<CommitMark>> {
        match self.byte()? {
            CLEAR => self.take(8).map(|_| None),
            ITEM => {
                let [_value_type, _compression] = self.array()?;
                let _keyspace: [u8; 8] = self.array()?;
                let key_len = u16::from_le_bytes(self.array()?);
                let _value_len: [u8; 4] = self.array()?;
                let stored_len = u32::from_le_bytes(self.array()?);
                let key = self.take(usize::from(key_len))?;
                let value = self.take(stored_len as usize)?;
                let mark = (key == COMMITS).then(|| CommitMark::decode(value).ok());
                Some(mark.flatten())
            }
            _ => None,
        }
    }

    /// The end of a batch: its checksum.
    fn end(&mut self) -> Option<u64> {
        if self.byte()? != END {
            return None;
        }
        let checksum = u64::from_le_bytes(self.array()?);
        (self.take(TRAILER.len())? == TRAILER).then_some(checksum)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.rest().get(..len)?;
        self.at += len;
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
