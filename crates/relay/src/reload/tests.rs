//! A value in a file that is renewed, replaced, broken and removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn load(path: &Path) -> Result<Arc<str>, String> {
    match fs::read_to_string(path) {
        Ok(text) if text.is_empty() => Err("empty".to_owned()),
        Ok(text) => Ok(text.into()),
        Err(error) => Err(error.to_string()),
    }
}

/// The value in a file, and how often it was read.
fn of(path: &Path) -> (Reloading<str>, Arc<AtomicUsize>) {
    let (reads, file) = (Arc::new(AtomicUsize::new(0)), path.to_owned());
    let counted = Arc::clone(&reads);
    let load = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        load(&file)
    };
    (Reloading::read("text", vec![path.to_owned()], load, |text| text).unwrap(), reads)
}

#[test]
fn a_change_is_seen_at_the_next_use_and_a_bad_one_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "one").unwrap();
    let (value, _) = of(&path);
    // The same length, within the resolution of time stamps.
    for text in ["two", "six"] {
        fs::write(&path, text).unwrap();
        assert_eq!(&*value.current(), text);
    }
    fs::write(&path, "").unwrap();
    assert_eq!(&*value.current(), "six", "a file that is being written");
    fs::remove_file(&path).unwrap();
    assert_eq!(&*value.current(), "six", "a file that is being replaced");
    assert_eq!((&*value.clone().current(), &*value.last()), ("six", "six"));
    fs::write(&path, "ten").unwrap();
    assert_eq!(&*value.current(), "ten");
}

#[test]
fn a_link_to_another_file_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let [path, one, two] = ["file", "one", "two"].map(|name| folder.path().join(name));
    fs::write(&one, "one").unwrap();
    fs::write(&two, "two").unwrap();
    symlink(&one, &path).unwrap();
    let (value, _) = of(&path);
    // As Kubernetes does it: a link is renamed over the old one.
    symlink(&two, folder.path().join("new")).unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    assert_eq!(&*value.current(), "two");
}

#[test]
fn a_file_that_has_not_changed_is_not_read() {
    let (value, reads) = of(Path::new("Cargo.toml"));
    for _ in 0..100 {
        assert_eq!(value.current(), value.last());
    }
    assert!(reads.load(Ordering::Relaxed) <= 2, "{reads:?}");
}

#[test]
fn a_pipe_is_read_once() {
    use std::io::Write as _;
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"one").unwrap();
    drop(writer);
    let path = {
        use std::os::fd::AsRawFd as _;
        PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()))
    };
    let (value, reads) = of(&path);
    assert_eq!((&*value.current(), &*value.current()), ("one", "one"));
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn all_clones_adopt_another_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "of a file").unwrap();
    let fixed: Reloading<str> = Reloading::fixed("fixed".into());
    let clone = fixed.clone();
    assert_eq!(&*clone.refreshed().await, "fixed");
    fixed.adopt(&of(&path).0);
    assert_eq!(&*clone.refreshed().await, "of a file");
    fs::write(&path, "renewed").unwrap();
    assert_eq!(&*clone.refreshed().await, "renewed");
    fixed.adopt(&fixed.clone());
    assert_eq!(&*fixed.current(), "renewed");
}
