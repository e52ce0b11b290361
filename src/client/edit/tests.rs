//! Tables of files before and after.

use serde::Deserialize as _;
use serde_json::json;

use super::*;

fn wanted(connections: u64, replicate: &serde_json::Value) -> BTreeMap<String, Entry> {
    let entry = json!({ "connections": connections, "replicate": replicate });
    BTreeMap::from([("default".to_owned(), Entry::deserialize(entry).unwrap())])
}

/// Edits `before`, and reads the result again.
#[track_caller]
fn becomes(before: &str, wanted: &BTreeMap<String, Entry>, after: &str) {
    let text = edited(before, wanted).unwrap();
    assert_eq!(text, after);
    let entries = contents(&text).unwrap().entries;
    assert_eq!(entries.get("default"), wanted.get("default"), "{text}");
}

#[test]
fn comments_order_and_style_stay() {
    let before = r#"# The node of the house.
[node]
name = 'beta'   # in single quotes

[[bucket]]      # the first
replicate   = { alpha = "0-511, 600", 'gamma' = "700" } # two producers
# how many
connections = 1 # one is enough
name = "default"

# the second
[[bucket]]
name = "other"
replicate = { alpha = "0-1023" }

[admin]
listen = "127.0.0.1:0"
"#;
    let same = wanted(1, &json!({ "alpha": "0-511,600", "gamma": "700" }));
    becomes(before, &same, before);
    let more = wanted(4, &json!({ "alpha": "0-511,600", "gamma": "700-701", "delta": "1000" }));
    let after = before
        .replace("\"700\" }", "\"700-701\", delta = \"1000\" }")
        .replace("connections = 1 # one", "connections = 4 # one");
    becomes(before, &more, &after);
    let fewer = wanted(1, &json!({ "alpha": "1" }));
    let after =
        before.replace(r#"{ alpha = "0-511, 600", 'gamma' = "700" }"#, r#"{ alpha = "1" }"#);
    becomes(before, &fewer, &after);
}

#[test]
fn every_way_to_write_a_bucket_is_edited() {
    let to = wanted(2, &json!({ "alpha": "0-7", "gamma": "8" }));
    for (before, after) in [
        (
            "[[bucket]]\nname = \"default\"\n",
            "[[bucket]]\nname = \"default\"\nconnections = 2\nreplicate = { alpha = \"0-7\", \
             gamma = \"8\" }\n",
        ),
        (
            "[[bucket]]\nname = \"default\"\nreplicate.alpha = \"1\" # x\n",
            "[[bucket]]\nname = \"default\"\nreplicate.alpha = \"0-7\" # x\n\
             replicate.gamma = \"8\"\nconnections = 2\n",
        ),
        (
            "[[bucket]]\nname = \"default\"\nconnections = 2\n\n[bucket.replicate]\n# a\n\
             alpha = \"1\"\ndelta = \"9\" # d\n",
            "[[bucket]]\nname = \"default\"\nconnections = 2\n\n[bucket.replicate]\n# a\n\
             alpha = \"0-7\"\ngamma = \"8\"\n",
        ),
        (
            "bucket = [{ name = \"default\", connections = 2, replicate = { alpha = \"1\" } }]\n",
            "bucket = [{ name = \"default\", connections = 2, replicate = { alpha = \"0-7\", \
             gamma = \"8\" } }]\n",
        ),
        (
            "[[bucket]]\nname = \"default\"\nconnections = 2\nreplicate = {}\n",
            "[[bucket]]\nname = \"default\"\nconnections = 2\nreplicate = { alpha = \"0-7\", \
             gamma = \"8\" }\n",
        ),
    ] {
        becomes(before, &to, after);
    }
    let nothing = wanted(1, &json!({}));
    let before = "[[bucket]]\nname = \"default\"\nreplicate = { alpha = \"1\" } # x\n";
    becomes(before, &nothing, &before.replace("{ alpha = \"1\" }", "{}"));
}

#[test]
fn what_cannot_be_read_is_named() {
    for (text, why) in [
        ("[[bucket]\n", "TOML parse error at line 1"),
        (
            "[[bucket]]\nname = \"default\"\nconnections = \"2\"\n",
            "bucket \"default\": connections: it is no number",
        ),
        (
            "[[bucket]]\nname = \"default\"\nreplicate = { alpha = 7 }\n",
            "bucket \"default\": replicate.alpha: it is no text",
        ),
        (
            "[[bucket]]\nname = \"default\"\nreplicate = { alpha = \"9-1\" }\n",
            "bucket \"default\": replicate.alpha: range 9-1 is reversed: write 1-9",
        ),
    ] {
        let error = contents(text).err().unwrap().to_string();
        assert!(error.starts_with(why), "{error}");
    }
    let error = edited("[[bucket]]\nname = \"x\"\n", &wanted(1, &json!({}))).unwrap_err();
    assert_eq!(error.to_string(), "bucket \"default\" is not in the file");
}
