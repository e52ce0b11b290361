//! Replaces the text of a file at once: a reader sees the old text or the new one, also after a
//! crash of the machine.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// Replaces `old` by `new`. Links to the file stay, and so do its permissions and its owner.
///
/// # Errors
/// The OS error, or one that says that the file has another text than `old` meanwhile.
pub(crate) fn replace(path: &Path, old: &str, new: &str) -> io::Result<()> {
    let target = fs::canonicalize(path)?;
    swap(&target, new, || {
        if fs::read(&target)? == old.as_bytes() {
            return Ok(());
        }
        Err(io::Error::other("somebody else has changed it in the meantime"))
    })
}

/// Writes a file, or replaces it whatever its text is. Links to it stay, and so do its permissions
/// and its owner; a new file is for its owner alone.
///
/// # Errors
/// The OS error.
pub(crate) fn put(path: &Path, text: &str) -> io::Result<()> {
    swap(&target(path)?, text, || Ok(()))
}

/// Whether [`put`] could write the file: makes and removes what would be beside it.
///
/// # Errors
/// The OS error.
pub(crate) fn try_put(path: &Path) -> io::Result<()> {
    beside(&target(path)?)?.1.close()
}

/// Writes `text` beside the file, and gives it the name of the file if `may_still` holds then.
fn swap(target: &Path, text: &str, may_still: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (folder, mut file) = beside(target)?;
    file.write_all(text.as_bytes())?;
    match fs::metadata(target) {
        Ok(old) => adopt(&file, &old)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    file.as_file().sync_all()?;
    may_still()?;
    file.persist(target)?;
    // The new name of the file is on disk once its folder is.
    File::open(folder)?.sync_all()
}

/// The folder of a file, and a new file in it.
fn beside(target: &Path) -> io::Result<(&Path, NamedTempFile)> {
    let folder = target.parent().ok_or_else(|| io::Error::other("it is no file"))?;
    let file = Builder::new().prefix(".dcp-proxy-").suffix(".new").tempfile_in(folder)?;
    Ok((folder, file))
}

/// The file that [`put`] writes: what a link leads to.
///
/// # Errors
/// The OS error, or one that says that a link leads nowhere.
pub(crate) fn target(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        // The link would be replaced, and what it is to lead to would never be there.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            let leads = fs::read_link(path)?;
            let text = format!("the link leads to {}, which is not there", leads.display());
            Err(io::Error::new(io::ErrorKind::NotFound, text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(path),
        target => target,
    }
}

/// Gives a new file the permissions and the owner of the old one.
fn adopt(file: &NamedTempFile, old: &Metadata) -> io::Result<()> {
    let new = file.as_file().metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file.as_file(), Some(old.uid()), Some(old.gid())).map_err(|error| {
            let (uid, gid) = (old.uid(), old.gid());
            io::Error::new(error.kind(), format!("its owner {uid}:{gid} cannot be kept: {error}"))
        })?;
    }
    file.as_file().set_permissions(old.permissions())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn links_and_permissions_stay_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real"), folder.path().join("proxy.toml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("real", &link).unwrap();
        replace(&link, "old", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);

        let error = replace(&link, "old", "newer").unwrap_err();
        assert_eq!(error.to_string(), "somebody else has changed it in the meantime");
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(replace(&folder.path().join("none"), "", "x").is_err());
    }

    #[test]
    fn a_file_is_written_whether_it_is_there_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint");
        for text in ["one", "another"] {
            put(&file, text).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(put(&folder.path().join("none").join("file"), "x").is_err());
        assert!(put(folder.path(), "x").is_err(), "a folder");
        let link = folder.path().join("link");
        symlink("none", &link).unwrap();
        assert!(put(&link, "x").unwrap_err().to_string().contains("leads to none"));
        assert!(link.is_symlink());
    }
}
