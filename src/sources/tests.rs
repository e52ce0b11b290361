//! The file of the state: what is kept, what is refused, and what a kill leaves.

use std::fs;
use std::path::Path;

use desired::{Change, Entry, Selection};
use replica::plan::{Connections, Desired, VbSet};

use super::state::{StateError, StateFolder};
use super::{Maps, mark};
use crate::config::{self, Config};

fn config(folder: &Path, replicate: &str) -> Config {
    let text = format!(
        "[node]\nname = \"beta\"\naddress = \"127.0.0.1:1\"\nusername = \"u\"\npassword = \"p\"\n\
         [[producer]]\nname = \"alpha\"\naddress = \"127.0.0.1:2\"\nusername = \"u\"\n\
         password = \"p\"\n[[bucket]]\nname = \"default\"\n\
         replicate = {{ alpha = {replicate:?} }}\n"
    );
    config::parse(&folder.join("proxy.toml"), &text, &|_| None).unwrap()
}

fn open(folder: &Path) -> Result<(StateFolder, Option<Maps>), StateError> {
    StateFolder::open(&folder.join("state"), "beta")
}

/// Maps with every kind of change.
fn changed(folder: &Path) -> Maps {
    let mut maps = Maps::new(&config(folder, "0-1023"));
    let bucket = maps.bucket_mut("default").unwrap();
    let pause = Selection { vbuckets: Some("0-9".parse().unwrap()), ..Selection::default() };
    for change in [
        Change::Replace(Desired::default()),
        Change::Connections(Connections::new(4).unwrap()),
        Change::Pause(pause),
    ] {
        assert!(bucket.change(&change, &mark("127.0.0.1:5000")).unwrap());
    }
    bucket.took_over("1000".parse().unwrap(), "alpha", &mark("sidecar"));
    maps
}

#[test]
fn what_was_saved_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let maps = changed(folder.path());
    let (mut state, none) = open(folder.path()).unwrap();
    assert_eq!(none, None);
    state.save(&maps).unwrap();
    drop(state);
    // What a kill between two steps leaves is no harm.
    fs::write(folder.path().join("state/desired.json.new"), "{").unwrap();
    let (mut state, read) = open(folder.path()).unwrap();
    assert_eq!(read.as_ref(), Some(&maps));
    state.save(&maps).unwrap();
    drop(state);
    assert_eq!(open(folder.path()).unwrap().1, Some(maps));
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let maps = changed(folder.path());
    open(folder.path()).unwrap().0.save(&maps).unwrap();
    let file = folder.path().join("state/desired.json");
    let good = fs::read(&file).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 4;
        fs::write(&file, &bad).unwrap();
        match open(folder.path()) {
            Err(StateError::Damaged { .. } | StateError::Future { .. }) => {}
            Ok((_, read)) => assert_eq!(read.as_ref(), Some(&maps), "byte {at}"),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    for length in 0..good.len() - 1 {
        fs::write(&file, &good[..length]).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, StateError::Damaged { .. }), "{length}: {error}");
        assert!(error.to_string().contains("delete it to start"), "{error}");
    }
}

#[test]
fn a_state_that_is_not_for_this_program_or_node_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap().0.save(&changed(folder.path())).unwrap();
    let file = folder.path().join("state/desired.json");
    let error = StateFolder::open(&folder.path().join("state"), "gamma").unwrap_err();
    assert!(matches!(error, StateError::OtherNode { .. }), "{error}");
    assert!(error.to_string().contains("is the state of node \"beta\""), "{error}");
    fs::write(&file, "{\"version\":2,\"shape\":\"of things to come\"}").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, StateError::Future { version: 2, .. }), "{error}");
    let held = {
        fs::remove_file(&file).unwrap();
        open(folder.path()).unwrap()
    };
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, StateError::InUse { .. }), "{error}");
    drop(held);
    open(folder.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_refuses_changes_not_the_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state"), "a file").unwrap();
    let (mut state, none) = open(folder.path()).unwrap();
    assert_eq!(none, None);
    let error = state.save(&changed(folder.path())).unwrap_err();
    assert!(error.to_string().contains("remove what is in the place"), "{error}");
    // It is tried again, so the operator need not restart.
    fs::remove_file(folder.path().join("state")).unwrap();
    state.save(&changed(folder.path())).unwrap();
}

#[test]
fn a_bucket_that_left_the_file_is_dropped_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut maps = changed(folder.path());
    let mut without = config(folder.path(), "0-1023");
    without.buckets.clear();
    let dropped = maps.follow(&without, 7);
    assert_eq!(dropped.len(), 4, "the takeover, too");
    assert!(dropped.iter().all(|it| it.bucket == "default" && it.at_ms == 7));
    assert_eq!(maps.dropped("default").count(), 4);
    assert!(maps.buckets().is_empty());
    maps.follow(&config(folder.path(), "5"), 8);
    let entry: Entry = maps.bucket("default").unwrap().in_force();
    let set: VbSet = "5".parse().unwrap();
    assert_eq!(entry.replicate.producers().get("alpha"), Some(&set));
}
