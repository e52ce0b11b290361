//! The default file and the effective file.

use super::*;

fn uncommented(text: &str, is_example: impl Fn(&str) -> bool) -> String {
    let lines = text.lines().filter(|line| !is_example(line)).map(|line| {
        let setting = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        setting.unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_default_file_is_good_and_holds_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    for name in ["alpha", "beta"] {
        std::fs::write(folder.path().join("secrets").join(name), name).unwrap();
    }
    let text = default_file();
    let parse = |text: &str| parse_at(&path, text).unwrap_or_else(|problems| panic!("{problems}"));
    let minimal = parse(&text);
    let (all, rest) = text.split_once("#[desired]").unwrap();
    let examples = ["#tls", "#consumer_name", "#token", "#directory"];
    let all = uncommented(all, |line| examples.iter().any(|key| line.starts_with(key)));
    assert_eq!(changed(&minimal, &parse(&all)), [""; 0], "the commented values are the defaults");
    assert!(all.lines().count() > 50 && all.contains("\nloop_window_ms = "), "{all}");
    let (_, embedded) = rest.split_once("#[embedded]").unwrap();
    let embedded = uncommented(embedded, |line| line.starts_with("#password"));
    let spelled = parse(&format!("{text}\n[embedded]{embedded}"));
    let node = "[[embedded.node]]\nname = \"gamma\"\nstate = \"active\"";
    let short = parse(&format!("{text}\n[embedded]\n{node}"));
    assert_eq!(changed(&spelled, &short), [""; 0], "those of a section that is optional too");
    insta::assert_snapshot!(text);
}

#[test]
fn the_effective_file_names_the_origin_of_each_value_and_can_be_read_again() {
    let config = good(&GOOD.replace("4870\"", "4870\"\ntoken = \"open sesame\""));
    let text = config.effective();
    insta::assert_snapshot!(text);
    let again = good(&text.replace("(redacted)", "another"));
    let differing = changed(&config, &again);
    let secrets = ["admin: token", "node: password", "producer gamma: password"];
    assert_eq!(differing, secrets, "all but the secrets");
}
