//! The life of the deb in a small Debian: install, fill in, upgrade, remove, purge.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::root::Root;
use super::{Holds, Outcome, Places, Scratch, Skipped, ensure, is_root, package};
use crate::process::{self, command};

/// The version that is there before the upgrade.
const OLDER: &str = "0.0.9-1";
/// A line that the operator adds to the configuration.
const OWN_LINE: &str = "# This line is of the operator.\n";
/// Asks nothing where both the operator and a newer version changed a file.
const INSTALL: [&str; 4] = ["dpkg", "--force-confdef", "--force-confold", "--install"];
const PROXY: &str = "/etc/dcp-proxy/proxy.toml";
const NODE: &str = "/etc/kvnode/kvnode.toml";
/// What starts the sidecar with the system.
const LINK: &str = "/etc/systemd/system/multi-user.target.wants/dcp-proxy.service";

pub(super) fn check(places: &Places) -> io::Result<Outcome> {
    let Some(deb) = package(places, "deb")? else {
        return Ok(Skipped("there is no deb: cargo-deb was missing".to_owned()));
    };
    let linted = lint(places, &deb)?;
    let Some(debootstrap) = places.tool("debootstrap").filter(|_| is_root()) else {
        let why = "installing it needs debootstrap, and root";
        return Ok(Skipped(format!("lintian: {linted}; {why}")));
    };
    let scratch = Scratch::new(places, "deb")?;
    let older = older(&scratch, &deb)?;
    let root = match Root::new(&scratch, &debootstrap) {
        Ok(root) => root,
        // No network, no source of Debian, no leave to mount: nothing is known of the package then.
        Err(error) => {
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default();
            return Ok(Skipped(format!("lintian: {linted}; no small Debian: {why}")));
        }
    };
    let before = root.files()?;
    let older = root.bring(&older)?;
    let newer = root.bring(&deb)?;
    root.expect(&[&INSTALL[..], &[&older]].concat(), 0)?;
    installed(&root, &places.version)?;
    fill_in(&root)?;
    upgraded(&root, &newer)?;
    removed(&root, &[older, newer], &before)?;
    Ok(Holds(format!("lintian: {linted}; install, upgrade from {OLDER}, removal and purge")))
}

/// Fails at whatever lintian finds; says whether it was there.
fn lint(places: &Places, deb: &Path) -> io::Result<&'static str> {
    let Some(lintian) = places.tool("lintian") else { return Ok("missing") };
    let args = ["--fail-on", "error,warning", "--display-level", ">=warning", "--allow-root"];
    process::expect(command(lintian, &args).arg(deb), 0)?;
    Ok("clean")
}

/// The same package with an older version, and another line in the configuration that it brings.
fn older(scratch: &Scratch, deb: &Path) -> io::Result<PathBuf> {
    let tree = scratch.path().join("older");
    process::run(command("dpkg-deb", &["--raw-extract"]).arg(deb).arg(&tree))?;
    let change = |file: &str, how: &dyn Fn(&str) -> String| {
        let path = tree.join(file);
        let text = fs::read_to_string(&path)?;
        let changed = how(&text);
        ensure(changed != text, || format!("{file} of the deb has not what a test changes"))?;
        fs::write(path, changed)
    };
    let version = |text: &str| {
        let line = |line: &str| match line.strip_prefix("Version: ") {
            Some(_) => format!("Version: {OLDER}\n"),
            None => format!("{line}\n"),
        };
        text.lines().map(line).collect()
    };
    change("DEBIAN/control", &version)?;
    change("etc/dcp-proxy/proxy.toml", &|text| format!("{text}# The older version.\n"))?;
    let file = scratch.path().join("dcp-proxy-older.deb");
    let mut build = command("dpkg-deb", &["--root-owner-group", "-Znone", "--build"]);
    process::output(build.arg(&tree).arg(&file))?;
    Ok(file)
}

/// What is there after the installation, and what is not.
fn installed(root: &Root, version: &str) -> io::Result<()> {
    for program in ["dcp-proxy", "kvnode"] {
        let said = root.expect(&[program, "--version"], 0)?;
        ensure(said == format!("{program} {version}"), || format!("{program}: {said}"))?;
        for file in [
            format!("usr/share/man/man1/{program}.1.gz"),
            format!("usr/share/bash-completion/completions/{program}"),
            format!("usr/share/zsh/vendor-completions/_{program}"),
            format!("usr/share/fish/vendor_completions.d/{program}.fish"),
            format!("usr/lib/systemd/system/{program}.service"),
        ] {
            let there = root.path(&file).metadata().is_ok_and(|it| it.len() > 0);
            ensure(there, || format!("/{file} is missing or empty"))?;
        }
        root.expect(&["id", program], 0)?;
        let secrets = format!("/etc/{program}/secrets");
        let stat = root.expect(&["stat", "--format", "%U:%G %a", &secrets], 0)?;
        ensure(stat == format!("root:{program} 750"), || format!("{secrets}: {stat}"))?;
    }
    let page = "usr/share/man/man1/dcp-proxy-status.1.gz";
    ensure(root.path(page).is_file(), || format!("no page of a subcommand: /{page}"))?;
    let is_ours = |file: &&String| ["dcp-proxy", "kvnode"].iter().any(|name| file.contains(name));
    let files = root.files()?;
    let mut links = files.iter().filter(|file| file.starts_with("etc/systemd/system/"));
    let enabled = links.find(is_ours);
    ensure(enabled.is_none(), || format!("enabled without being asked: {enabled:?}"))
}

