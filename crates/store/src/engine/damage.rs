//! Finds the engine's damaged files after the store could not be opened.
//!
//! The engine's errors name no file. Its lists of files hold a checksum of each whole file.
//! Comparing all of them takes too long for each start, but not once the start has failed. The
//! layout is that of lsm-tree 3.1 (`src/version/mod.rs`).

use std::path::{Path, PathBuf};

use vbucket::StoreError;
use xxhash_rust::xxh3::xxh3_128;

/// How many files a message names at most.
const NAMED_MAX: usize = 4;

/// Adds the names of the damaged files below `data` to an error about damage, where any are found.
pub(crate) fn name_damaged_files(error: StoreError, data: &Path) -> StoreError {
    let StoreError::Damaged { what, detail } = error else { return error };
    let found = damaged_files(data);
    let names: Vec<_> =
        found.iter().take(NAMED_MAX).map(|path| path.display().to_string()).collect();
    if names.is_empty() {
        return StoreError::Damaged { what, detail };
    }
    let detail = format!("{detail} (damaged files: {})", names.join(", "));
    StoreError::Damaged { what, detail }
}

/// The files whose checksum is not the listed one. Files that cannot be read are left out: the
/// error that is being reported stands without them.
fn damaged_files(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for table in entries(&data.join("keyspaces")) {
        let Some(list) = current_list(&table) else { continue };
        for file in entries(&table.join("tables")) {
            if differs(&file, &list) == Some(true) {
                found.push(file);
            }
        }
    }
    found
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// The list of a table's files, as `current` names it.
fn current_list(table: &Path) -> Option<Vec<u8>> {
    let current = std::fs::read(table.join("current")).ok()?;
    let id = u64::from_le_bytes(*current.first_chunk()?);
    std::fs::read(table.join(format!("v{id}"))).ok()
}

/// Whether `list` has the file `path`, and only with other checksums.
fn differs(path: &Path, list: &[u8]) -> Option<bool> {
    let id: u64 = path.file_name()?.to_str()?.parse().ok()?;
    let checksum = xxh3_128(&std::fs::read(path).ok()?).to_le_bytes();
    // id 8, kind of checksum 1 (always 0), checksum 16.
    let listed = list.windows(25).filter_map(|entry| {
        let (head, rest) = entry.split_first_chunk::<8>()?;
        let (kind, listed) = rest.split_first()?;
        (*head == id.to_le_bytes() && *kind == 0).then_some(listed)
    });
    let listed: Vec<_> = listed.collect();
    Some(!listed.is_empty() && !listed.contains(&checksum.as_slice()))
}
