//! Tells when the content of named files changes: configuration, certificates, passwords.
//!
//! The folders are watched with the notifications of the system, because files are seldom written
//! in place: editors rename a new file over the old one, and Kubernetes swaps a symlink of the
//! folder. Where notifications are not available, the files are read every few seconds instead. A
//! change is told once the files are quiet, and only if their bytes differ from those told last.
//!
//! - `content`: what a file holds, as far as it is compared
//! - `places`: which folders and links lead to a file; pure over a view of the file system
//! - `settle`: when to look, and which changes to tell; pure
//! - `folders`: the notifications; `inbox`: what wakes the thread; `watcher`: the thread

mod content;
mod folders;
mod inbox;
mod places;
mod settle;
mod watcher;

pub use watcher::Watcher;
