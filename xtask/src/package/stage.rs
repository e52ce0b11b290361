//! What the packages contain besides programs and files of the project: man pages and completions,
//! from the programs, and changelogs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{PROGRAMS, Places, changelog};
use crate::process::{self, command};

/// A shell: its name, the folder of its scripts here, and the name of a program's script.
const SHELLS: [(&str, &str, &str); 3] =
    [("bash", "bash", "NAME"), ("zsh", "zsh", "_NAME"), ("fish", "fish", "NAME.fish")];

/// Makes everything anew.
pub(super) fn stage(places: &Places) -> io::Result<()> {
    let stage = places.stage();
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    fs::create_dir_all(&stage)?;
    man_pages(places, &stage)?;
    completions(places, &stage)?;
    changelogs(places, &stage)
}

fn man_pages(places: &Places, stage: &Path) -> io::Result<()> {
    let folder = stage.join("man");
    let mut man = command(places.built().join("dcp-proxy"), &["man"]);
    process::run(man.arg(&folder))?;
    for page in sorted(&folder)? {
        gzip(&page)?;
    }
    Ok(())
}

fn completions(places: &Places, stage: &Path) -> io::Result<()> {
    for (shell, folder, file) in SHELLS {
        let folder = stage.join(folder);
        fs::create_dir_all(&folder)?;
        for program in PROGRAMS {
            let args = ["completions", shell, "--program", program];
            let script = process::output(&mut command(places.built().join("dcp-proxy"), &args))?;
            fs::write(folder.join(file.replace("NAME", program)), script)?;
        }
    }
    Ok(())
}

fn changelogs(places: &Places, stage: &Path) -> io::Result<()> {
    let text = fs::read_to_string(places.root.join("CHANGELOG.md"))?;
    let at = format!("@{}", places.epoch);
    let date = process::output(&mut command("date", &["--utc", "--rfc-email", "--date", &at]))?;
    let debian =
        changelog::debian(&text, &places.version, date.trim()).map_err(io::Error::other)?;
    for (name, text) in [("changelog", text), ("changelog.Debian", debian)] {
        let file = stage.join(name);
        fs::write(&file, text)?;
        gzip(&file)?;
    }
    Ok(())
}

/// Compresses a file; the same bytes each time.
pub(super) fn gzip(file: &Path) -> io::Result<()> {
    process::run(command("gzip", &["-9nf"]).arg(file))
}

/// The entries of a folder, in the order of their names.
pub(super) fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|it| it.path()));
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

/// Copies files into a tree, in which each gets the permissions that it needs.
pub(super) struct Tree {
    /// Its top.
    top: PathBuf,
}

impl Tree {
    /// An empty one.
    pub(super) fn new(top: &Path) -> io::Result<Self> {
        if top.exists() {
            fs::remove_dir_all(top)?;
        }
        fs::create_dir_all(top)?;
        Ok(Self { top: top.to_owned() })
    }

    /// Copies a file to `to`, or into it where it ends with a slash.
    pub(super) fn put(&self, from: &Path, to: &str, mode: u32) -> io::Result<()> {
        let name = from.file_name().unwrap_or_default();
        let to = if to.ends_with('/') { Path::new(to).join(name) } else { PathBuf::from(to) };
        if let Some(folder) = to.parent() {
            self.folder(folder, 0o755)?;
        }
        let to = self.top.join(to);
        fs::copy(from, &to)?;
        permit(&to, mode)
    }

    /// Copies all files of a folder into another one.
    pub(super) fn put_all(&self, from: &Path, to: &str) -> io::Result<()> {
        sorted(from)?.iter().try_for_each(|file| self.put(file, to, 0o644))
    }

    /// Makes a folder, and those above it.
    pub(super) fn folder(&self, folder: &Path, mode: u32) -> io::Result<()> {
        for part in folder.ancestors().filter(|it| !it.as_os_str().is_empty()) {
            fs::create_dir_all(self.top.join(part))?;
            permit(&self.top.join(part), if part == folder { mode } else { 0o755 })?;
        }
        Ok(())
    }

    /// Writes a file.
    pub(super) fn write(&self, to: &str, text: &str) -> io::Result<()> {
        if let Some(folder) = Path::new(to).parent() {
            self.folder(folder, 0o755)?;
        }
        fs::write(self.top.join(to), text)?;
        permit(&self.top.join(to), 0o644)
    }
}

fn permit(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
