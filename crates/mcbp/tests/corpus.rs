//! The fuzz corpus as a test on stable Rust: the properties of the targets hold for its inputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::fs;
use std::path::Path;

use mcbp::check;

/// The inputs of one target; an empty corpus would make the test worthless, so it fails.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let inputs = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let inputs: Vec<_> = inputs.map(|input| fs::read(input.unwrap().path()).unwrap()).collect();
    assert!(inputs.len() >= 10, "only {} inputs in {}", inputs.len(), folder.display());
    inputs
}

#[test]
fn frame_corpus() {
    for input in corpus("frame") {
        check::frame(&input);
    }
}

#[test]
fn scan_corpus() {
    for input in corpus("scan") {
        check::stream(&input);
    }
}
