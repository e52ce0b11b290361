//! `dcp-proxy replay` as a process: recordings of real nodes against the rules, data nodes and a
//! sidecar, with the results that are known; a failure that is recorded here and fails again; and
//! every report in `tests/data/reports`.
//!
//! `UPDATE_REPLAY=1 cargo test -p dcp-proxy --test replay` writes the known results anew; git diff
//! shows what has changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod captured;
#[path = "../common/mod.rs"]
mod common;
mod failure;
mod known;
mod nodes;
mod recorder;
mod reports;
mod signals;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::Process;

/// How long a replay waits for what does not come. All that is expected comes in milliseconds.
const WAIT_S: &str = "4";

/// Starts a replay of `file` in `folder`.
fn start(folder: &Path, file: &Path, arguments: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.current_dir(folder).arg("replay").arg(file).args(arguments);
    let name = file.file_stem().unwrap().to_str().unwrap();
    let against = arguments.join("").replace(['-', '.', ':', '/'], "");
    Process::start(&format!("{name}-{against}"), folder, &mut command)
}

/// The exit code, and what was printed.
async fn ended(mut process: Process) -> (i32, String) {
    let code = process.exit_code().await;
    (code, process.out())
}

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder)
}

fn wire(name: &str) -> PathBuf {
    data("wire").join(format!("{name}.jsonl"))
}

/// Compares a result with the known one in `tests/replay`, or writes that.
fn is_known(file: &Path, found: &str) {
    if std::env::var_os("UPDATE_REPLAY").is_some() {
        std::fs::write(file, found).unwrap();
        return;
    }
    let known = std::fs::read_to_string(file).unwrap_or_default();
    let differences = similar::TextDiff::from_lines(known.as_str(), found);
    let text = differences.unified_diff().header("known", "found").to_string();
    assert!(known == found, "{}:\n{text}\nif that is right: UPDATE_REPLAY=1", file.display());
}
