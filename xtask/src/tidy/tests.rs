//! Each rule with a text that violates it and one that does not; and the tree itself.

use super::{Complaint, File, Tree, check, packages, papers, source};
use crate::root;

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

/// Checks the complaints of `rule` about `text`, as lines of `number: complaint`.
#[track_caller]
fn expect(rule: fn(&File) -> Vec<Complaint>, path: &str, text: &str, want: &[&str]) {
    let complaints = rule(&file(path, text));
    let got: Vec<String> = complaints.iter().map(|c| format!("{}: {}", c.line, c.text)).collect();
    assert_eq!(got, want, "in\n{text}");
}

#[test]
fn the_tree_is_tidy() {
    let complaints = check(&Tree::read(root()).unwrap());
    let failures: Vec<String> =
        complaints.iter().filter(|c| c.is_failure()).map(ToString::to_string).collect();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

#[test]
fn a_complaint_says_where() {
    let here = file("src/a.rs", "");
    assert_eq!(here.fail(7, "fix it").to_string(), "src/a.rs:7: fix it");
    assert_eq!(here.warn(7, "look").to_string(), "src/a.rs:7: warning: look");
}

#[test]
fn files_open_with_what_they_are() {
    expect(source::opening, "a.rs", "//! What it is.\nfn a() {}\n", &[]);
    let want = "1: open the file with `//!`: what it is, what it never does";
    expect(source::opening, "a.rs", "// What it is.\n", &[want]);
    expect(source::opening, "a.rs", "", &[want]);
    let novel = "//! And then.\n".repeat(21);
    expect(source::opening, "a.rs", &novel, &["1: the opening comment has 21 lines"]);
}

#[test]
fn long_files_are_split_but_tests_are_not_counted() {
    expect(source::length, "a.rs", &"\n".repeat(400), &[]);
    let want = "1: 401 lines without tests, at most 400: split the file";
    expect(source::length, "a.rs", &"\n".repeat(401), &[want]);
    assert!(!source::length(&file("a.rs", &"\n".repeat(600)))[0].is_failure());
    assert!(source::length(&file("a.rs", &"\n".repeat(601)))[0].is_failure());
    expect(source::length, "crates/a/tests/b.rs", &"\n".repeat(999), &[]);
    expect(source::length, "src/tests.rs", &"\n".repeat(999), &[]);
    let with_tests = format!("\n#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(999));
    expect(source::length, "a.rs", &with_tests, &[]);
}

#[test]
fn sources_are_narrow_and_plain() {
    expect(source::lines, "a.rs", &"x".repeat(100), &[]);
    expect(source::lines, "a.rs", &"x".repeat(101), &["1: 101 columns, at most 100"]);
    expect(source::lines, "a.rs", "// \u{e4}\n", &["1: '\u{e4}' is not ASCII"]);
}

#[test]
fn debts_are_not_left() {
    let debt = concat!("TO", "DO");
    expect(
        source::debts,
        "a.rs",
        &format!("// {debt}: later"),
        &[&format!("1: {debt}: do it now, or leave it out")],
    );
    expect(source::debts, "a.rs", "let tomtodo = MASTODON;", &[]);
}

#[test]
fn tests_do_not_sleep() {
    let want = &["1: a test sleeps: wait for the condition, with a deadline"][..];
    expect(source::sleeps, "tests/a.rs", concat!("tokio::time::sl", "eep(x).await;"), want);
    expect(source::sleeps, "src/a.rs", concat!("sl", "eep(x)"), &[]);
    let inside = concat!("#[cfg(test)]\nmod tests {\nsl", "eep(x);\n}");
    let want = &["3: a test sleeps: wait for the condition, with a deadline"][..];
    expect(source::sleeps, "src/a.rs", inside, want);
}

#[test]
fn addresses_of_actors_stay_inside() {
    let text =
        "pub struct A {\n    pub at: Addr<B>,\n    of: Addr<C>,\n}\npub(crate) fn f(a: Addr<B>);\n";
    let want = "2: `Addr` in the public interface: hand out a handle";
    expect(source::actor_addresses, "actors/src/a.rs", text, &[want]);
    expect(source::actor_addresses, "src/a.rs", text, &[]);
}

fn manifest(file: &File) -> Vec<Complaint> {
    packages::package(file, &file.text.parse().unwrap())
}

#[test]
fn packages_keep_to_their_layer() {
    let text =
        |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n[dependencies]\n{rest}");
    let good = text("relay", "mcbp.workspace = true\ntokio.workspace = true\n");
    expect(manifest, "crates/relay/Cargo.toml", &good, &[]);
    for (name, rest, want) in [
        ("relay", "replica.workspace = true", "4: `relay` must not use `replica`"),
        (
            "vbucket",
            "mcbp.workspace = true\nlog.workspace = true",
            "5: `vbucket` is pure and must not use `log`",
        ),
        (
            "relay",
            "bytes = \"1\"",
            "4: take `bytes` from the workspace, so that it has one version",
        ),
        ("new", "", "1: `new` has no place in the table of layers"),
    ] {
        expect(manifest, "Cargo.toml", &text(name, rest), &[want]);
    }
    let development = "[package]\nname = \"mcbp\"\n[dev-dependencies]\nproptest.workspace = true\n\
         recordings.workspace = true\n";
    expect(manifest, "Cargo.toml", development, &[]);
    let built_in = text("relay", "recordings.workspace = true");
    let want = "4: `relay` must not use `recordings`";
    expect(manifest, "Cargo.toml", &built_in, &[want]);
}

#[test]
fn pure_packages_ban_what_is_impure() {
    let bans = "\"std::time::Instant::now\", \"std::net::TcpStream\", \"std::fs::File\", \
         \"std::collections::HashMap\", \"std::collections::HashSet\", \"std::hash::RandomState\"";
    let pure = file("crates/mcbp/Cargo.toml", "");
    let with = |files| packages::bans_of_pure_packages(&pure, &Tree { files, ..Tree::default() });
    assert_eq!(with(vec![file("crates/mcbp/clippy.toml", bans)]), None);
    assert!(with(vec![]).is_some());
    assert!(with(vec![file("crates/mcbp/clippy.toml", "std::fs::File")]).is_some());
    let other = file("crates/relay/Cargo.toml", "");
    assert_eq!(packages::bans_of_pure_packages(&other, &Tree::default()), None);
}

#[test]
fn a_missing_paper_is_missed() {
    let missing: Vec<String> =
        papers::check(&Tree::default()).iter().map(ToString::to_string).collect();
    assert!(missing.contains(&"ARCHITECTURE.md:1: the file is missing".to_owned()), "{missing:?}");
}

#[test]
fn papers_name_no_machine() {
    let home = concat!("/ho", "me/somebody");
    let want = format!("1: `{home}` is a path of one machine");
    expect(papers::machine_paths, "a.md", &format!("see `{home}`"), &[&want]);
    expect(papers::machine_paths, "a.rs", &format!("let path = \"{home}\";"), &[&want]);
    let scratch = concat!("/tm", "p/a");
    assert_eq!(papers::machine_paths(&file("a.md", &format!("in {scratch} and"))).len(), 1);
    expect(papers::machine_paths, "a.md", "`GET /live`, src/home/x and a/root/b", &[]);
}

#[test]
fn papers_name_only_what_exists() {
    let pump = "pub struct BytePump;\nimpl BytePump { fn run() {} }";
    let main = "// GoneType was here";
    let tree = Tree {
        files: vec![file("crates/relay/src/pump.rs", pump), file("src/main.rs", main)],
        paths: ["crates/relay/src/pump.rs", "src/main.rs", ".ci/run"].map(String::from).to_vec(),
    };
    let names = |text: &str| papers::names_exist(&file("ARCHITECTURE.md", text), &tree);
    let good = "`pump.rs`, `crates/relay`, `.ci/run`, `src/`, `BytePump`, `BytePump::run()`, \
                `STREAM_END`, `GET /live`, `/live`, `io`, `Result`, `cargo xtask tidy`\n\
                ```\n`NoSuchType`\n```\n";
    assert_eq!(names(good), []);
    for gone in ["GoneType", "BytePump::stop", "crates/gone", "gone.rs", "relay/src/gone.rs"] {
        assert_eq!(names(&format!("a\nthe `{gone}` here")).len(), 1, "{gone}");
    }
}

#[test]
fn the_glossary_is_in_order() {
    let text =
        "# Words\n- **Ack**: a\n  more\n- **bucket** (old): b\n- **bucket**: c\n- **ark**: d\n";
    let want = [
        "5: `bucket` follows `bucket`: sort the words, each once",
        "6: `ark` follows `bucket`: sort the words, each once",
    ];
    expect(papers::words_in_order, "GLOSSARY.md", text, &want);
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = file(
        "Cargo.toml",
        "[workspace.dependencies]\nours = { path = \"ours\" }\nbytes = \"1\"\nlog = \"0.4\"\n",
    );
    let reasons = file("docs/decisions/dependencies.md", "# Why\n\n- bytes: a\n- rand: b\n");
    let complaints = papers::dependencies_have_reasons(&manifest, &reasons);
    let got: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    assert_eq!(
        got,
        [
            "Cargo.toml:4: `log` has no line in docs/decisions/dependencies.md: say why it is used",
            "docs/decisions/dependencies.md:4: `rand` is not a dependency",
        ]
    );
}
