//! A small Debian in a folder, to install packages in.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Error};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Scratch;
use crate::process::{self, command};

/// What the package needs of a system without systemd.
const INCLUDED: &str = "--include=systemd-standalone-sysusers";
/// Stands for systemd: writes down what it is asked, and knows the running services by a file.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> /systemctl.log
case " $* " in
*" show "*) for unit; do :; done; echo "$unit" ;;
*" is-active "*) for unit; do grep -qx "$unit" /running || exit 3; done ;;
*" list-units "*) cat /running ;;
esac
exit 0
"#;
/// Where dpkg and the C library write down what is installed, and which users there are.
const RECORDS: [&str; 7] = [
    "var/lib/dpkg/",
    "var/log/",
    "var/cache/",
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/gshadow",
];

/// The folder.
pub(super) struct Root(PathBuf);

impl Root {
    /// Makes one with debootstrap, from the mirror that apt has on this machine.
    pub(super) fn new(scratch: &Scratch, debootstrap: &Path) -> io::Result<Self> {
        let (site, suite) = mirror()?;
        let root = Self(scratch.path().join("root"));
        let mut make = command(debootstrap, &["--variant=minbase", INCLUDED]);
        process::output(make.arg(suite).arg(&root.0).arg(site))?;
        Ok(root)
    }

    /// A path in it.
    pub(super) fn path(&self, inner: &str) -> PathBuf {
        self.0.join(inner.trim_start_matches('/'))
    }

    /// A command in it.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut chroot = command("chroot", &[&self.0]);
        // Without the variables of a terminal or of another user.
        chroot.args(args).env_clear().env("DEBIAN_FRONTEND", "noninteractive");
        chroot.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        chroot
    }

    /// Runs a command that must end with `code`; returns what it says.
    pub(super) fn expect(&self, args: &[&str], code: i32) -> io::Result<String> {
        process::expect(&mut self.command(args), code)
    }

    /// Copies a file into it, to its top.
    pub(super) fn bring(&self, file: &Path) -> io::Result<String> {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        fs::copy(file, self.path(&name))?;
        Ok(format!("/{name}"))
    }

    /// Lets it look as if systemd were running, with these services.
    pub(super) fn pretend_systemd(&self, running: &[&str]) -> io::Result<()> {
        fs::create_dir_all(self.path("run/systemd/system"))?;
        let systemctl = self.path("usr/bin/systemctl");
        fs::write(&systemctl, SYSTEMCTL)?;
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755))?;
        let lines = running.iter().map(|it| format!("{it}\n")).collect::<String>();
        fs::write(self.path("running"), lines)
    }

    /// What systemd was asked since the last call.
    pub(super) fn asked(&self) -> io::Result<Vec<String>> {
        let log = self.path("systemctl.log");
        if !log.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&log)?;
        fs::remove_file(log)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// All its files and folders, without the records of what is installed.
    pub(super) fn files(&self) -> io::Result<BTreeSet<String>> {
        let mut find = command("find", &[&self.0]);
        let text = process::output(find.args(["-xdev", "-mindepth", "1", "-printf", "%P\\n"]))?;
        let is_record = |file: &str| RECORDS.iter().any(|record| file.starts_with(record));
        Ok(text.lines().filter(|file| !is_record(file)).map(str::to_owned).collect())
    }
}

/// The site and the name of the release that apt has.
fn mirror() -> io::Result<(String, String)> {
    let args = ["indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT) $(ORIGIN)"];
    let text = process::output(&mut command("apt-get", &args))?;
    release(&text).ok_or_else(|| Error::other("apt has no source of Debian: `apt-get update`"))
}

/// The first line of Debian's main part that is a release by itself: no updates, no security.
fn release(targets: &str) -> Option<(String, String)> {
    targets.lines().find_map(|line| {
        let words = line.split_whitespace().collect::<Vec<_>>();
        match words.as_slice() {
            [site, release, "main", "Debian"] if !release.contains('-') => {
                Some(((*site).to_owned(), (*release).to_owned()))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_release_itself() {
        let targets = "http://a.example/tools nodistro main . nodistro\n\
                       http://b.example/debian bookworm-updates main Debian\n\
                       http://b.example/debian bookworm contrib Debian\n\
                       http://b.example/debian bookworm main Debian\n";
        let expected = ("http://b.example/debian".to_owned(), "bookworm".to_owned());
        assert_eq!(release(targets), Some(expected));
        assert_eq!(release("http://b.example/debian bookworm-security main Debian"), None);
        assert_eq!(release(""), None);
    }
}
