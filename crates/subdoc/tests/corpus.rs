//! The fuzz corpus on stable Rust.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

#[test]
fn the_corpus_keeps_the_rules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/subdoc");
    let inputs: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    assert!(inputs.len() >= 10, "{inputs:?}");
    for input in inputs {
        subdoc::check::operation(&fs::read(input).unwrap());
    }
}
