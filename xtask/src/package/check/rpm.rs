//! The rpm: what is in it, and that rpm itself takes it into an empty root and out again.

use std::io;
use std::path::Path;
use std::process::Command;

use super::{Holds, Outcome, Places, Scratch, Skipped, ensure, package};
use crate::process::{self, command};

/// What must be in it, of the files that are named one by one nowhere else.
const FILES: [&str; 11] = [
    "/usr/bin/dcp-proxy",
    "/usr/bin/kvnode",
    "/usr/lib/systemd/system/dcp-proxy.service",
    "/usr/lib/systemd/system/dcp-proxy@.service",
    "/usr/lib/systemd/system/kvnode.service",
    "/usr/lib/sysusers.d/dcp-proxy.conf",
    "/usr/share/man/man1/dcp-proxy-status.1.gz",
    "/usr/share/zsh/site-functions/_kvnode",
    "/usr/share/licenses/dcp-proxy/LICENSE-MIT",
    "/usr/share/doc/dcp-proxy/README.md",
    "/usr/share/doc/dcp-proxy/docs/README.md",
];
/// What an upgrade must leave as the operator has it.
const CONFIGURATION: [&str; 2] = ["/etc/dcp-proxy/proxy.toml", "/etc/kvnode/kvnode.toml"];

pub(super) fn check(places: &Places) -> io::Result<Outcome> {
    let Some(file) = package(places, "rpm")? else {
        return Ok(Skipped("there is no rpm: cargo-generate-rpm was missing".to_owned()));
    };
    let Some(rpm) = places.tool("rpm") else {
        return Ok(Skipped("rpm is missing (Debian: rpm)".to_owned()));
    };
    let scratch = Scratch::new(places, "rpm")?;
    let root = scratch.path().join("root");
    std::fs::create_dir_all(&root)?;
    let in_root = |args: &[&str]| {
        let mut command = command(&rpm, &["--root"]);
        command.arg(&root).args(args);
        command
    };
    let listed = query(&rpm, &["-qlp"], &file)?;
    for name in FILES.iter().chain(&CONFIGURATION) {
        let there = listed.lines().any(|line| line == *name);
        ensure(there, || format!("{name} is not in {}", file.display()))?;
    }
    let kept = query(&rpm, &["-qp", "--configfiles"], &file)?;
    ensure(kept.lines().eq(CONFIGURATION), || format!("configuration files: {kept}"))?;
    let scripts = query(&rpm, &["-qp", "--scripts"], &file)?;
    ensure(scripts.contains("systemd-sysusers"), || format!("scripts: {scripts}"))?;
    ensure(!scripts.contains("enable "), || format!("a script enables a service: {scripts}"))?;
    installed(&in_root, &file, &root)?;
    Ok(Holds(format!("{} files; installed into an empty root and erased", listed.lines().count())))
}

fn query(rpm: &Path, args: &[&str], file: &Path) -> io::Result<String> {
    process::output(command(rpm, args).arg(file))
}

/// Scripts and dependencies are left out: the root has no shell, and no systemd.
fn installed(in_root: &dyn Fn(&[&str]) -> Command, file: &Path, root: &Path) -> io::Result<()> {
    process::output(&mut in_root(&["--initdb"]))?;
    let install = ["--install", "--nodeps", "--noscripts", "--excludeartifacts"];
    process::output(in_root(&install).arg("--test").arg(file))?;
    ensure(!root.join("usr/bin").exists(), || "--test installed something".to_owned())?;
    process::output(in_root(&install).arg(file))?;
    let program = root.join("usr/bin/dcp-proxy");
    process::output(&mut command(program, &["--version"]))?;
    let verified = process::output(&mut in_root(&["--verify", "--nodeps", "dcp-proxy"]))?;
    ensure(verified.trim().is_empty(), || format!("rpm --verify: {verified}"))?;
    let own = root.join("etc/dcp-proxy/proxy.toml");
    std::fs::write(&own, "# of the operator\n")?;
    let again = ["--upgrade", "--force", "--nodeps", "--noscripts"];
    process::output(in_root(&again).arg(file))?;
    let kept = std::fs::read_to_string(&own)?;
    ensure(kept == "# of the operator\n", || format!("{}: {kept}", own.display()))?;
    process::output(&mut in_root(&["--erase", "--noscripts", "dcp-proxy"]))?;
    ensure(!root.join("usr/bin/dcp-proxy").exists(), || "rpm --erase leaves programs".to_owned())
}
