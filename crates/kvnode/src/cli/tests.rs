//! The command line and the file, parsed to a configuration or an error.

use std::path::Path;
use std::time::Duration;

use clap::Parser as _;
use mcbp::VbState;

use super::arguments::Arguments;
use super::configuration::configuration;
use crate::{Durability, Limits, NodeConfig};

/// Parses `arguments` in a folder with the file `node.toml` and the password file `p`.
fn parse(folder: &Path, toml: &str, arguments: &[&str]) -> Result<NodeConfig, String> {
    std::fs::write(folder.join("node.toml"), toml).unwrap();
    std::fs::write(folder.join("p"), "secret\n").unwrap();
    let in_folder = |word: &&str| word.replace('@', &format!("{}/", folder.display()));
    let words = std::iter::once("kvnode".to_owned()).chain(arguments.iter().map(in_folder));
    let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
    configuration(arguments).map(|configured| configured.node)
}

const ALL: [&str; 10] = [
    "--listen",
    "127.0.0.1:0",
    "--data",
    "d",
    "--bucket",
    "default:64",
    "--username",
    "u",
    "--password-file",
    "@p",
];

#[test]
fn the_command_line_alone_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let config = parse(folder.path(), "", &ALL).unwrap();
    let [bucket] = config.buckets.as_slice() else { panic!("one bucket") };
    assert_eq!((bucket.name.as_str(), bucket.vbuckets), ("default", 64));
    assert_eq!(bucket.initial_state, Some(VbState::Active));
    assert!(config.users.check("u", b"secret"));
    for (user, password) in [("u", "secret\n"), ("u", ""), ("", "secret"), ("v", "secret")] {
        assert!(!config.users.check(user, password.as_bytes()), "{user} {password:?}");
    }
    assert_eq!(config.metrics, None);
    config.check().unwrap();
}

#[test]
fn the_state_of_new_vbuckets() {
    let folder = tempfile::tempdir().unwrap();
    let state = |name: &str| {
        let words: Vec<&str> = ALL.into_iter().chain(["--state", name]).collect();
        parse(folder.path(), "", &words).map(|config| config.buckets[0].initial_state)
    };
    assert_eq!(state("replica"), Ok(Some(VbState::Replica)));
    assert_eq!(state("none"), Ok(None));
    assert!(state("pending").unwrap_err().contains("active, replica, none"));
}

#[test]
fn the_command_line_overrides_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let toml = r#"
        listen = "127.0.0.1:1"
        metrics = "127.0.0.1:3"
        data = "data"
        [[bucket]]
        name = "default"
        vbuckets = 16
        state = "replica"
        durability = "buffered"
        quota_mib = 160
        expiry_interval_s = 3
        [[user]]
        name = "dcp-proxy"
        password = { file = "p" }
        [limits]
        connections_max = 10
        authentication_s = 5
        worker_threads = 3
        shutdown_s = 9
    "#;
    let config =
        parse(folder.path(), toml, &["--config", "@node.toml", "--listen", "[::1]:2"]).unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:2");
    assert_eq!(config.metrics.unwrap().port(), 3);
    assert_eq!(config.data, folder.path().join("data"));
    let bucket = &config.buckets[0];
    assert_eq!((bucket.vbuckets, bucket.initial_state), (16, Some(VbState::Replica)));
    assert_eq!(bucket.durability, Durability::Buffered);
    assert_eq!((bucket.quota_bytes >> 20, bucket.log_bytes_max >> 20), (160, 20));
    assert_eq!(bucket.expiry_pager_interval, Duration::from_secs(3));
    assert!(config.users.check("dcp-proxy", b"secret"));
    assert_eq!((config.limits.connections_max, config.limits.worker_threads), (10, 3));
}

#[test]
fn the_example_holds_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "secret").unwrap();
    let toml = include_str!("../../kvnode.toml");
    let config = parse(folder.path(), toml, &["--config", "@node.toml"]).unwrap();
    let limits = Limits { worker_threads: 2, ..Limits::default() };
    assert_eq!(format!("{:?}", config.limits), format!("{limits:?}"));
    let expected = crate::BucketOptions::new("default");
    assert_eq!(format!("{:?}", config.buckets), format!("[{expected:?}]"));
}

#[test]
fn errors_name_the_line_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = |toml: &str| parse(folder.path(), toml, &["--config", "@node.toml"]).unwrap_err();
    let cases = [
        ("\nlisten = 5", "node.toml:2:"),
        ("\nlisten = \"here\"", "node.toml:2: \"here\" is not an address: give ip:port, such as"),
        ("a = 1", "node.toml:1: unknown field `a`"),
        ("[[bucket]]\nname = \"a/b\"", "node.toml:2: bucket name \"a/b\": give 1 to 100 letters"),
        ("[[bucket]]\nname = \"a\"\nvbuckets = 1025", "has 1025 vBuckets: give 1 to 1024"),
        ("[[bucket]]\nname = \"a\"\nquota_mib = 1", "node.toml:3: 1 is out of range: give 100"),
        ("[[user]]\nname = \"u\"\npassword = { file = \"none\" }", "node.toml:3:"),
        ("\ntls = { certificate = \"no.pem\", key = \"no.key\" }", "node.toml:2: file "),
        ("tls = { certificate = \"no.pem\" }", "missing field `key`"),
        ("[log]\nlevel = \"loud\"", "node.toml:2: \"loud\" is not a level: give off, error"),
        ("[log]\nformat = \"xml\"", "node.toml:2: \"xml\" is not a format: give logfmt or json"),
        ("[limits]\nworker_threads = 0", "node.toml:2: 0 is out of range: give 1 to 64"),
        ("", "no address: give --listen ADDR"),
        ("listen = \"127.0.0.1:0\"", "no folder for data: give --data DIR"),
    ];
    for (toml, expected) in cases {
        let text = error(toml);
        assert!(text.contains(expected), "{toml:?}: {text}");
    }
}

#[test]
fn a_configuration_that_serves_nobody_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = parse(folder.path(), "", &ALL).unwrap();
    config.users.0.clear();
    assert!(config.check().unwrap_err().contains("needs a user"));
    let mut config = parse(folder.path(), "", &ALL).unwrap();
    config.buckets.push(config.buckets[0].clone());
    assert!(config.check().unwrap_err().contains("configured twice"));
    config.buckets.clear();
    assert!(config.check().unwrap_err().contains("needs a bucket"));
}
