//! Which keys of two configurations differ, and which of them need a restart.

use super::*;

fn config(text: &str) -> Config {
    good(text)
}

#[test]
fn changes_are_named_and_those_that_need_a_restart_too() {
    let tls = "tls = { ca = \"no.pem\" }";
    assert!(!GOOD.contains(tls));
    let old = config(GOOD);
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], bool);
    let table: &[Case<'_>] = &[
        ("connections = 4", "connections = 4 # and a comment", &[], false),
        ("setup_ms = 5000", "setup_ms = 5_000\nclose_ms = 10000", &[], false),
        ("setup_ms = 5000", "setup_ms = 6000", &["limits: setup_ms"], true),
        ("setup_ms = 5000", "", &["limits: setup_ms"], true),
        ("0-511,600", "0-511", &["bucket default: replicate"], false),
        ("connections = 4", "", &["bucket default: connections"], false),
        ("alpha.example", "other.example", &["producer alpha: address"], false),
        ("\"127.0.0.1:4870\"", "\"127.0.0.1:4871\"", &["admin: listen"], true),
        ("[limits]", "token = \"t\"\n[limits]", &["admin: token"], false),
        ("[limits]", "ready_percent = 9\n[limits]", &["admin: ready_percent"], false),
        ("[limits]", "[log]\nlevel = \"warn\"\n[limits]", &["log: level"], false),
        ("[limits]", "[verify]\ninterval_s = 9\n[limits]", &["verify: interval_s"], false),
        ("[limits]", "[state]\ndirectory = \"d\"\n[limits]", &["state: directory"], true),
        ("address = \"127.0.0.1:11310\"", "address = \"127.0.0.1:1\"", &["node: address"], true),
        ("password = \"secret\"", "password = \"other\"", &["node: password"], false),
        (
            "[limits]",
            "[[producer]]\nname = \"delta\"\naddress = \"d:1\"\nusername = \"u\"\n\
             password = \"p\"\n[limits]",
            &["producer delta"],
            false,
        ),
        (
            "[limits]",
            "[embedded]\n[[embedded.node]]\nname = \"e\"\nstate = \"active\"\n[limits]",
            &["embedded", "embedded node e"],
            true,
        ),
    ];
    for (from, to, want, needs_restart) in table {
        assert!(GOOD.contains(from), "{from}");
        let new = config(&GOOD.replacen(from, to, 1));
        assert_eq!(changed(&old, &new), *want, "{to}");
        assert_eq!(changed(&new, &old), *want, "{to}, taken back");
        let restart: &[&str] = if *needs_restart { want } else { &[] };
        assert_eq!(restart_needed(&old, &new), restart, "{to}");
        assert_eq!(restart_needed(&new, &old), restart, "{to}, taken back");
    }
}

#[test]
fn tls_of_the_own_node_is_reloaded_and_switched_on_by_a_restart() {
    let (folder, _authority) = super::tls::certificates();
    let path = folder.path().join("proxy.toml");
    let config = |tls: &str| {
        let address = "\"127.0.0.1:11310\"\n";
        parse_at(&path, &GOOD.replace(address, &format!("{address}{tls}\n"))).unwrap()
    };
    let (plain, tls) = (config(""), config("tls = { ca = \"ca.pem\" }"));
    let named = config("tls = { ca = \"ca.pem\", server_name = \"beta\" }");
    assert_eq!(restart_needed(&plain, &tls), ["node: tls"]);
    assert_eq!(changed(&tls, &named), ["node: tls"]);
    assert_eq!(restart_needed(&tls, &named), [""; 0]);
}

#[test]
fn no_difference_shows_a_secret() {
    let config = config(GOOD);
    let shown = format!("{:?}{}", config.entries, config.effective());
    assert!(!shown.contains("\"secret\""), "{shown}");
    assert!(shown.contains("password = \"(redacted)\" # etc/proxy.toml:5"), "{shown}");
}
