//! A small table of settings, and what follows from it.

use std::path::Path;

use serde::Deserialize;

use crate::*;

#[derive(Debug, Deserialize)]
struct File {
    title: Option<String>,
    #[serde(default)]
    server: Vec<Server>,
}

#[derive(Debug, Deserialize)]
struct Server {
    name: String,
    port: Option<u16>,
}

fn schema() -> Vec<Setting> {
    let keys = vec![
        Setting::new("name", Kind::Text, "Its name.").required("\"one\""),
        Setting::number("port", 1..=65_535, "Its port.").default_number(80_u64),
        Setting::new("key", Kind::SecretFile, "Its key.").reload(Reload::Replaced),
    ];
    vec![
        Setting::new("title", Kind::Text, "What this is.").example("\"a title\""),
        Setting::new("server", Kind::Tables { label: "server", settings: keys }, "A server.")
            .shown(""),
    ]
}

fn source(text: &str, variables: &[(&str, &str)]) -> Source {
    let own = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Source::new(Path::new("a.toml"), text, &own.collect::<Vec<_>>())
}

#[track_caller]
fn refused(text: &str, variables: &[(&str, &str)]) -> Problems {
    let (source, schema) = (source(text, variables), schema());
    match Document::read(&source, &schema, "P__") {
        Ok(document) if document.findings.is_good() => panic!("{text} is good"),
        Ok(document) => document.into_problems(),
        Err(problems) => problems,
    }
}

fn entries(text: &str) -> Vec<Entry> {
    let (source, schema) = (source(text, &[]), schema());
    Document::read(&source, &schema, "P__").unwrap().entries()
}

#[test]
fn a_good_file_is_read_with_its_overrides() {
    let variables =
        [("P__TITLE", "x"), ("P__SERVER__MY_OWN__PORT", "0x1F"), ("P__SERVER__1__NAME", "b")];
    let (source, schema) = (source("[[server]]\nname = \"my.own\"\n", &variables), schema());
    let mut document = Document::read(&source, &schema, "P__").unwrap();
    let file: File = document.written().unwrap();
    assert!(document.findings.is_good());
    assert_eq!(file.title.as_deref(), Some("x"));
    let servers: Vec<_> = file.server.iter().map(|it| (it.name.as_str(), it.port)).collect();
    assert_eq!(servers, [("my.own", Some(31)), ("b", None)]);
}

#[test]
fn two_sections_of_one_variable_name_are_told_apart_by_number() {
    let text = "[[server]]\nname = \"a-b\"\n[[server]]\nname = \"a.b\"\n";
    let said = refused(text, &[("P__SERVER__A_B__PORT", "1")]).to_string();
    let want = "environment variable P__SERVER__A_B__PORT: names more than one server: give its \
                number, from 0";
    assert_eq!(said, want);
    let numbered = [("P__SERVER__1__PORT", "1")];
    let (source, schema) = (source(text, &numbered), schema());
    let mut document = Document::read(&source, &schema, "P__").unwrap();
    let file: File = document.written().unwrap();
    assert_eq!(file.server[1].port, Some(1));
}

#[test]
fn two_variables_of_one_key_are_refused() {
    let text = "[[server]]\nname = \"a\"\n";
    let both = [("P__SERVER__0__PORT", "1"), ("P__SERVER__A__PORT", "2")];
    let want = "environment variable P__SERVER__A__PORT: sets what P__SERVER__0__PORT sets too: \
                remove one of them";
    assert_eq!(refused(text, &both).to_string(), want);
}

#[test]
fn columns_count_characters_and_a_caret_stands_below_them() {
    let problems =
        refused("title = \"\u{e4}\" # \u{fc}\n[[server]]\nname = \"\u{f6}\"\nprot = 1\n", &[]);
    assert!(problems.to_string().starts_with("a.toml:4:1: server \"\u{f6}\": prot: unknown key"));
    let problems = refused("server = [{ name = \"\u{f6}\u{e4}\", port = 0 }]", &[]);
    assert_eq!(
        problems.to_string(),
        "a.toml:1:33: server \"\u{f6}\u{e4}\": port: 0 is out of range: give 1 to 65535"
    );
    assert!(problems.rendered().contains("port = 0 }]\n"), "{}", problems.rendered());
}

