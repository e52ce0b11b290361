//! Files that change in the ways of editors, tools and Kubernetes: by notifications alone, and by
//! reading alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Notifications, or polls, with the other way switched off.
fn manners() -> [Manner; 2] {
    let waits = Waits { quiet: Duration::from_millis(20), longest: Duration::from_millis(300) };
    let never = Duration::from_secs(3600);
    let told = Manner { waits, poll: never, recheck: never, notifications: true };
    [told, Manner { poll: Duration::from_millis(10), notifications: false, ..told }]
}

struct Watched {
    watcher: Option<Watcher>,
    changes: Receiver<Vec<PathBuf>>,
}

impl Watched {
    fn start(manner: Manner, files: &[&Path]) -> Self {
        let (tell, changes) = channel();
        let on_change = move |files: &[PathBuf]| _ = tell.send(files.to_vec());
        let files = files.iter().map(|file| file.to_path_buf()).collect();
        let watcher = Watcher::start_in(manner, files, on_change).unwrap();
        Self { watcher: Some(watcher), changes }
    }

    #[track_caller]
    fn expect(&self, files: &[&Path]) {
        let files: Vec<_> = files.iter().map(|file| file.to_path_buf()).collect();
        assert_eq!(self.changes.recv_timeout(PATIENCE).unwrap(), files);
    }

    /// Ends the watcher; there was no further call.
    #[track_caller]
    fn end(mut self) {
        drop(self.watcher.take());
        assert_eq!(self.changes.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }
}

/// Writes `text` to a new file and renames it over `file`, as editors do.
fn rename_over(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

#[test]
fn written_in_place_and_renamed_over() {
    for manner in manners() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        fs::write(&file, "0").unwrap();
        let watched = Watched::start(manner, &[&file]);
        for round in 1..4 {
            fs::write(&file, format!("in place {round}")).unwrap();
            watched.expect(&[&file]);
            rename_over(&file, &format!("over {round}"));
            watched.expect(&[&file]);
        }
        watched.end();
    }
}

#[test]
fn a_touch_and_a_neighbour_are_no_change() {
    for manner in manners() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, other] = ["a", "b", "other"].map(|name| folder.path().join(name));
        fs::write(&a, "same").unwrap();
        fs::write(&b, "0").unwrap();
        let watched = Watched::start(manner, &[&a, &b]);
        fs::write(&other, "anything").unwrap();
        fs::File::open(&a).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        rename_over(&a, "same");
        fs::write(&b, "1").unwrap();
        watched.expect(&[&b]);
        watched.end();
    }
}

#[test]
fn deleted_and_created_again() {
    for manner in manners() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deeper").join("a");
        // Not there yet, and neither is its folder.
        let watched = Watched::start(manner, &[&file]);
        fs::create_dir(file.parent().unwrap()).unwrap();
        fs::write(&file, "1").unwrap();
        watched.expect(&[&file]);
        fs::remove_file(&file).unwrap();
        watched.expect(&[&file]);
        fs::write(&file, "2").unwrap();
        watched.expect(&[&file]);
        // The folder is replaced: first moved away with the file, then there again with another.
        fs::rename(file.parent().unwrap(), folder.path().join("away")).unwrap();
        watched.expect(&[&file]);
        fs::create_dir(file.parent().unwrap()).unwrap();
        fs::write(&file, "3").unwrap();
        watched.expect(&[&file]);
        fs::write(&file, "4").unwrap();
        watched.expect(&[&file]);
        watched.end();
    }
}

#[test]
fn links_swapped_as_kubernetes_does() {
    for manner in manners() {
        let folder = tempfile::tempdir().unwrap();
        let swap = |version: u32| {
            let name = format!("..version_{version}");
            fs::create_dir(folder.path().join(&name)).unwrap();
            fs::write(folder.path().join(&name).join("a"), version.to_string()).unwrap();
            let new = folder.path().join("..data_tmp");
            symlink(&name, &new).unwrap();
            fs::rename(new, folder.path().join("..data")).unwrap();
        };
        swap(0);
        let file = folder.path().join("a");
        symlink("..data/a", &file).unwrap();
        let watched = Watched::start(manner, &[&file]);
        for version in 1..5 {
            swap(version);
            let old = folder.path().join(format!("..version_{}", version - 1));
            fs::remove_dir_all(old).unwrap();
            watched.expect(&[&file]);
        }
        watched.end();
    }
}

#[test]
fn other_files_from_now_on() {
    for manner in manners() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
        [&a, &b, &c].into_iter().for_each(|file| fs::write(file, "0").unwrap());
        let watched = Watched::start(manner, &[&a, &b]);
        // A change right before and right after the list is replaced.
        fs::write(&b, "1").unwrap();
        watched.watcher.as_ref().unwrap().set_files(vec![c.clone(), b.clone(), b.clone()]);
        fs::write(&c, "1").unwrap();
        watched.expect(&[&b, &c]);
        fs::write(&a, "1").unwrap();
        fs::write(&c, "2").unwrap();
        watched.expect(&[&c]);
        watched.end();
    }
}

#[test]
fn a_watcher_may_end_in_its_own_call() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    let own = Arc::new(std::sync::Mutex::new(None::<Watcher>));
    let (tell, ended) = channel();
    let inside = Arc::clone(&own);
    let on_change = move |_: &[PathBuf]| {
        drop(inside.lock().unwrap().take());
        tell.send(()).unwrap();
    };
    let mut place = own.lock().unwrap();
    *place = Some(Watcher::start_in(manners()[0], vec![file.clone()], on_change).unwrap());
    drop(place);
    fs::write(&file, "1").unwrap();
    ended.recv_timeout(PATIENCE).unwrap();
    assert_eq!(ended.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}
