//! Looks at this machine: descriptors, folders, certificates.

use std::path::{Path, PathBuf};

use exposition::certificate;
use rustix::fs::{Access, access, statvfs};

use crate::config::Config;
use crate::descriptors;
use crate::doctor::facts::{Folder, Machine};

/// What the sidecar of this configuration needs here. Nothing is created.
pub(super) fn machine(config: &Config) -> Machine {
    // As the sidecar does at its start.
    kvnode::raise_limit();
    let mut folders = vec![folder("[state] directory", &config.state)];
    if let Some(embedded) = &config.embedded {
        folders.push(folder("[embedded] directory", &embedded.directory));
    }
    let certificates = config.certificates.iter().map(|file| {
        (file.node.clone(), file.key, file.path.clone(), certificate::expiry(&file.path))
    });
    Machine {
        descriptors: descriptors::check(config),
        folders,
        certificates: certificates.collect(),
    }
}

fn folder(key: &'static str, path: &Path) -> Folder {
    let existing = nearest(path);
    let writable = match access(&existing, Access::WRITE_OK | Access::EXEC_OK) {
        _ if !existing.is_dir() => Err("it is not a folder".to_owned()),
        Ok(()) => Ok(()),
        Err(error) => Err(std::io::Error::from(error).to_string()),
    };
    let disk = statvfs(&existing).ok();
    let free_bytes = disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    Folder { key, path: path.to_owned(), existing, writable, free_bytes }
}

/// The path itself, or the nearest folder above it that exists.
fn nearest(path: &Path) -> PathBuf {
    let above = path.ancestors().filter(|above| !above.as_os_str().is_empty());
    let existing = above.into_iter().find(|above| above.exists());
    existing.map_or_else(|| PathBuf::from("."), Path::to_owned)
}
