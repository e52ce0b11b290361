//! Which of the engine's files are damaged: looked for once the store could not be opened.
//!
//! The engine's errors name no file. Its lists hold a checksum of every whole file; comparing them
//! all takes too long for each start, but not when there is nothing to start. The layout is that
//! of lsm-tree 3.1 (`src/version/mod.rs`).

use std::path::{Path, PathBuf};

use vbucket::StoreError;
use xxhash_rust::xxh3::xxh3_128;

/// How many files a message names.
const NAMED_MAX: usize = 4;

/// Adds to an error about damage which files below `data` it comes from, where that can be found.
pub(crate) fn named(error: StoreError, data: &Path) -> StoreError {
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

/// The files whose bytes are not those that a list tells of. What cannot be read is left out.
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

/// Whether `list` tells of the file `path`, and only with other checksums.
fn differs(path: &Path, list: &[u8]) -> Option<bool> {
    let id: u64 = path.file_name()?.to_str()?.parse().ok()?;
    let checksum = xxh3_128(&std::fs::read(path).ok()?).to_le_bytes();
    // id 8, kind of checksum 1 (always 0), checksum 16.
    let told = list.windows(25).filter_map(|entry| {
        let (head, rest) = entry.split_first_chunk::<8>()?;
        let (kind, told) = rest.split_first()?;
        (*head == id.to_le_bytes() && *kind == 0).then_some(told)
    });
    let told: Vec<_> = told.collect();
    Some(!told.is_empty() && !told.contains(&checksum.as_slice()))
}
