//! Packages of both programs in `target/packages`: deb, rpm, archive, the root of the image of
//! containers, software bill of materials, checksums.
//!
//! - `build`: the programs, static and the same from every folder; `stage`: what they generate
//! - `changelog`: CHANGELOG.md in the form of Debian
//! - `formats`: one file of each kind; `twice`: whether a second build is the same
//! - `check`: what must hold of the packages

mod build;
mod changelog;
mod check;
mod formats;
mod stage;
mod twice;

use std::io::{self, Error};
use std::path::{Path, PathBuf};

use crate::process::{self, command};

/// The most bytes of a program: 12 MiB.
const PROGRAM_MAX: u64 = 12 * 1024 * 1024;
/// Both programs.
const PROGRAMS: [&str; 2] = ["dcp-proxy", "kvnode"];

/// Where everything is, and what it is called.
#[derive(Clone, Debug)]
struct Places {
    /// The top folder of the project.
    root: PathBuf,
    /// The folder of cargo's output.
    target: PathBuf,
    /// The version of the programs.
    version: String,
    /// The time that every file gets, in seconds since 1970: that of the newest commit.
    epoch: String,
}

impl Places {
    fn new(root: &Path, target: &Path) -> io::Result<Self> {
        let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
        Ok(Self {
            root: root.to_owned(),
            target: target.to_owned(),
            version: version(&manifest)?,
            epoch: epoch(root)?,
        })
    }

    /// The target of the compiler: musl, whose programs need nothing of the system but its kernel.
    fn triple() -> String {
        format!("{}-unknown-linux-musl", std::env::consts::ARCH)
    }

    /// The folder of the programs.
    fn built(&self) -> PathBuf {
        self.target.join(Self::triple()).join("dist")
    }

    /// The folder of what is made from the programs.
    fn stage(&self) -> PathBuf {
        self.built().join("package")
    }

    /// The folder of the packages.
    fn packages(&self) -> PathBuf {
        self.target.join("packages")
    }

    /// A tool that CI installs, or one on the path.
    fn tool(&self, name: &str) -> Option<PathBuf> {
        let own = ["tools/bin", "tools/venv/bin"].map(|folder| self.target.join(folder));
        process::find(name, &own)
    }

    /// The beginning of the names of files that are for one kind of machine.
    fn name(&self) -> String {
        format!("dcp-proxy-{}-{}-linux", self.version, std::env::consts::ARCH)
    }
}

fn version(manifest: &str) -> io::Result<String> {
    let manifest: toml::Table = manifest.parse().map_err(Error::other)?;
    let version = manifest.get("workspace").and_then(|it| it.get("package")?.get("version"));
    let version = version.and_then(toml::Value::as_str).map(str::to_owned);
    version.ok_or_else(|| Error::other("Cargo.toml: workspace.package.version is missing"))
}

fn epoch(root: &Path) -> io::Result<String> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(given);
    }
    let mut git = command("git", &["log", "-1", "--format=%ct"]);
    let time = process::output(git.current_dir(root)).map_err(|error| {
        Error::other(format!("the time of the newest commit: {error}: set SOURCE_DATE_EPOCH"))
    })?;
    Ok(time.trim().to_owned())
}

/// Does what `cargo xtask package` is asked for; returns whether everything holds.
pub(crate) fn run(root: &Path, target: &Path, words: &[&str]) -> io::Result<bool> {
    let places = Places::new(root, target)?;
    match words {
        [] => {
            build::build(&places, &places.root, &places.target)?;
            pack(&places).map(|()| true)
        }
        ["pack"] => pack(&places).map(|()| true),
        ["check", names @ ..] => check::run(&places, names),
        ["twice"] => twice::run(&places),
        ["kubernetes"] => check::kubernetes::update(&places).map(|()| true),
        _ => Err(Error::other(format!("package {}: unknown", words.join(" ")))),
    }
}

/// Makes the packages of the programs that are built.
fn pack(places: &Places) -> io::Result<()> {
    stage::stage(places)?;
    let packages = places.packages();
    if packages.exists() {
        std::fs::remove_dir_all(&packages)?;
    }
    std::fs::create_dir_all(&packages)?;
    for line in formats::all(places)? {
        println!("package: skipped: {line}");
    }
    for entry in std::fs::read_dir(&packages)? {
        let entry = entry?;
        println!("package: {} ({} bytes)", entry.path().display(), entry.metadata()?.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_workspace() {
        let manifest = "[workspace.package]\nversion = \"1.2.3\"\n[package]\nname = \"x\"";
        assert_eq!(version(manifest).unwrap(), "1.2.3");
        let error = version("[package]\nversion = \"1.2.3\"").unwrap_err().to_string();
        assert_eq!(error, "Cargo.toml: workspace.package.version is missing");
    }

    #[test]
    fn chart_and_programs_have_one_version() {
        let root = crate::root();
        let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
        let version = version(&read("Cargo.toml")).unwrap();
        let chart = read("deploy/helm/dcp-proxy/Chart.yaml");
        assert!(chart.contains(&format!("\nversion: {version}\n")), "{chart}");
        assert!(chart.contains(&format!("\nappVersion: \"{version}\"\n")), "{chart}");
    }
}
