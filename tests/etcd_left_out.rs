//! A program without the feature `etcd` says so to whoever wants it.

#![cfg(not(feature = "etcd"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::process::Command;

const HOW: &str = "built without etcd: build it with `cargo build --release --features etcd`";

#[test]
fn a_configuration_with_etcd_is_refused_with_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
[node]
name = "beta"
address = "127.0.0.1:1"
username = "u"
password = "p"
[[producer]]
name = "alpha"
address = "127.0.0.1:2"
username = "u"
password = "p"
[[bucket]]
name = "default"
[desired]
etcd = { endpoints = ["127.0.0.1:2379"] }
"#;
    std::fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    let output = command.current_dir(folder.path()).arg("check").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("desired: etcd") && errors.contains(HOW), "{errors}");
}

#[test]
fn a_command_about_maps_is_refused_with_how_to_build_it() {
    for json in [&[][..], &["--json"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
        let output = command.args(["map", "get"]).args(json).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(HOW), "{text}");
    }
}
