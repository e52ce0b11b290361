//! What must hold of the packages, and of the files that they are made from.
//!
//! - `units`: the services of systemd; `deb`, in `root`: install, upgrade, remove, purge; `rpm`
//! - `image`: the Dockerfile and the root file system; `kubernetes`: manifest and chart
//! - `cargo`: `cargo install`

mod cargo;
mod deb;
mod image;
pub(super) mod kubernetes;
mod root;
mod rpm;
mod units;

use std::io::{self, Error};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Places;
use super::stage::sorted;
use crate::process::{self, command};

/// What came of a check that did not fail.
enum Outcome {
    /// What was found.
    Holds(String),
    /// Why it could not be done.
    Skipped(String),
}

use Outcome::{Holds, Skipped};

/// Does the checks of these names, or all, also after one that fails; returns whether none failed.
pub(super) fn run(places: &Places, names: &[&str]) -> io::Result<bool> {
    if !places.packages().join("SHA256SUMS").is_file() {
        return Err(Error::other("there are no packages: `cargo xtask package` makes them"));
    }
    type Check = fn(&Places) -> io::Result<Outcome>;
    let checks: [(&str, Check); 7] = [
        ("checksums", sums),
        ("units", units::check),
        ("image", image::check),
        ("kubernetes", kubernetes::check),
        ("rpm", rpm::check),
        ("deb", deb::check),
        ("cargo", cargo::check),
    ];
    if let Some(unknown) = names.iter().find(|it| checks.iter().all(|(name, _)| name != *it)) {
        let known = checks.map(|(name, _)| name).join(", ");
        return Err(Error::other(format!("there is no check {unknown}: {known}")));
    }
    let mut failures = 0;
    for (name, check) in checks.iter().filter(|it| names.is_empty() || names.contains(&it.0)) {
        let start = Instant::now();
        let text = match check(places) {
            Ok(Holds(text)) => format!("holds: {text}"),
            Ok(Skipped(why)) => format!("skipped: {why}"),
            Err(error) => {
                failures += 1;
                format!("FAILED: {error}")
            }
        };
        println!("package check: {name}: {text} ({} s)", start.elapsed().as_secs());
    }
    Ok(failures == 0)
}

fn sums(places: &Places) -> io::Result<Outcome> {
    let mut check = command("sha256sum", &["--check", "--strict", "SHA256SUMS"]);
    let text = process::output(check.current_dir(places.packages()))?;
    Ok(Holds(format!("{} files", text.lines().count())))
}

/// The only package whose name ends so; none where its tool was missing.
fn package(places: &Places, extension: &str) -> io::Result<Option<PathBuf>> {
    let files = sorted(&places.packages())?;
    let mut found = files.into_iter().filter(|it| it.extension().is_some_and(|it| it == extension));
    match (found.next(), found.next()) {
        (one, None) => Ok(one),
        (_, Some(more)) => Err(Error::other(format!("one more .{extension}: {}", more.display()))),
    }
}

/// A folder for a check, empty; removed when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(places: &Places, name: &str) -> io::Result<Self> {
        let folder = places.target.join("package-check").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("package check: {} stays: {error}", self.0.display());
        }
    }
}

/// Fails with `text` where something does not hold.
fn ensure(holds: bool, text: impl FnOnce() -> String) -> io::Result<()> {
    if holds { Ok(()) } else { Err(Error::other(text())) }
}

/// Whether this process may use what belongs to root alone.
fn is_root() -> bool {
    process::output(&mut command("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

/// Whether it may mount, which root in a container often may not.
fn may_mount() -> bool {
    let args = ["--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"];
    is_root() && process::output(&mut command("unshare", &args)).is_ok()
}
