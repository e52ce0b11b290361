//! Shared by the measuring programs: medians, a description of the machine, the documents,
//! diagrams.

pub mod docs;
pub mod svg;

use std::io;
use std::path::Path;

use tempfile::TempDir;

/// A temporary folder for data, in `parent` or in that of the system.
///
/// # Errors
/// The OS error.
pub fn temporary(parent: Option<&Path>) -> io::Result<TempDir> {
    parent.map_or_else(tempfile::tempdir, tempfile::tempdir_in)
}

/// The median; of an even number of values the upper one. `None` without values.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Describes the machine: processors and kernel.
#[must_use]
pub fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{processors} processors that all share, Linux {}", kernel.trim())
}
