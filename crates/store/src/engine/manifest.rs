//! Compares the checksums of the engine's lists of files before the engine reads them.
//!
//! For every table lsm-tree keeps a file `v<id>` that lists the table's files, and its checksum in
//! the file `current`. Version 3.1 writes that checksum and does not compare it, so a damaged list
//! could leave out files without an error. The layout is that of its `src/version/persist.rs`.

use std::io::ErrorKind;
use std::path::Path;

use vbucket::StoreError;

use crate::errors::{damaged, io};

/// id 8, checksum 16, kind of checksum 1.
const CURRENT_BYTES: usize = 25;

/// Checks the file lists of all tables in the data directory `dir`.
///
/// # Errors
/// [`StoreError::Damaged`] for a list that is missing or has other bytes than were written.
pub(crate) fn inspect(dir: &Path) -> Result<(), StoreError> {
    let reading = |e: std::io::Error| io("reading the tables' file lists", e);
    let tables = match std::fs::read_dir(dir.join("keyspaces")) {
        Ok(tables) => tables,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(reading(e)),
    };
    for table in tables {
        let table = table.map_err(reading)?.path();
        let path = table.join("current");
        let current = match std::fs::read(&path) {
            Ok(current) => current,
            // Left by a crash while the table was created; the engine creates it again.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(reading(e)),
        };
        let (id, checksum) = decode(&current)
            .ok_or_else(|| damaged(path.display().to_string(), "it is malformed"))?;
        let pointer = path.display().to_string();
        let path = table.join(format!("v{id}"));
        let list = match std::fs::read(&path) {
            Ok(list) => list,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let flaw = format!("it is missing, or {pointer} names the wrong file");
                return Err(damaged(path.display().to_string(), flaw));
            }
            Err(e) => return Err(reading(e)),
        };
        if xxhash_rust::xxh3::xxh3_128(&list) != checksum {
            let flaw = format!("its checksum is not the one in {pointer}");
            return Err(damaged(path.display().to_string(), flaw));
        }
    }
    Ok(())
}

/// The number of a list and its checksum.
fn decode(current: &[u8]) -> Option<(u64, u128)> {
    let current: &[u8; CURRENT_BYTES] = current.try_into().ok()?;
    let (id, rest) = current.split_first_chunk::<8>()?;
    let (checksum, kind) = rest.split_first_chunk::<16>()?;
    (kind == [0]).then(|| (u64::from_le_bytes(*id), u128::from_le_bytes(*checksum)))
}
