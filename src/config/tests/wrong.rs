//! Wrong values: what is said about each, with place, key, value, and what is allowed.

use super::*;

/// What people are shown about each changed file.
fn shown(base: &str, table: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (from, to) in table {
        assert!(base.contains(from), "{from:?} is not in the file");
        let text = base.trim_start().replacen(from, to, 1);
        let problems = parse(Path::new("proxy.toml"), &text, &environment).unwrap_err();
        out += &format!("{}\n\n", problems.rendered());
    }
    out
}

#[test]
fn each_wrong_value_is_named() {
    insta::assert_snapshot!(shown(
        GOOD,
        &[
            ("0-511,600", "0-2000"),
            ("512-599", "511-599"),
            ("gamma = \"512-599\"", "delta = \"512-599\""),
            ("gamma = \"512-599\"", "gama = \"512-599\""),
            ("connections = 4", "connections = 65"),
            ("connections = 4", "connections = -1"),
            ("connections = 4", "connections = 99999999999999999999999"),
            ("name = \"beta\"", "name = \"alpha\""),
            ("address = \"127.0.0.1:11310\"\n", ""),
            ("127.0.0.1:11310", "127.0.0.1"),
            ("127.0.0.1:11310", "::1:11310"),
            ("name = \"beta\"", "name = \"be ta\""),
            ("ALPHA_PASSWORD", "OTHER"),
            ("{ env = \"ALPHA_PASSWORD\" }", "{ file = \"no/such\" }"),
            ("password = \"secret\"", "password = \"\""),
            ("127.0.0.1:4870", "0.0.0.0:4870"),
            ("[limits]", "ready_percent = 101\n[limits]"),
            ("setup_ms = 5000", "setup_ms = 5"),
            ("setup_ms = 5000", "retry_ms_min = 60000"),
            ("setup_ms = 5000", "stall_ms = 1500"),
            ("setup_ms = 5000", "loop_failures = 1"),
            ("[limits]", "[log]\nlevel = \"inof\"\nformat = \"xml\"\n[limits]"),
            ("[limits]", "[state]\ndirectory = \"\"\n[limits]"),
        ],
    ));
}

#[test]
fn each_wrong_key_and_type_is_named() {
    insta::assert_snapshot!(shown(
        GOOD,
        &[
            ("listen = ", "lisen = "),
            ("listen = ", "host = "),
            ("setup_ms = 5000", "connections = 5000"),
            ("[limits]", "[limit]"),
            ("[limits]", "\"a\\u001b[31m b\" = 1\n[limits]"),
            ("{ env = \"ALPHA_PASSWORD\" }", "{ evn = \"ALPHA_PASSWORD\" }"),
            ("{ env = \"ALPHA_PASSWORD\" }", "{ env = \"A\", file = \"b\" }"),
            ("{ env = \"ALPHA_PASSWORD\" }", "{}"),
            ("{ env = \"ALPHA_PASSWORD\" }", "{ env = 1 }"),
            ("password = \"secret\"", "password = 12345"),
            ("connections = 4", "connections = \"4\""),
            ("connections = 4", "connections = 4.5"),
            ("\"512-599\"", "[512, 599]"),
            ("name = \"beta\"", "name = true"),
            ("name = \"gamma\"", ""),
            ("[[bucket]]", "[bucket]"),
            ("[node]", "[[node]]"),
            ("[admin]", "limits = 5\n[admin]"),
            ("listen = \"127.0.0.1:4870\"", "listen = 2026-11-29"),
        ],
    ));
}

#[test]
fn errors_of_the_syntax_are_reported_together_and_show_no_secret() {
    let mut text = GOOD.trim_start().replace("\"127.0.0.1:11310\"", "\"127.0.0.1:11310");
    text = text.replace("password = \"secret\"\n[[bucket]]", "password = \"secret\n[[bucket]]");
    text = text.replace("connections = 4", "connections = 4\nconnections = 5\nconections = 6");
    text = text.replace("setup_ms = 5000", "setup_ms =\n[node]\n");
    let problems = parse(Path::new("proxy.toml"), &text, &environment).unwrap_err();
    insta::assert_snapshot!(problems.rendered());
}

#[test]
fn a_file_full_of_mistakes_names_all_of_them_and_no_consequences() {
    let text = r#"
[node]
name = "beta"
adress = "127.0.0.1:11310"
username = 5
password = "hunter2"
[[producer]]
address = "alpha:11210"
username = "u"
password = { evn = "X" }
[[producer]]
name = "gamma"
address = "gamma"
username = "u"
password = { env = "NOPE" }
[bucket]
name = "default"
connections = 65
replicate = { gama = "0-5", gamma = 7 }
[admin]
listen = "127.0.0.1:4870"
stall_ms = 5
[limits]
retry_ms_min = -5
"#;
    let problems = parse_at(Path::new("proxy.toml"), text).unwrap_err();
    assert!(!problems.rendered().contains("hunter2"));
    insta::assert_snapshot!(problems.to_string());
}

#[test]
fn more_mistakes_than_anybody_reads_are_counted() {
    let many: String = (0..150).map(|at| format!("wrong_{at} = 1\n")).collect();
    let problems = parse_at(Path::new("proxy.toml"), &format!("{GOOD}{many}")).unwrap_err();
    for said in [problems.to_string(), problems.rendered()] {
        assert!(said.ends_with("proxy.toml: 50 more problems"), "{said}");
    }
}

