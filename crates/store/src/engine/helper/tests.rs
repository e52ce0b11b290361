//! What the helper thread lets go of, and when.

use std::sync::mpsc::{Sender, channel};
use std::thread::ThreadId;

use super::*;

/// Tells which thread let go of it.
struct Told(Sender<ThreadId>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.send(std::thread::current().id()).expect("somebody listens");
    }
}

fn helper_without_thread(tasks: SyncSender<Task>) -> Helper {
    let tasks = Some(tasks);
    Helper { tasks, thread: None, seen: 0, grown: 0, is_told: Arc::default() }
}

fn journals_in(dir: &Path) -> Journals {
    Journals { dir: dir.to_path_buf(), open: Vec::new() }
}

fn open(journals: &Journals) -> Vec<String> {
    let name = |(path, _): &(PathBuf, File)| path.file_name().map(|name| name.to_owned());
    let names = journals.open.iter().filter_map(name);
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn what_is_let_go_is_freed_by_the_thread_before_it_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let helper = Helper::start(dir.path());
    let (tell, told) = channel();
    helper.free(vec![Arc::new(Told(tell.clone())), Arc::new(Told(tell))]);
    drop(helper);
    let threads: Vec<_> = told.iter().collect();
    assert_eq!(threads.len(), 2);
    assert!(!threads.contains(&std::thread::current().id()));
}

#[test]
fn what_the_thread_is_too_slow_for_is_freed_by_the_caller() {
    let (tasks, _asked) = sync_channel(1);
    let helper = helper_without_thread(tasks);
    let (tell, told) = channel();
    assert!(helper.ask(Task::Journal { is_synced: false }));
    helper.free(vec![Arc::new(Told(tell))]);
    assert_eq!(told.iter().collect::<Vec<_>>(), [std::thread::current().id()]);
}

#[test]
fn the_thread_is_told_of_the_journal_once_enough_was_committed() {
    let (tasks, asked) = sync_channel(1);
    let mut helper = helper_without_thread(tasks);
    helper.committed(SYNC_BYTES - 1, false);
    assert!(asked.try_recv().is_err());
    // A flush freed most of it.
    helper.committed(0, false);
    helper.committed(1, true);
    assert!(matches!(asked.try_recv(), Ok(Task::Journal { is_synced: true })));
    helper.committed(SYNC_BYTES, false);
    assert!(asked.try_recv().is_err(), "it has not looked at the journal yet");
    helper.is_told.store(false, Ordering::Relaxed);
    helper.committed(2 * SYNC_BYTES, false);
    assert!(matches!(asked.try_recv(), Ok(Task::Journal { is_synced: false })));
}

#[test]
fn a_task_that_finds_no_room_is_asked_for_again() {
    let (tasks, asked) = sync_channel(1);
    let mut helper = helper_without_thread(tasks);
    helper.free(vec![Arc::new(())]);
    helper.committed(SYNC_BYTES, false);
    assert!(matches!(asked.try_recv(), Ok(Task::Free(_))));
    assert!(asked.try_recv().is_err());
    helper.committed(2 * SYNC_BYTES, false);
    assert!(matches!(asked.try_recv(), Ok(Task::Journal { is_synced: false })));
}

#[test]
fn journals_are_held_open_until_they_are_deleted() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    let mut journals = journals_in(dir.path());
    journals.grown(false).expect("no journal is no error");
    assert!(open(&journals).is_empty());
    for name in ["9.jnl", "10.jnl"] {
        File::create(path(name)).expect("a journal");
        journals.grown(true).expect("it can be opened");
        journals.grown(false).expect("it can be synced");
    }
    assert_eq!(open(&journals), ["9.jnl", "10.jnl"]);
    std::fs::remove_file(path("9.jnl")).expect("it is there");
    journals.grown(true).expect("the folder can be read");
    assert_eq!(open(&journals), ["10.jnl"]);
}

#[test]
fn no_journal_is_held_open_while_nothing_is_committed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (old, new) = (dir.path().join("0.jnl"), dir.path().join("1.jnl"));
    let mut helper = Helper::start(dir.path());
    let holders = |path: &Path| {
        let held = std::fs::read_dir("/proc/self/fd").expect("this process's files");
        let target =
            |entry: io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
        held.filter_map(target).filter(|file| file == path || *file == deleted(path)).count()
    };
    for path in [&old, &new] {
        File::create(path).expect("a journal");
        helper.committed(helper.seen + SYNC_BYTES, false);
        until(|| holders(path) == 1);
    }
    std::fs::remove_file(&old).expect("it is there");
    until(|| holders(&old) == 0);
    until(|| holders(&new) == 0);
}

/// What the system calls a file whose name is gone.
fn deleted(path: &Path) -> PathBuf {
    PathBuf::from(format!("{} (deleted)", path.display()))
}

fn until(is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it did not come about");
        std::thread::yield_now();
    }
}
