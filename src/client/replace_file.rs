//! Replaces the text of a file at once: a reader sees the old text or the new one, also after a
//! crash of the machine.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// Replaces `old` by `new`. Links to the file stay, and so do its permissions and its owner.
///
/// # Errors
/// The OS error, or one that says that the file has another text than `old` meanwhile.
pub(super) fn replace(path: &Path, old: &str, new: &str) -> io::Result<()> {
    let target = fs::canonicalize(path)?;
    let folder = target.parent().ok_or_else(|| io::Error::other("it is no file"))?;
    let mut file = Builder::new().prefix(".dcp-proxy-").suffix(".new").tempfile_in(folder)?;
    file.write_all(new.as_bytes())?;
    adopt(&file, &fs::metadata(&target)?)?;
    file.as_file().sync_all()?;
    if fs::read(&target)? != old.as_bytes() {
        return Err(io::Error::other("somebody else has changed it in the meantime"));
    }
    file.persist(&target)?;
    // The new name of the file is on disk once its folder is.
    File::open(folder)?.sync_all()
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
}
