//! Tables: what a file says, and what is said about it.

mod changes;
mod cluster;
mod contradictions;
mod files;
mod overrides;
mod reference;
mod sources;
mod tls;
mod wrong;

use std::path::{Path, PathBuf};

use ::log::LevelFilter;
use logger::Format;

use super::*;

/// A file without problems; every test changes one line of it.
const GOOD: &str = r#"
[node]
name = "beta"
address = "127.0.0.1:11310"
username = "dcp-proxy"
password = "secret"
[[producer]]
name = "alpha"
address = "alpha.example:11210"
username = "dcp-proxy"
password = { env = "ALPHA_PASSWORD" }
[[producer]]
name = "gamma"
address = "[::1]:11210"
username = "dcp-proxy"
password = "secret"
[[bucket]]
name = "default"
connections = 4
replicate = { alpha = "0-511,600", gamma = "512-599" }
[admin]
listen = "127.0.0.1:4870"
[limits]
setup_ms = 5000
"#;

/// A file with two nodes in the process.
const EMBEDDED: &str = r#"
[node]
name = "beta"
[[producer]]
name = "alpha"
[[bucket]]
name = "default"
replicate = { alpha = "0-63" }
[embedded]
directory = "data"
[[embedded.node]]
name = "alpha"
state = "active"
vbuckets = 64
documents = 100
[[embedded.node]]
name = "beta"
state = "replica"
vbuckets = 64
"#;

fn environment(name: &str) -> Option<String> {
    (name == "ALPHA_PASSWORD").then(|| "from the environment".to_owned())
}

fn parse_at(path: &Path, text: &str) -> Result<Config, Problems> {
    parse(path, text.trim_start(), &environment)
}

fn good(text: &str) -> Config {
    parse_at(Path::new("etc/proxy.toml"), text).unwrap()
}

/// Replaces `from`, which must be there, and gives what is said about the file then.
#[track_caller]
fn problems(base: &str, from: &str, to: &str) -> String {
    assert!(base.contains(from), "{from:?} is not in the file");
    parse_at(Path::new("proxy.toml"), &base.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn a_good_file_gives_its_values() {
    let config = good(GOOD);
    let Node::Remote(node) = &config.node else { panic!("{:?}", config.node) };
    assert_eq!((node.name.as_str(), node.address.as_str()), ("beta", "127.0.0.1:11310"));
    let [Node::Remote(alpha), Node::Remote(gamma)] = config.producers.as_slice() else {
        panic!("{:?}", config.producers)
    };
    assert_eq!(alpha.password.expose(), "from the environment");
    assert_eq!(gamma.address, "[::1]:11210");
    let bucket = &config.buckets[0];
    assert_eq!((bucket.name.as_str(), bucket.connections.count()), ("default", 4));
    assert_eq!(bucket.desired.producers()["alpha"].iter().count(), 513);
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:4870");
    assert_eq!(config.admin.ready_percent, 100, "no failure is hidden by default");
    assert_eq!(config.limits.setup.as_millis(), 5000);
    assert!(config.embedded.is_none());
}

#[test]
fn topologies_may_call_our_node_otherwise_and_only_ours() {
    assert_eq!(good(GOOD).node.consumer_name(), "beta");
    let name = "consumer_name = \"ns_1@10.0.0.2\"\n";
    let ours = GOOD.replacen("name = \"beta\"\n", &format!("name = \"beta\"\n{name}"), 1);
    let node = good(&ours).node;
    assert_eq!((node.name(), node.consumer_name()), ("beta", "ns_1@10.0.0.2"));
    let found = problems(GOOD, "name = \"alpha\"\n", &format!("name = \"alpha\"\n{name}"));
    assert!(found.contains("consumer_name"), "{found}");
    let found = problems(EMBEDDED, "name = \"beta\"\n", &format!("name = \"beta\"\n{name}"));
    assert!(found.contains("this node is embedded"), "{found}");
}

#[test]
fn embedded_nodes_bring_addresses_and_defaults() {
    let config = good(EMBEDDED);
    assert!(matches!(&config.node, Node::Embedded(name) if name == "beta"));
    let embedded = config.embedded.unwrap();
    assert_eq!(embedded.directory, PathBuf::from("etc/data"));
    assert!(embedded.password.is_none());
    let alpha = &embedded.nodes[0];
    assert_eq!(
        (alpha.listen.to_string().as_str(), alpha.bucket.as_str()),
        ("127.0.0.1:0", "default")
    );
    assert_eq!((alpha.vbuckets, alpha.documents, alpha.state), (64, 100, mcbp::VbState::Active));
}

#[test]
fn every_problem_of_a_file_is_reported_in_the_order_of_its_lines() {
    let text = GOOD.replace("11310", "0").replace("connections = 4", "connections = 0");
    let said = problems(&text, "0-511,600", "0-511,x");
    let lines: Vec<&str> = said.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(lines, ["proxy.toml:3:11", "proxy.toml:18:15", "proxy.toml:19:23"], "{said}");
}

#[test]
fn an_empty_file_says_what_is_needed() {
    let said = parse_at(Path::new("proxy.toml"), "").unwrap_err().to_string();
    assert_eq!(
        said,
        "proxy.toml: node: is missing: name the data node that this sidecar serves\n\
         proxy.toml: bucket: is missing: add [[bucket]] with what is to be replicated"
    );
}

#[test]
fn a_missing_file_is_an_error_and_no_default() {
    let said = load(Path::new("no/such/proxy.toml")).unwrap_err().to_string();
    assert!(said.starts_with("no/such/proxy.toml: could not be read: No such file"), "{said}");
}

#[test]
fn a_secret_file_is_relative_to_the_configuration_and_loses_its_newline() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("alpha.secret"), "pass word\n").unwrap();
    let text = GOOD.replace("{ env = \"ALPHA_PASSWORD\" }", "{ file = \"alpha.secret\" }");
    let config = parse_at(&folder.path().join("proxy.toml"), &text).unwrap();
    let Node::Remote(alpha) = &config.producers[0] else { panic!("{:?}", config.producers) };
    assert_eq!(alpha.password.expose(), "pass word");
}