/// As shipped, the programs refuse to start and say what is missing; filled in, they do not.
fn fill_in(root: &Root) -> io::Result<()> {
    let said = root.expect(&["dcp-proxy", "--config", PROXY], 2)?;
    for missing in ["/etc/dcp-proxy/secrets/node", "/etc/dcp-proxy/secrets/alpha"] {
        ensure(said.contains(missing), || format!("{missing} is not named: {said}"))?;
    }
    let said = root.expect(&["kvnode", "--config", NODE], 2)?;
    let missing = "/etc/kvnode/secrets/dcp-proxy";
    ensure(said.contains(missing), || format!("{missing} is not named: {said}"))?;
    for (group, file) in [("dcp-proxy", "node"), ("dcp-proxy", "alpha"), ("kvnode", "dcp-proxy")] {
        let file = format!("/etc/{group}/secrets/{file}");
        fs::write(root.path(&file), "a password\n")?;
        root.expect(&["chgrp", group, &file], 0)?;
        fs::set_permissions(root.path(&file), fs::Permissions::from_mode(0o640))?;
    }
    let path = root.path(PROXY);
    fs::write(&path, fs::read_to_string(&path)? + OWN_LINE)?;
    let as_user = |user: &str, args: &[&str]| {
        root.expect(&[&["runuser", "-u", user, "--"], args].concat(), 0)
    };
    let said = as_user("dcp-proxy", &["dcp-proxy", "--config", PROXY, "check"])?;
    ensure(!said.contains("can be read by others"), || said.clone())?;
    as_user("kvnode", &["kvnode", "--config", NODE, "--print-config", "effective"])?;
    Ok(())
}

/// An upgrade keeps the operator's lines and links, and restarts what runs.
fn upgraded(root: &Root, newer: &str) -> io::Result<()> {
    root.pretend_systemd(&["dcp-proxy.service"])?;
    enable(root)?;
    fs::create_dir_all(root.path("var/lib/dcp-proxy"))?;
    fs::write(root.path("var/lib/dcp-proxy/desired.json"), "{}")?;
    root.asked()?;
    root.expect(&[&INSTALL[..], &[newer]].concat(), 0)?;
    let kept = fs::read_to_string(root.path(PROXY))?;
    ensure(kept.ends_with(OWN_LINE), || format!("{PROXY} lost the operator's line"))?;
    let beside = root.path(&format!("{PROXY}.dpkg-dist")).is_file();
    ensure(beside, || format!("{PROXY}.dpkg-dist, the newer file, is missing"))?;
    let asked = root.asked()?;
    let restarts = asked.iter().filter(|line| line.contains("restart")).collect::<Vec<_>>();
    let right = restarts.iter().any(|line| line.contains("try-restart dcp-proxy.service"));
    let wrong = restarts.iter().any(|line| !line.contains("try-restart"));
    ensure(right && !wrong, || format!("an upgrade asked systemd: {asked:?}"))?;
    let starts = asked.iter().any(|line| line.split(' ').any(|word| word == "start"));
    ensure(!starts, || format!("an upgrade started what was stopped: {asked:?}"))?;
    enabled(root, true)
}

/// What `systemctl enable` does.
fn enable(root: &Root) -> io::Result<()> {
    let link = root.path(LINK);
    fs::create_dir_all(link.parent().unwrap_or(&link))?;
    std::os::unix::fs::symlink("/usr/lib/systemd/system/dcp-proxy.service", link)
}

fn enabled(root: &Root, yes: bool) -> io::Result<()> {
    let is = root.path(LINK).symlink_metadata().is_ok();
    ensure(is == yes, || format!("{LINK}: there: {is}, right: {yes}"))
}

/// A removal stops the services and keeps what is the operator's; a purge leaves nothing.
fn removed(root: &Root, brought: &[String], before: &BTreeSet<String>) -> io::Result<()> {
    root.expect(&["dpkg", "--remove", "dcp-proxy"], 0)?;
    let asked = root.asked()?;
    let stopped =
        asked.iter().any(|line| line.contains("stop") && line.contains("dcp-proxy.service"));
    ensure(stopped, || format!("a removal asked systemd: {asked:?}"))?;
    ensure(!root.path("usr/bin/dcp-proxy").exists(), || "/usr/bin/dcp-proxy stays".to_owned())?;
    for kept in [PROXY, "/etc/dcp-proxy/secrets/node", "/var/lib/dcp-proxy/desired.json"] {
        ensure(root.path(kept).is_file(), || format!("a removal deletes {kept}"))?;
    }
    root.expect(&["dpkg", "--purge", "dcp-proxy"], 0)?;
    enabled(root, false)?;
    for ours in brought.iter().map(String::as_str).chain(["/running", "/usr/bin/systemctl"]) {
        fs::remove_file(root.path(ours))?;
    }
    root.asked()?;
    fs::remove_dir_all(root.path("run/systemd"))?;
    let left = root.files()?.difference(before).cloned().collect::<Vec<_>>();
    ensure(left.is_empty(), || format!("a purge leaves {left:?}"))
}
