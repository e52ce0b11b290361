//! Rules about the packages: who may use whom, and what the pure ones may use. Which libraries
//! stay behind which fence is in `deny.toml`.

use toml::{Table, Value};

use super::source::has_word;
use super::{Complaint, File, Tree};

/// Which packages of this workspace each package may use. Cargo prevents cycles; this table
/// prevents dependencies that skip a layer.
const LAYERS: &[(&str, &[&str])] = &[
    ("mcbp", &[]),
    ("scram", &[]),
    ("subdoc", &["mcbp"]),
    ("wirelog", &["mcbp"]),
    ("recordings", &["wirelog"]),
    ("exposition", &[]),
    ("failpoint", &[]),
    ("folderlock", &[]),
    ("settings", &[]),
    ("logline", &[]),
    ("invariant", &["logline"]),
    ("logger", &["logline"]),
    ("lifecycle", &["logger", "logline"]),
    ("watchfile", &["logline"]),
    ("xtask", &[]),
    ("fuzz", &["mcbp", "scram", "subdoc"]),
    ("replica", &["invariant", "logline", "mcbp"]),
    ("desired", &["mcbp", "replica"]),
    ("etcdmaps", &["desired", "logline", "mcbp", "relay", "replica"]),
    ("clustermap", &["logline", "mcbp", "replica"]),
    ("comparison", &["mcbp"]),
    ("events", &["logline", "mcbp", "replica"]),
    ("follow", &["mcbp", "replica"]),
    ("vbucket", &["invariant", "mcbp"]),
    ("relay", &["invariant", "logline", "mcbp", "scram"]),
    ("store", &["failpoint", "folderlock", "invariant", "logline", "mcbp", "vbucket"]),
    (
        "kvnode",
        &[
            "exposition",
            "failpoint",
            "invariant",
            "lifecycle",
            "logger",
            "logline",
            "mcbp",
            "relay",
            "scram",
            "settings",
            "store",
            "subdoc",
            "vbucket",
            "watchfile",
        ],
    ),
    (
        "dcp-actors",
        &["events", "exposition", "failpoint", "invariant", "logline", "mcbp", "relay", "replica"],
    ),
    ("bench", &["kvnode", "mcbp", "relay"]),
    ("counts", &["mcbp", "relay", "replica", "store", "vbucket"]),
    (
        "dcp-proxy",
        &[
            "clustermap",
            "comparison",
            "dcp-actors",
            "desired",
            "etcdmaps",
            "events",
            "exposition",
            "failpoint",
            "folderlock",
            "follow",
            "invariant",
            "kvnode",
            "lifecycle",
            "logger",
            "logline",
            "mcbp",
            "relay",
            "replica",
            "settings",
            "vbucket",
            "watchfile",
            "wirelog",
        ],
    ),
];

/// Packages that any package may use, but only in its tests.
const FOR_TESTS: &[&str] = &["recordings"];

/// Packages without socket, clock, file or random source, and the libraries that they may use.
const PURE: &[&str] = &[
    "clustermap",
    "comparison",
    "desired",
    "follow",
    "logline",
    "mcbp",
    "replica",
    "scram",
    "subdoc",
    "vbucket",
    "wirelog",
];
const PURE_MAY_USE: &[&str] = &[
    "base64",
    "bytes",
    "crc32fast",
    "domain",
    "flatbuffers",
    "hmac",
    "memchr",
    "pbkdf2",
    "serde",
    "serde_json",
    "sha1",
    "sha2",
    "snap",
    "subtle",
    "thiserror",
    "xxhash-rust",
];
/// What its clippy.toml must ban.
const BANS: &[&str] = &[
    "std::time::Instant::now",
    "std::net::TcpStream",
    "std::fs::File",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::hash::RandomState",
];

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in tree.ending("Cargo.toml") {
        complaints.extend(bans_of_pure_packages(file, tree));
        match file.text.parse::<Table>() {
            Ok(manifest) => complaints.extend(package(file, &manifest)),
            Err(error) => complaints.push(file.fail(1, error.message())),
        }
    }
    complaints
}

/// The rules for one package.
pub(super) fn package(file: &File, manifest: &Table) -> Vec<Complaint> {
    let name = manifest.get("package").and_then(|package| package.get("name"));
    let Some(name) = name.and_then(Value::as_str) else { return Vec::new() };
    let Some((_, ours)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
        return vec![file.fail(1, format!("`{name}` has no place in the table of layers"))];
    };
    let mut complaints = Vec::new();
    // A package may name itself, to test itself with a feature switched on.
    for (section, dependency, value) in dependencies(manifest).filter(|(_, it, _)| *it != name) {
        let mut fail = |text: String| {
            complaints.push(file.fail(line_of(file, section, dependency), text));
        };
        let is_ours = LAYERS.iter().any(|(layer, _)| *layer == dependency);
        let is_for_tests = section == "dev-dependencies" && FOR_TESTS.contains(&dependency);
        if is_ours && !is_for_tests && !ours.contains(&dependency) {
            fail(format!("`{name}` must not use `{dependency}`"));
        }
        let is_built_in = section == "dependencies" && !is_ours;
        if is_built_in && PURE.contains(&name) && !PURE_MAY_USE.contains(&dependency) {
            fail(format!("`{name}` is pure and must not use `{dependency}`"));
        }
        // The fuzz workspace stands apart and has no shared versions.
        if name != "fuzz" && value.get("workspace").is_none() {
            fail(format!("take `{dependency}` from the workspace, so that it has one version"));
        }
    }
    complaints
}

/// A pure package has a clippy.toml of its own, which bans what makes it impure in the standard
/// library.
pub(super) fn bans_of_pure_packages(manifest: &File, tree: &Tree) -> Option<Complaint> {
    let folder = manifest.path.strip_suffix("/Cargo.toml")?;
    let name = folder.strip_prefix("crates/").filter(|name| PURE.contains(name))?;
    let path = format!("{folder}/clippy.toml");
    let bans = tree.file(&path);
    let holds = bans.is_some_and(|bans| BANS.iter().all(|ban| has_word(&bans.text, ban)));
    (!holds).then(|| manifest.fail(1, format!("`{name}` is pure: {path} must ban {BANS:?}")))
}

/// Section, name and value of every dependency.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&'static str, &str, &Value)> {
    ["dependencies", "dev-dependencies", "build-dependencies"].into_iter().flat_map(|section| {
        let table = manifest.get(section).and_then(Value::as_table);
        let entries = table.into_iter().flatten();
        entries.map(move |(name, value)| (section, name.as_str(), value))
    })
}

fn line_of(file: &File, section: &str, dependency: &str) -> usize {
    let heading = format!("[{section}]");
    let mut behind = file.lines().skip_while(|(_, line)| *line != heading);
    let found = behind.find(|(_, line)| {
        let rest = line.strip_prefix(dependency);
        rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    });
    found.map_or(1, |(number, _)| number)
}