#[test]
fn a_secret_is_never_shown() {
    for text in [
        "[[server]]\nname = \"a\"\nkey = \"hunter2\"",
        "[[server]]\nname = \"a\"\nkey = 'hunter2",
        "[[server]]\nname = \"a\"\nkey = [\"hunter2\"]",
        "[[server]]\nname = \"a\"\nkey = hunter2",
    ] {
        let problems = refused(text, &[]);
        let said = format!("{problems}{}", problems.rendered());
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn mistakes_in_two_sections_of_one_name_are_both_reported() {
    let text = "[[server]]\nname = \"a\"\nport = 0\n[[server]]\nname = \"a\"\n\
                prot = 1\n[[server]]\nname = \"a\"\nport = \"x\"\n";
    let said = refused(text, &[]).to_string();
    let places: Vec<_> = said.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["a.toml:3:8", "a.toml:6:1", "a.toml:9:8"], "{said}");
}

#[test]
fn changes_are_found_by_setting_and_section() {
    let old = entries("title = \"a\"\n[[server]]\nname = \"s\"\n");
    let cases: [(&str, &[&str], &[&str]); 5] = [
        ("title = \"a\"\n[[server]]\nname = \"s\"\nport = 80\n", &[], &[]),
        ("[[server]]\nname = \"s\"\n", &["title"], &["title"]),
        (
            "title = \"a\"\n[[server]]\nname = \"t\"\n",
            &["server s", "server t"],
            &["server s", "server t"],
        ),
        (
            "title = \"a\"\n[[server]]\nname = \"s\"\nport = 81\n",
            &["server s: port"],
            &["server s: port"],
        ),
        (
            "title = \"a\"\n[[server]]\nname = \"s\"\nkey = { file = \"k\" }\n",
            &["server s: key"],
            &["server s: key"],
        ),
    ];
    for (text, all, restart) in cases {
        let new = entries(text);
        assert_eq!(changed(&old, &new), all, "{text}");
        assert_eq!(restart_needed(&old, &new), restart, "{text}");
    }
    let with =
        |file: &str| entries(&format!("[[server]]\nname = \"s\"\nkey = {{ file = \"{file}\" }}\n"));
    assert_eq!(changed(&with("a"), &with("b")), ["server s: key"]);
    assert_eq!(restart_needed(&with("a"), &with("b")), [""; 0]);
}

#[test]
fn problems_are_lines_of_their_own_or_one_in_short() {
    let problems = refused("a = 1\nb = 2\nc = 3\n", &[]);
    assert_eq!(problems.lines().count(), 3);
    let want = "a.toml:1:1: a: unknown key: give one of title, server (and 2 more)";
    assert_eq!(problems.in_short(), want);
    let one = refused("a = 1\n", &[]);
    assert_eq!(one.in_short(), one.to_string());
}

#[test]
fn a_line_break_in_the_path_does_not_end_a_comment() {
    let path = Path::new("a\nb\r\u{1b}.toml");
    let (source, schema) = (Source::new(path, "title = \"a\"\n", &[]), schema());
    let entries = Document::read(&source, &schema, "P__").unwrap().entries();
    let file = effective_file(path, &entries);
    let want = "# The effective configuration of a\\nb\\r\\u{1b}.toml; secrets are redacted.\n\
                title = \"a\" # a\\nb\\r\\u{1b}.toml:1\n";
    assert_eq!(file, want);
}

#[test]
fn a_caret_stands_where_the_file_ends() {
    let problems = refused("title = [\n", &[]);
    assert!(problems.rendered().contains("a.toml:"), "{}", problems.rendered());
    assert!(refused("title = \"a\"\r\n\r\nx = 1\r\n", &[]).rendered().contains("3 | x = *"));
}

#[test]
fn a_file_of_many_mistakes_is_read_whole() {
    let text: String = (0..20_000).map(|at| format!("wrong_{at} = 1\n")).collect();
    let (source, schema) = (source(&text, &[]), schema());
    let Ok(document) = Document::read(&source, &schema, "P__") else { panic!("it is valid TOML") };
    let problems = document.into_problems();
    let last = problems.list.last().unwrap();
    assert!(matches!(last.place, Place::Line { line: 20_000, column: 1, .. }), "{last:?}");
    assert!(problems.rendered().ends_with("a.toml: 19900 more problems"));
}

#[test]
fn the_default_file_and_the_reference_have_every_setting() {
    insta::assert_snapshot!(format!(
        "{}\n--\n{}\n--\n{}",
        default_file(&schema(), "A file."),
        reference(&schema(), "P__"),
        effective_file(Path::new("a.toml"), &entries("[[server]]\nname = \"a b\"\n"))
    ));
}
