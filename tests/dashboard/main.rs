//! The dashboard as people see it: in headless Chromium, against real sidecars and data nodes that
//! are healthy, frozen, gone, restarted or rolled back. The scripts beside this file look at the
//! page and use it; the tests here start processes, and freeze and kill them when a script asks.
//!
//! Skipped, with a message, where Chromium, node or the packages of `package.json` are missing;
//! `.ci/run` installs them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod nodes;
mod scene;
mod script;
mod sidecars;

use std::process::Command;

use script::Tools;

/// The rules of the page that need no browser: sets of vBuckets, keys, times.
#[test]
fn the_pure_parts_of_the_page() {
    let Some(tools) = Tools::find() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dashboard/pure.mjs");
    let done = Command::new(tools.node).arg("--test").arg(script).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("# fail 0") && !said.contains("# pass 0"), "{said}");
}