#[test]
fn embedded_nodes_must_fit_what_is_replicated() {
    insta::assert_snapshot!(shown(
        EMBEDDED,
        &[
            (
                "[[producer]]\nname = \"alpha\"",
                "[[producer]]\nname = \"alpha\"\naddress = \"127.0.0.1:11210\"",
            ),
            ("0-63", "0-64"),
            ("state = \"replica\"\nvbuckets = 64", "state = \"replica\"\nvbuckets = 32"),
            ("state = \"replica\"", "state = \"active\""),
            ("state = \"replica\"", "state = \"dead\""),
            ("state = \"replica\"", "state = \"replica\"\ndocuments = 5"),
            ("state = \"replica\"", ""),
            ("vbuckets = 64\ndocuments", "vbuckets = 64\nbucket = \"other\"\ndocuments"),
            ("vbuckets = 64\ndocuments = 100", "documents = 99999999999"),
        ],
    ));
}

#[test]
fn a_mistake_in_the_line_of_a_secret_does_not_show_it() {
    let password = "password = \"secret\"";
    let lines = [
        (password, "pasword = \"SECRET\""),
        (password, "Password = \"SECRET\""),
        (password, "pass_word = 'SECRET' # SECRET"),
        (password, "password: \"SECRET\""),
        (password, "password \"SECRET\""),
        (password, "password = { value = \"SECRET\" }"),
        (password, "[node.password]\nvalue = \"SECRET\""),
        (password, "password = \"SEC\"SECRET\""),
        (password, "password = [\n\"SECRET\"]"),
        (password, "password = [\n\"SECRET\""),
        (password, "password = { env = [\"SECRET\"] }"),
        (password, "password = \"\"\"\nSECRET\n"),
        (password, "password =\n\"SECRET\""),
        (password, "password =\nSECRET=="),
        (password, "password = SECRET"),
        ("[admin]", "[admin]\ntokken = \"SECRET\""),
        ("[admin]", "[desired]\netcd.pasword = \"SECRET\"\n[admin]"),
        ("[admin]", "[desired]\netcd = 'http://u:SECRET@127.0.0.1:2379'\n[admin]"),
        ("[[producer]]", "[embedded]\nnode = ['SECRET']\n[[producer]]"),
        ("[admin]", "[desired]\netcd = { endpoints = [], pasword = \"SECRET\" }\n[admin]"),
    ];
    for (from, to) in lines {
        let text = GOOD.trim_start().replacen(from, to, 1);
        assert!(text.contains("SECRET"));
        let problems = parse(Path::new("proxy.toml"), &text, &environment).unwrap_err();
        for said in [problems.to_string(), problems.rendered()] {
            assert!(!said.contains("SECRET"), "{to}:\n{said}");
        }
        assert!(problems.rendered().contains(" | "), "{to}: no line is shown");
    }
}

#[test]
fn a_copy_of_an_effective_file_is_no_configuration() {
    let effective = good(&GOOD.replace("[limits]", "token = \"t\"\n[limits]")).effective();
    let problems = parse(Path::new("copy.toml"), &effective, &environment).unwrap_err();
    let said = problems.to_string();
    assert_eq!(said.lines().count(), 3, "node, gamma and admin: {said}");
    let want = "copy.toml:7:12: node: password: \"(redacted)\" stands for a secret that is not \
                shown: give the secret, as a text in quotes, { file = \"...\" } or \
                { env = \"...\" }";
    assert!(said.starts_with(want), "{said}");
}

#[test]
fn what_is_said_names_no_producer_twice_and_no_wrong_section() {
    let listen = "listen = \"127.0.0.1:4870\"";
    let token = "proxy.toml:22:1: admin: tokken: unknown key: did you mean token? Known here: \
                 listen, token, ready_percent";
    let wrong_type = "proxy.toml:22:9: admin: token: wrong type: give a text in quotes, \
                      { file = \"...\" } or { env = \"...\" }";
    for (from, to, want) in [
        (listen, "listen = \"0.0.0.0:4870\"\ntokken = \"t\"", token),
        (listen, "listen = \"0.0.0.0:4870\"\ntoken = 5", wrong_type),
        (
            "connections = 4",
            "node = 5",
            "proxy.toml:18:1: bucket \"default\": node: unknown key: give one of name, \
             connections, replicate",
        ),
    ] {
        assert_eq!(problems(GOOD, from, to), want);
    }
    let twice = GOOD.replace("name = \"gamma\"", "name = \"alpha\"");
    let said = problems(&twice, "gamma = \"512-599\"", "other = \"512-599\"");
    assert!(said.contains("unknown producer: give one of alpha, or add a [[producer]]"), "{said}");
}

#[test]
fn only_a_regular_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let want = format!(
        "{}: is a folder, and no regular file: name another file with --config",
        folder.path().display()
    );
    for said in [
        load(folder.path()).map(drop),
        load_admin(folder.path()).map(drop),
        load_source(folder.path()).map(drop),
    ] {
        assert_eq!(said.unwrap_err().to_string(), want);
    }
}
