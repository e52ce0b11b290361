//! 1,000 changes keep descriptors, watches and threads flat, and the end gives all of them back.
//! The only test of its process, which it counts in.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use watchfile::Watcher;

const PATIENCE: Duration = Duration::from_secs(30);

/// Descriptors, inotify watches and threads of this process.
fn held() -> [usize; 3] {
    let entries = |folder: &str| fs::read_dir(folder).unwrap().count();
    let infos = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    // The descriptor that lists the folder is gone by now.
    let texts = infos.filter_map(|info| fs::read_to_string(info.path()).ok());
    let watches = texts.map(|text| text.matches("inotify wd:").count()).sum();
    [entries("/proc/self/fd"), watches, entries("/proc/self/task")]
}

/// Points the link `..data` of `folder` at a new folder and removes the old one.
fn swap(folder: &Path, version: u32) {
    let name = |version: u32| format!("..version_{version}");
    fs::create_dir(folder.join(name(version))).unwrap();
    fs::write(folder.join(name(version)).join("a"), version.to_string()).unwrap();
    symlink(name(version), folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    if let Some(old) = version.checked_sub(1) {
        fs::remove_dir_all(folder.join(name(old))).unwrap();
    }
}

#[test]
fn a_thousand_changes_are_flat() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    swap(folder.path(), 0);
    symlink("..data/a", &file).unwrap();
    let before = held();
    let (tell, changes) = channel();
    let watcher = Watcher::start(vec![file], move |files| {
        _ = tell.send(files.len());
    });
    let watcher = watcher.unwrap();
    let mut first = None;
    for round in 0..10 {
        for version in 1..=100 {
            swap(folder.path(), 100 * round + version);
        }
        assert_eq!(changes.recv_timeout(PATIENCE), Ok(1));
        while changes.try_recv().is_ok() {}
        let held = held();
        assert_eq!(*first.get_or_insert(held), held, "round {round}");
    }
    drop(watcher);
    // The thread of the notifications ends on its own.
    let deadline = Instant::now() + PATIENCE;
    while held() != before {
        assert!(Instant::now() < deadline, "{:?} of {before:?}", held());
        std::thread::yield_now();
    }
}
