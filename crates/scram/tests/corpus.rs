//! The fuzz corpus and random messages, on stable Rust.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[test]
fn the_corpus_keeps_the_rules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/scram");
    let inputs: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    assert!(inputs.len() >= 10, "{inputs:?}");
    for input in inputs {
        scram::check::login(&fs::read(input).unwrap());
    }
}

proptest! {
    #[test]
    fn every_message_keeps_the_rules(
        choice: u8,
        message in prop_oneof![
            "(n|y|p),(a=.)?,n=.{0,6},r=[!-~]{0,6}",
            "r=nonce[!-~]{0,4},s=[A-Za-z0-9+/=]{0,8},i=[0-9]{1,4}",
            "c=biws,r=noncemore,p=[A-Za-z0-9+/=]{0,32}",
            "[ve]=[A-Za-z0-9+/=]{0,32}",
            ".{0,16}",
        ],
    ) {
        scram::check::login(&[&[choice], message.as_bytes()].concat());
    }
}
