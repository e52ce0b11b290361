//! A small disk in memory, if the user may mount one.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Unmounted when it is dropped.
pub struct Disk(TempDir);

impl Disk {
    /// A disk of `megabytes`; `None`, with a printed line, if mounting is not allowed.
    pub fn new(megabytes: u32) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let options = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path());
        if mount.output().is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        println!("skipped: needs the right to mount a tmpfs");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn make_read_only(&self) {
        let mut remount = Command::new("mount");
        remount.args(["-o", "remount,ro"]).arg(self.path());
        assert!(remount.status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a node that a failed test left may still hold files.
        let _done = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