#[test]
fn neither_summary_nor_debug_shows_a_secret() {
    let config = good(&GOOD.replace("4870\"", "4870\"\ntoken = \"secret\""));
    for text in [format!("{config:?}"), config.to_string()] {
        assert!(!text.contains("from the environment") && !text.contains("\"secret\""), "{text}");
    }
    assert!(config.to_string().contains("admin     127.0.0.1:4870 with a token"));
}

#[test]
fn the_shipped_file_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    let config = load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    let embedded = config.embedded.unwrap();
    assert_eq!(embedded.nodes.iter().map(|node| node.documents).sum::<u64>(), 100_000);
    assert_eq!(config.buckets[0].desired.producers()["alpha"].iter().count(), 1024);
}

#[test]
fn the_log_has_a_level_and_a_format() {
    assert_eq!(good(GOOD).log, Log::default());
    let log = "[log]\nlevel = \"debug\"\nformat = \"json\"\n[limits]";
    let log = good(&GOOD.replace("[limits]", log)).log;
    assert_eq!((log.level, log.format), (Some(LevelFilter::Debug), Some(Format::Json)));
    let said = problems(GOOD, "[limits]", "[log]\nlevel = \"loud\"\nformat = \"xml\"\n[limits]");
    assert!(said.contains("log: level: \"loud\" is not a level: give off, error"), "{said}");
    assert!(said.contains("log: format: \"xml\" is not a format: give logfmt or json"), "{said}");
}

#[test]
fn the_limits_that_the_shipped_file_names_are_the_defaults() {
    let shipped = include_str!("../../proxy.toml");
    let named = shipped.lines().filter_map(|line| line.strip_prefix("# "));
    let named = named.filter(|line| line.contains("_ms") || line.starts_with("loop_"));
    let named: Vec<&str> = named.collect();
    assert_eq!(named.len(), 13, "{named:?}");
    let limits = format!("[limits]\n{}", named.join("\n"));
    let config = good(&GOOD.replace("[limits]\nsetup_ms = 5000", &limits));
    assert_eq!(config.limits, Limits::default());
}

/// What is warned about, a line each.
fn warnings(text: &str, folder: &Path) -> Vec<String> {
    let config = parse_at(&folder.join("proxy.toml"), text).unwrap();
    let lines = config.warnings.iter().map(|warning| warning.within(Path::new("proxy.toml")));
    lines.map(|line| line.replace(&format!("{}/", folder.display()), "")).collect()
}

#[test]
fn what_is_probably_not_meant_is_warned_about_with_its_line() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let local = GOOD.replace("alpha.example:", "127.0.0.1:");
    assert_eq!(warnings(&local, folder), Vec::<String>::new());
    let unencrypted = "proxy.toml:8:11: producer \"alpha\": tls: documents are sent to \
                       alpha.example:11210 unencrypted: give tls = { ca = \"...\" }";
    assert_eq!(warnings(GOOD, folder), [unencrypted]);
    let allowing =
        |text: &str, flag| text.replace(":11210\"", &format!(":11210\"\nallow_plain = {flag}"));
    assert_eq!(warnings(&allowing(GOOD, false), folder), [unencrypted]);
    let password = "proxy.toml:9:15: producer \"alpha\": allow_plain: the password may be sent to \
                    alpha.example:11210 unencrypted: give tls = { ca = \"...\" }";
    assert_eq!(warnings(&allowing(GOOD, true), folder), [password]);
    assert_eq!(warnings(&allowing(&local, true), folder), Vec::<String>::new());
    let same = local.replace("127.0.0.1:11210", "LocalHost:11310");
    let want = "proxy.toml:8:11: producer \"alpha\": address: LocalHost:11310 is the address in \
                line 3 too: no node replicates from itself";
    assert_eq!(warnings(&same, folder), [want]);
    let unused = local.replace(", gamma = \"512-599\"", "");
    let want = "proxy.toml:12:8: producer \"gamma\": no bucket replicates from it: name it in \
                replicate of a [[bucket]]";
    assert_eq!(warnings(&unused, folder), [want]);
    let secret = folder.join("alpha.secret");
    std::fs::write(&secret, "password\n").unwrap();
    let text = local.replace("{ env = \"ALPHA_PASSWORD\" }", "{ file = \"alpha.secret\" }");
    let mode = |mode| std::fs::set_permissions(&secret, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o600);
    assert_eq!(warnings(&text, folder), Vec::<String>::new());
    mode(0o640);
    let want = "proxy.toml:10:12: producer \"alpha\": password: file alpha.secret can be read by \
                others (mode 640): chmod 600 it";
    assert_eq!(warnings(&text, folder), [want]);
}
