//! A folder that one process uses at a time. The lock is the kernel's (`flock`), so that it ends
//! with the process, however that ends; the text in the lock file says who holds it.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// Far more than a pid and the name of a host take.
const TEXT_BYTES_MAX: u64 = 512;
/// [`FolderLock::held_by`] has a lock for a moment, which must stop no start.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// A locked folder, until it is dropped.
#[derive(Debug)]
pub struct FolderLock(#[allow(dead_code, reason = "held, never used")] File);

/// Why a folder is not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("it is in use by {0}")]
    Held(Holder),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Who holds a lock. Its text is `another process` where that is unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holder {
    /// The process, as its own namespace numbers it.
    pub pid: Option<u32>,
    /// The host, which in a container is the container's.
    pub host: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pid) = self.pid else { return f.write_str("another process") };
        write!(f, "process {pid}")?;
        match &self.host {
            Some(host) if *host != own_host() => write!(f, " on host {host}"),
            _ => Ok(()),
        }
    }
}

impl FolderLock {
    /// Locks a folder by the file `name` in it, which is created where it is missing.
    ///
    /// # Errors
    /// A [`LockError`].
    pub fn take(folder: &Path, name: &str) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut file = options.open(folder.join(name))?;
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match file.try_lock() {
                Ok(()) => break,
                // It may be somebody who only asks.
                Err(TryLockError::WouldBlock) if tries > 0 => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        // The lock is what counts. On a full disk the text is missing, and the holder unknown.
        _ = file.set_len(0).and_then(|()| {
            file.write_all(format!("{} {}\n", std::process::id(), own_host()).as_bytes())
        });
        Ok(Self(file))
    }

    /// Who holds the lock of a folder, if a process that lives does. Others who ask at the same
    /// time do not count, and nothing is created or written.
    ///
    /// # Errors
    /// The operating system refused to read the file.
    pub fn held_by(folder: &Path, name: &str) -> io::Result<Option<Holder>> {
        let mut file = match File::open(folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn own_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    // A text that cannot be read names nobody.
    _ = file.take(TEXT_BYTES_MAX).read_to_string(&mut text);
    parse(&text)
}

fn parse(text: &str) -> Holder {
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|pid| pid.parse().ok());
    let is_name = |host: &&str| host.chars().all(|c| c.is_ascii_graphic());
    Holder { pid, host: words.next().filter(is_name).map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_named_and_it_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::take(folder.path(), "lock").unwrap();
        let error = FolderLock::take(folder.path(), "lock").unwrap_err();
        assert_eq!(error.to_string(), format!("it is in use by process {}", std::process::id()));
        drop(held);
        FolderLock::take(folder.path(), "lock").unwrap();
    }

    #[test]
    fn who_asks_takes_nothing_and_is_told_of_nobody_who_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let held_by = || FolderLock::held_by(folder.path(), "lock").unwrap();
        assert_eq!(held_by(), None);
        assert!(!folder.path().join("lock").exists(), "it creates nothing");
        let held = FolderLock::take(folder.path(), "lock").unwrap();
        assert_eq!(held_by().unwrap().pid, Some(std::process::id()));
        drop(held);
        assert!(folder.path().join("lock").exists());
        assert_eq!(held_by(), None);
        // Somebody who asks at this moment.
        let asks = File::open(folder.path().join("lock")).unwrap();
        asks.try_lock_shared().unwrap();
        assert_eq!(held_by(), None);
        let later = std::thread::spawn(move || {
            std::thread::yield_now();
            drop(asks);
        });
        FolderLock::take(folder.path(), "lock").unwrap();
        later.join().unwrap();
    }

    #[test]
    fn a_holder_that_wrote_nothing_is_another_process() {
        for (text, shown) in [
            ("", "another process"),
            ("x y", "another process"),
            ("17", "process 17"),
            ("1 beta-0\n", "process 1 on host beta-0"),
        ] {
            assert_eq!(parse(text).to_string(), shown, "{text:?}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let error = FolderLock::take(&folder.path().join("no"), "lock").unwrap_err();
        assert!(matches!(&error, LockError::Io(e) if e.kind() == io::ErrorKind::NotFound));
    }
}
