//! The command line and the file, parsed to a configuration or an error.

use std::path::Path;
use std::time::Duration;

use clap::Parser as _;
use mcbp::VbState;

use super::arguments::Arguments;
use super::configuration::configuration;
use super::file;
use crate::{Durability, Limits, NodeConfig};

/// Parses `arguments` in a folder with the file `node.toml` and the password file `p`.
fn parse(folder: &Path, toml: &str, arguments: &[&str]) -> Result<NodeConfig, String> {
    std::fs::write(folder.join("node.toml"), toml).unwrap();
    std::fs::write(folder.join("p"), "secret\n").unwrap();
    let in_folder = |word: &&str| word.replace('@', &format!("{}/", folder.display()));
    let words = std::iter::once("kvnode".to_owned()).chain(arguments.iter().map(in_folder));
    let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
    configuration(arguments).map(|configured| configured.node).map_err(|it| it.to_string())
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
        "\nlisten = 5",
        "\nlisten = \"here\"",
        "a = 1",
        "vbuckets = 1",
        "[[bucket]]\nname = \"a/b\"",
        "[[bucket]]\nname = \"a\"\nvbuckets = 1025",
        "[[bucket]]\nname = \"a\"\nquota_mib = 1\nstate = \"activ\"\ndurability = true",
        "[[bucket]]\nname = \"a\"\n[[bucket]]\nname = \"a\"",
        "[[bucket]]\nvbuckets = 8",
        "[[user]]\nname = \"u\"\npassword = { file = \"none\" }",
        "[[user]]\nname = \"u\"\npassword = \"hunter2\"",
        "[[user]]\nname = \"u\"",
        "\ntls = { certificate = \"no.pem\", key = \"no.key\" }",
        "tls = { certificate = \"no.pem\" }",
        "[log]\nlevel = \"loud\"",
        "[log]\nformat = \"xml\"",
        "[limits]\nworker_threads = 0\nconnections_max = -1\nshutdown = 5",
        "listen = \nlisten = \"127.0.0.1:0\"\ndata = \"d",
        "",
        "listen = \"127.0.0.1:0\"",
    ];
    let said = cases.map(|toml| format!("{}\n--\n{}\n", toml.trim(), error(toml))).join("\n");
    insta::assert_snapshot!(said.replace(&format!("{}/", folder.path().display()), ""));
}

#[test]
fn mistakes_of_the_command_line_name_the_option() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let mut said = String::new();
    for change in [
        ("default:64", "default:2000"),
        ("default:64", "default:many"),
        ("default:64", "a/b"),
        ("127.0.0.1:0", "here"),
        ("@p", "@none"),
        ("@p", "@empty"),
    ] {
        let words = ALL.map(|word| if word == change.0 { change.1 } else { word });
        said += &format!("{}\n--\n{}\n\n", change.1, parse(folder.path(), "", &words).unwrap_err());
    }
    insta::assert_snapshot!(said.replace(&format!("{}/", folder.path().display()), ""));
}

#[test]
fn variables_override_the_file_and_are_named_where_they_are_wrong() {
    let set = |name: &str, value: &str| (format!("KVNODE__{name}"), value.to_owned());
    let toml = "listen = \"127.0.0.1:1\"\n[[bucket]]\nname = \"my-bucket\"\nvbuckets = 8";
    let partial = file::parse(
        Path::new("node.toml"),
        toml,
        &[
            set("LISTEN", "127.0.0.1:2"),
            set("BUCKET__MY_BUCKET__VBUCKETS", "16"),
            set("BUCKET__1__NAME", "second"),
            set("LIMITS__SHUTDOWN_S", "9"),
        ],
    );
    let partial = partial.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(partial.listen.unwrap().port(), 2);
    let counts: Vec<_> = partial.buckets.iter().map(|it| (it.name.as_str(), it.vbuckets)).collect();
    assert_eq!(counts, [("my-bucket", 16), ("second", 1024)]);
    assert_eq!(partial.limits.shutdown, Duration::from_secs(9));
    insta::assert_snapshot!(settings::effective_file(Path::new("node.toml"), &partial.entries));
    let wrong = [
        set("LISTEN", "here"),
        set("LIMITS__SHUTDOWN", "9"),
        set("LIMITS__WORKER_THREADS", "0"),
        set("BUCKET__OTHER__VBUCKETS", "16"),
    ];
    let said = file::parse(Path::new("node.toml"), toml, &wrong).err().unwrap().to_string();
    insta::assert_snapshot!(said);
}

#[test]
fn the_default_file_is_good_and_holds_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "secret").unwrap();
    let path = folder.path().join("node.toml");
    let parse = |text: &str| {
        file::parse(&path, text, &[]).unwrap_or_else(|problems| panic!("{problems}")).entries
    };
    let text = file::default_file();
    // What has no default is an example.
    let is_example = |line: &str| {
        let of_tls = ["#tls", "#certificate", "#key", "#client_ca", "#[tls]"];
        let others =
            ["#metrics", "#users_file", "#anonymous_bucket", "#buckets", "#worker_threads"];
        of_tls.iter().chain(&others).any(|key| line.starts_with(key))
    };
    let lines = text.lines().filter(|line| !is_example(line)).map(|line| {
        let setting = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        setting.unwrap_or(line)
    });
    let all = lines.collect::<Vec<_>>().join("\n");
    assert_ne!(all, text);
    assert_eq!(settings::changed(&parse(&text), &parse(&all)), [""; 0]);
    let shipped = include_str!("../../kvnode.toml").replace("worker_threads = 2", "");
    assert_eq!(settings::changed(&parse(&text), &parse(&shipped)), [""; 0]);
    insta::assert_snapshot!(text);
}

#[test]
fn a_configuration_that_serves_nobody_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = parse(folder.path(), "", &ALL).unwrap();
    config.users.all.clear();
    assert!(config.check().unwrap_err().contains("needs a user"));
    let mut config = parse(folder.path(), "", &ALL).unwrap();
    config.buckets.push(config.buckets[0].clone());
    assert!(config.check().unwrap_err().contains("configured twice"));
    config.buckets.clear();
    assert!(config.check().unwrap_err().contains("needs a bucket"));
}

#[test]
fn a_mistake_in_the_line_of_a_secret_does_not_show_it() {
    for line in ["pasword = \"SECRET\"", "password = \"SECRET\"", "password = { fil = 'SECRET' }"] {
        let text = format!("[[user]]\nname = \"u\"\n{line}\n");
        let problems = file::parse(Path::new("node.toml"), &text, &[]).err().unwrap();
        for said in [problems.to_string(), problems.rendered()] {
            assert!(!said.contains("SECRET"), "{line}:\n{said}");
        }
        assert!(problems.rendered().contains("3 | pas"), "{line}: no line is shown");
    }
}
