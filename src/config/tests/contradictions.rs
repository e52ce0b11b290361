//! What is warned of because two settings contradict each other.

use super::*;

#[test]
fn each_contradiction_is_warned_of() {
    let local = GOOD.replace("alpha.example:", "127.0.0.1:");
    let mut said = String::new();
    for (base, from, to) in [
        (local.as_str(), "replicate = { alpha = \"0-511,600\", gamma = \"512-599\" }", ""),
        (&local, "gamma = \"512-599\"", "gamma = \"512-513\""),
        (&local, "setup_ms = 5000", "shutdown_ms = 5000"),
        (&local, "setup_ms = 5000", "close_ms = 60000"),
        (&local, "setup_ms = 5000", "data_move_ms = 5000"),
        (&local, "setup_ms = 5000", "once_idle_ms = 5000"),
        (&local, "setup_ms = 5000", "retry_ms_max = 61000\nonce_idle_ms = 60000"),
        (&local, "setup_ms = 5000", "loop_failures = 1000"),
        (&local, "127.0.0.1:4870", "127.0.0.1:11310"),
        (EMBEDDED, "[embedded]", "[embedded]\nusername = \"me\""),
        (
            EMBEDDED,
            "[[embedded.node]]",
            "[[embedded.node]]\nname = \"spare\"\nstate = \"active\"\n[[embedded.node]]",
        ),
        (EMBEDDED, "vbuckets = 64\n", "vbuckets = 64\nlisten = \"127.0.0.1:4870\"\n"),
    ] {
        assert!(base.contains(from), "{from}");
        let mut text = base.replacen(from, to, 1);
        if to.contains("listen") {
            text += "[admin]\nlisten = \"127.0.0.1:4870\"\n";
        }
        let config = parse_at(Path::new("proxy.toml"), &text);
        let config = config.unwrap_or_else(|problems| panic!("{to}: {problems}"));
        for warning in &config.warnings {
            said += &format!("{}\n", warning.within(Path::new("proxy.toml")));
        }
        assert!(!config.warnings.is_empty(), "{to}");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn the_defaults_do_not_contradict_each_other() {
    let text = GOOD.replace("alpha.example:", "127.0.0.1:").replace("setup_ms = 5000", "");
    for text in [text.as_str(), EMBEDDED] {
        let config = parse_at(Path::new("proxy.toml"), text).unwrap();
        assert_eq!(config.warnings, []);
    }
}
