//! The command line of `kvnode`, and which node, user and bucket it means.

use clap::error::ErrorKind;

use super::args::Ask;
use super::connect::target;
use super::*;

fn parse(words: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(words.split_ascii_whitespace())
}

#[test]
fn the_help_of_every_command() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut pages = vec![command.render_long_help().to_string()];
    let help = |command: &mut clap::Command| command.render_long_help().to_string();
    pages.extend(command.get_subcommands_mut().filter(|it| it.get_name() != "help").map(help));
    insta::assert_snapshot!(pages.join("\n==========\n\n"));
}

#[test]
fn without_a_command_it_runs_a_node() {
    let node = "kvnode --listen 127.0.0.1:0 --data d --bucket default:64 --username u \
                --password-file p --state replica";
    assert!(parse(node).unwrap().command.is_none());
    assert!(parse("kvnode").unwrap().command.is_none());
    for (words, kind) in [
        ("kvnode --data d get a", ErrorKind::ArgumentConflict),
        ("kvnode get", ErrorKind::MissingRequiredArgument),
        ("kvnode vbuckets --set-state active", ErrorKind::MissingRequiredArgument),
        ("kvnode vbuckets 0-7 --set-state alive", ErrorKind::ValueValidation),
        ("kvnode vbuckets 0-7 --topology alpha", ErrorKind::MissingRequiredArgument),
        ("kvnode vbuckets 0-1024", ErrorKind::ValueValidation),
        ("kvnode seed 0", ErrorKind::ValueValidation),
        ("kvnode seed 1 --size 63", ErrorKind::ValueValidation),
        ("kvnode get a --vbucket 65536", ErrorKind::ValueValidation),
        ("kvnode get a --certificate b", ErrorKind::MissingRequiredArgument),
        ("kvnode got", ErrorKind::InvalidSubcommand),
    ] {
        assert_eq!(parse(words).unwrap_err().kind(), kind, "{words}");
    }
    let set = parse("kvnode vbuckets --set-state replica 0-511").unwrap();
    let Some(Command::Ask(asked)) = set.command else { panic!("no request") };
    let Ask::Vbuckets { set: Some(set), .. } = *asked else { panic!("{asked:?}") };
    assert_eq!(set.len(), 512);
}

/// Address, user, password and bucket that a command means, or the error.
fn meant(arguments: &str, environment: &[(&str, &str)]) -> Result<String, String> {
    let Some(Command::Ask(asked)) = parse(&format!("kvnode get a {arguments}")).unwrap().command
    else {
        panic!("no request")
    };
    let env = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let told = target(asked.at(), env).map(|(endpoint, bucket)| {
        let password = endpoint.password.expose();
        format!("{} {}:{password} {bucket}", endpoint.address, endpoint.username)
    });
    told.map_err(|failure| {
        assert_eq!(failure.exit, 2);
        failure.text
    })
}

#[test]
fn the_node_is_that_of_the_arguments_or_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p"), "secret\n").unwrap();
    let file = |listen: &str, more: &str| {
        let text = format!(
            "{listen}\n{more}\n[[bucket]]\nname = \"b\"\n[[user]]\nname = \"u\"\n\
             password = {{ file = \"p\" }}\n"
        );
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text).unwrap();
        format!("--config {}", path.display())
    };
    let p = format!("--password-file {}", folder.path().join("p").display());
    let ok = |arguments: &str, env: &[(&str, &str)]| meant(arguments, env).unwrap();
    let env = [("KVNODE_USERNAME", "v"), ("KVNODE_PASSWORD", "w")];
    assert_eq!(ok("", &env), "127.0.0.1:11210 v:w default");
    assert_eq!(ok(&format!("--username u {p}"), &env), "127.0.0.1:11210 u:secret default");
    assert_eq!(ok(&format!("--node h:1 {p} --bucket c"), &env), "h:1 v:secret c");
    let config = file("listen = \"0.0.0.0:77\"", "");
    assert_eq!(ok(&config, &[]), "127.0.0.1:77 u:secret b");
    assert_eq!(ok(&format!("{config} --node [::1]:5"), &env), "[::1]:5 v:w b");
    assert_eq!(ok(&file("listen = \"[::]:77\"", ""), &[]), "[::1]:77 u:secret b");

    let error = |arguments: &str| meant(arguments, &[]).unwrap_err();
    assert!(error("").starts_with("no user: give --username NAME"));
    assert!(error("--username u").starts_with("no password of user \"u\": give --password-file"));
    assert!(error(&format!("{config} --username x")).starts_with("no password of user \"x\""));
    for missing in ["--password-file /nowhere --username u", "--config /nowhere"] {
        let text = error(missing);
        assert!(text.contains("/nowhere") && text.contains("No such file"), "{text}");
    }
    assert!(error(&file("listen = \"[::1]:0\"", "")).ends_with("any free port: give --node"));
    for node in ["h", "h:", ":1", "h:0", "h:x"] {
        assert!(error(&format!("--node {node}")).contains("give HOST:PORT"), "{node}");
    }
}

#[test]
fn completions_have_every_command() {
    let mut script = Vec::new();
    clap_complete::generate(clap_complete::Shell::Bash, &mut Cli::command(), "kvnode", &mut script);
    let script = String::from_utf8(script).unwrap();
    for word in ["get", "set", "delete", "vbuckets", "stats", "seed", "--set-state", "--listen"] {
        assert!(script.contains(word), "{word}");
    }
}
