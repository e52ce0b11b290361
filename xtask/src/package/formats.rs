//! One file of each kind in `target/packages`.

use std::fs;
use std::io::{self, Error};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::stage::{self, Tree};
use super::{PROGRAMS, Places};
use crate::process::{self, command};

/// The user and group of the programs in a container; nobody else's on a usual host.
const NOBODY: &str = "65532";
/// The name of the files that cargo-cyclonedx leaves in the folder of each package.
const BOM: &str = "dcp-proxy-bom";

/// Makes them all. Returns what is left out, and why.
pub(super) fn all(places: &Places) -> io::Result<Vec<String>> {
    archive(places)?;
    image_root(places)?;
    let mut left_out = Vec::new();
    type Make = fn(&Places, &Path) -> io::Result<()>;
    let made_by: [(&str, Make); 3] =
        [("cargo-deb", deb), ("cargo-generate-rpm", rpm), ("cargo-cyclonedx", bom)];
    for (tool, make) in made_by {
        match places.tool(tool) {
            Some(tool) => make(places, &tool)?,
            None => left_out.push(format!("{tool} is missing: `cargo install {tool} --locked`")),
        }
    }
    sums(places)?;
    Ok(left_out)
}

/// Everything for a system without deb or rpm, to be unpacked over a prefix.
fn archive(places: &Places) -> io::Result<()> {
    let (built, stage, root) = (places.built(), places.stage(), &places.root);
    let name = places.name();
    let above = built.join("archive");
    let tree = Tree::new(&above.join(&name))?;
    for program in PROGRAMS {
        tree.put(&built.join(program), "bin/", 0o755)?;
    }
    tree.put_all(&stage.join("man"), "share/man/man1/")?;
    tree.put_all(&stage.join("bash"), "share/bash-completion/completions/")?;
    tree.put_all(&stage.join("zsh"), "share/zsh/site-functions/")?;
    tree.put_all(&stage.join("fish"), "share/fish/vendor_completions.d/")?;
    tree.put_all(&root.join("deploy/systemd"), "share/dcp-proxy/systemd/")?;
    tree.put_all(&root.join("deploy/sysusers.d"), "share/dcp-proxy/sysusers.d/")?;
    tree.put_all(&root.join("deploy/tmpfiles.d"), "share/dcp-proxy/tmpfiles.d/")?;
    tree.put_all(&root.join("deploy/etc"), "share/dcp-proxy/etc/")?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        tree.put(&root.join(file), "share/doc/dcp-proxy/", 0o644)?;
    }
    tree.put(&root.join("proxy.toml"), "share/doc/dcp-proxy/demonstration.toml", 0o644)?;
    let file = places.packages().join(format!("{name}.tar"));
    process::run(tar(places, "--create", "0", &file, &above).arg(&name))?;
    stage::gzip(&file)
}

/// The root of the image: the programs, their users, and folders to mount volumes at.
fn image_root(places: &Places) -> io::Result<()> {
    let top = places.built().join("image");
    let tree = Tree::new(&top)?;
    for program in PROGRAMS {
        tree.put(&places.built().join(program), "usr/bin/", 0o755)?;
    }
    let user = format!("dcp-proxy:x:{NOBODY}:{NOBODY}::/var/lib/dcp-proxy:/\n");
    tree.write("etc/passwd", &user)?;
    tree.write("etc/group", &format!("dcp-proxy:x:{NOBODY}:\n"))?;
    for folder in ["etc/dcp-proxy", "etc/kvnode"] {
        tree.folder(Path::new(folder), 0o755)?;
    }
    let of_program = ["var/lib/dcp-proxy", "var/lib/kvnode"];
    for folder in of_program {
        tree.folder(Path::new(folder), 0o750)?;
    }
    tree.folder(Path::new("tmp"), 0o1777)?;
    let file = places.packages().join("image-root.tar");
    let excluded = of_program.map(|folder| format!("--exclude={folder}"));
    let mut of_root = tar(places, "--create", "0", &file, &top);
    process::run(of_root.args(excluded).args(["etc", "tmp", "usr", "var"]))?;
    process::run(tar(places, "--append", NOBODY, &file, &top).args(of_program))
}

/// GNU tar, so that the same files make the same archive.
fn tar(places: &Places, what: &str, owner: &str, file: &Path, folder: &Path) -> Command {
    let mut tar = command("tar", &[what, "--sort=name", "--numeric-owner", "--format=gnu"]);
    tar.args([format!("--owner={owner}"), format!("--group={owner}")]);
    tar.arg(format!("--mtime=@{}", places.epoch));
    tar.arg("--file").arg(file).arg("--directory").arg(folder);
    tar
}

fn deb(places: &Places, tool: &Path) -> io::Result<()> {
    let args = ["--no-build", "--no-strip", "--no-dbgsym", "--profile", "dist", "--quiet"];
    process::run(&mut packager(places, tool, &args))
}

fn rpm(places: &Places, tool: &Path) -> io::Result<()> {
    let mut rpm = packager(places, tool, &["--profile", "dist"]);
    process::run(rpm.arg("--target-dir").arg(&places.target))
}

fn bom(places: &Places, tool: &Path) -> io::Result<()> {
    let mut cyclonedx = command(tool, &["cyclonedx", "--format", "json", "--spec-version", "1.5"]);
    cyclonedx.args(["--target", &Places::triple(), "--override-filename", BOM, "--quiet"]);
    cyclonedx.current_dir(&places.root).env("SOURCE_DATE_EPOCH", &places.epoch);
    let made = process::run(&mut cyclonedx);
    let to = places.packages().join(format!("dcp-proxy-{}.cdx.json", places.version));
    // It names the folder of the sources, which is nobody's business.
    let here = format!("file://{}", places.root.display());
    let kept = fs::read_to_string(places.root.join(format!("{BOM}.json")))
        .and_then(|text| fs::write(to, text.replace(&here, "file:///dcp-proxy")));
    // It writes one beside each package of the workspace.
    for folder in members(places)? {
        let file = folder.join(format!("{BOM}.json"));
        if file.exists() {
            fs::remove_file(file)?;
        }
    }
    made?;
    kept
}

/// The folders of the packages of this workspace.
fn members(places: &Places) -> io::Result<Vec<PathBuf>> {
    let mut cargo = command("cargo", &["metadata", "--no-deps", "--format-version", "1"]);
    let text = process::output(cargo.current_dir(&places.root))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).map_err(Error::other)?;
    let packages = metadata.get("packages").and_then(|it| it.as_array()).into_iter().flatten();
    let manifests = packages.filter_map(|it| it.get("manifest_path")?.as_str());
    Ok(manifests.filter_map(|it| Some(Path::new(it).parent()?.to_owned())).collect())
}

fn packager(places: &Places, tool: &Path, args: &[&str]) -> Command {
    let mut packager = command(tool, args);
    packager.args(["--target", &Places::triple(), "--output"]).arg(places.packages());
    packager.current_dir(&places.root).env("CARGO_TARGET_DIR", &places.target);
    packager.env("SOURCE_DATE_EPOCH", &places.epoch);
    packager
}

fn sums(places: &Places) -> io::Result<()> {
    let folder = places.packages();
    let mut sums = command("sha256sum", &["--"]);
    for file in stage::sorted(&folder)? {
        sums.arg(file.file_name().unwrap_or_default());
    }
    let text = process::output(sums.current_dir(&folder))?;
    fs::write(folder.join("SHA256SUMS"), text)
}
