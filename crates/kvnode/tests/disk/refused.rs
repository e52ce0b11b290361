//! Folders that may not be written to: the node does not start, and names the folder.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::Path;

use kvnode::Node;

use crate::mount::Disk;
use crate::support;

fn refusal(folder: &Path) -> String {
    let config = support::config(support::options(), folder);
    Node::start(config).err().expect("the node does not start").to_string()
}

#[test]
fn a_read_only_disk_is_refused_by_name() {
    let Some(disk) = Disk::new(8) else { return };
    disk.make_read_only();
    let text = refusal(disk.path());
    assert!(text.contains(disk.path().to_str().unwrap()), "{text}");
    assert!(text.to_lowercase().contains("read-only"), "{text}");
}

#[test]
fn a_disk_that_has_become_read_only_is_refused_and_keeps_its_data() {
    let Some(disk) = Disk::new(8) else { return };
    let config = || support::config(support::options(), disk.path());
    Node::start(config()).unwrap().shutdown().unwrap();
    disk.make_read_only();
    let text = refusal(disk.path());
    assert!(text.to_lowercase().contains("read-only"), "{text}");
}

#[test]
fn a_folder_without_permission_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    if folder.path().metadata().unwrap().uid() == 0 {
        println!("skipped: the administrator may write anywhere");
        return;
    }
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    let text = refusal(folder.path());
    assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    assert!(text.to_lowercase().contains("permission denied"), "{text}");
}

#[test]
fn a_file_where_the_folder_should_be_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    std::fs::write(&path, "not a folder").unwrap();
    let text = refusal(&path);
    assert!(text.contains(path.to_str().unwrap()), "{text}");
}
