//! The notifications of the system for the places that lead to the files.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use log::warn;
use logline::value;
use notify::event::{AccessKind, AccessMode};
use notify::{
    Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
};

use crate::inbox::Inbox;
use crate::places::{Entry, Places};

/// Places are looked up again while they change, but not for ever.
const ROUNDS_MAX: usize = 4;

/// The names whose changes count, shared with the thread of the notifications.
type Names = Arc<Mutex<BTreeSet<PathBuf>>>;

/// See the module.
pub(crate) struct Folders {
    /// `None` where the system has no notifications to give.
    watcher: Option<RecommendedWatcher>,
    names: Names,
    watched: BTreeSet<PathBuf>,
    /// Whether every place is watched.
    complete: bool,
    /// Whether the log has said that one is not.
    said: bool,
}

impl Folders {
    /// Notifications that wake `inbox`, or none if they are not to be used.
    pub(crate) fn new(inbox: &Arc<Inbox>, notifications: bool) -> Self {
        let names = Names::default();
        let mut folders =
            Self { watcher: None, names, watched: BTreeSet::new(), complete: false, said: false };
        if notifications {
            match folders.start(Arc::clone(inbox)) {
                Ok(watcher) => folders.watcher = Some(watcher),
                Err(error) => folders.incomplete(Path::new("/"), &error),
            }
        }
        folders
    }

    fn start(&self, inbox: Arc<Inbox>) -> notify::Result<RecommendedWatcher> {
        let names = Arc::clone(&self.names);
        let told = move |event: notify::Result<Event>| {
            // An error, such as an overflow of the queue, may hide any change.
            let counts = event.map_or(true, |event| {
                let names = names.lock().unwrap_or_else(PoisonError::into_inner);
                event.need_rescan() || changes(event.kind) && is_on_the_way(&event, &names)
            });
            if counts {
                inbox.put(|arrived| arrived.hint = true);
            }
        };
        RecommendedWatcher::new(told, Config::default())
    }

    /// Whether every place is watched; where not, changes are found by reading alone.
    pub(crate) const fn are_complete(&self) -> bool {
        self.complete
    }

    /// Watches what leads to `files` now.
    pub(crate) fn watch(&mut self, files: &[PathBuf]) {
        let Some(mut watcher) = self.watcher.take() else { return };
        let mut places = Places::of(files, &entry);
        for _ in 0..ROUNDS_MAX {
            self.watch_places(&mut watcher, &places);
            // A link that was swapped before its folder was watched leads elsewhere now.
            let now = Places::of(files, &entry);
            if now == places {
                break;
            }
            places = now;
        }
        self.watcher = Some(watcher);
    }

    fn watch_places(&mut self, watcher: &mut RecommendedWatcher, places: &Places) {
        places.names.clone_into(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner));
        for path in std::mem::take(&mut self.watched) {
            // The kernel drops the watch of what was deleted, and so has `watcher`. What stands
            // there now may be another folder of the same name, so no watch is kept.
            _ = watcher.unwatch(&path);
        }
        self.complete = true;
        for path in &places.watched {
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => _ = self.watched.insert(path.clone()),
                Err(error) if is_missing(&error) => {}
                Err(error) => {
                    self.complete = false;
                    self.incomplete(path, &error);
                }
            }
        }
    }

    fn incomplete(&mut self, path: &Path, error: &notify::Error) {
        if std::mem::replace(&mut self.said, true) {
            return;
        }
        let remedy = match &error.kind {
            ErrorKind::MaxFilesWatch => "raise fs.inotify.max_user_watches",
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "give the user of this process read access to the folder"
            }
            _ => "raise fs.inotify.max_user_instances, or the limit of open files",
        };
        warn!(
            "no notifications of file changes, files are read every few seconds instead \
             path={} error={} remedy={}",
            value(path.display()),
            value(error),
            value(remedy)
        );
    }
}

/// Whether an event of this kind may change a file. Reading one makes events as well.
const fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

fn is_on_the_way(event: &Event, names: &BTreeSet<PathBuf>) -> bool {
    event.paths.is_empty() || event.paths.iter().any(|path| names.contains(path))
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
        _ => false,
    }
}

/// What stands at `path`.
fn entry(path: &Path) -> Entry {
    match std::fs::read_link(path) {
        Ok(target) => Entry::Link(target),
        // It is there, and no link.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Entry::Other,
        Err(_) => Entry::Missing,
    }
}
