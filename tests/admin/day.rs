//! The commands of the day against a whole sidecar: each does what it says, and what was changed
//! is shown, saved and dropped.

use std::path::Path;

use crate::common::until;
use crate::subcommands::{Said, run, sidecar};

/// Runs a subcommand that has to succeed, and returns what it says.
#[track_caller]
fn done(folder: &Path, line: &str) -> impl Future<Output = String> {
    let caller = std::panic::Location::caller();
    async move {
        let said = run(folder, line).await;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{caller}: {line}: {said:?}");
        said.out
    }
}

/// Runs one that has to fail with this exit code and these words.
async fn refused(folder: &Path, line: &str, code: i32, words: &str) -> Said {
    let said = run(folder, line).await;
    assert_eq!(said.code, Some(code), "{line}: {said:?}");
    assert!(said.err.contains(words), "{line}: {said:?}");
    said
}

#[tokio::test]
async fn what_is_changed_is_shown_saved_and_dropped() {
    let home = tempfile::tempdir().unwrap();
    let (mut sidecar, url) = sidecar(home.path()).await;
    let (folder, file) = (home.path(), home.path().join("proxy.toml"));
    // With the address in the file, no options are needed; a comment is to stay.
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("127.0.0.1:0", url.strip_prefix("http://").unwrap());
    let text = text.replace("\"0-7\" }", "\"0-7\" } # all");
    std::fs::write(&file, &text).unwrap();
    let compared = async || sidecar.out().contains("Replication continues").then_some(());
    until("both nodes have been compared", compared).await;

    let out = done(folder, "pause default 0-1").await;
    assert_eq!(out, "default: paused, 6 streams are open\n");
    let paused = run(folder, "streams --paused --json").await.json();
    assert_eq!(paused["buckets"][0]["paused"][0]["vbuckets"], "0-1", "{paused}");
    let line = "replicate --replace default alpha=7";
    let said =
        refused(folder, line, 2, "7 streams of default would close (2 of them paused)").await;
    assert_eq!(said.out, "");
    let out = done(folder, &format!("{line} --dry-run")).await;
    assert!(out.contains("default  closes  alpha           7  0-6"), "{out}");
    let out = done(folder, "replicate --remove default alpha=6 --yes").await;
    assert_eq!(out, "default: 5 streams are open\n");
    refused(folder, "replicate --remove default alpha=6 --yes", 2, "is not replicated from").await;
    done(folder, "connections default 2").await;
    let out = done(folder, "restart default --producer alpha").await;
    assert_eq!(out, "default: restarted, 5 streams are open\n");
    let out = done(folder, "restart default 2-3").await;
    assert_eq!(out, "default: restarted, 5 streams are open\n");
    let status = done(folder, "status").await;
    assert!(status.contains("drift of default: 2 connections to each producer"), "{status}");
    let diff = done(folder, "config diff").await;
    assert!(diff.contains("\n-connections = 1\n"), "{diff}");
    assert!(diff.contains("\n+connections = 2\n+replicate.alpha = \"0-5,7\"\n"), "{diff}");

    let out = done(folder, "config save").await;
    assert!(out.contains("default: 0-1 stay paused; a pause is not saved\n"), "{out}");
    let saved = text.replace("\"0-7\" } # all", "\"0-5,7\" } # all\nconnections = 2");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), saved);
    let diff = done(folder, "config diff").await;
    assert!(diff.starts_with("default: vBuckets 0-1 paused, by 127.0.0.1:"), "{diff}");
    assert_eq!(done(folder, "resume default").await, "default: resumed, 7 streams are open\n");
    assert!(done(folder, "config diff").await.starts_with("no changes at run time"));

    done(folder, "pause default --producer alpha").await;
    refused(folder, "config discard", 2, "1 change of run time would be dropped").await;
    assert_eq!(done(folder, "config discard --yes").await, "1 change of run time was discarded\n");
    // Nobody waits for the streams of a discard.
    let open = async || {
        let status = run(folder, "status --json").await.json();
        (status["buckets"][0]["open"] == 7).then_some(())
    };
    until("what was paused is open again", open).await;
    sets_and_reloads(folder, &file, &saved).await;
    sidecar.signal("TERM");
    assert_eq!(sidecar.exit_code().await, 0);
}

async fn sets_and_reloads(folder: &Path, file: &Path, text: &str) {
    assert!(done(folder, "reload").await.starts_with("reloaded"));
    std::fs::write(file, text.replace("listen =", "lisen =")).unwrap();
    // The file does not say where to ask any more.
    let admin = text.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap();
    let reload = format!("reload --admin {} --token open&sesame", admin.trim_matches('"'));
    let mut command = crate::subcommands::program(folder);
    let words = reload.split(' ').map(|word| word.replace('&', " "));
    let output = command.args(words).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.starts_with("not reloaded, the old configuration stays: "), "{err}");
    assert!(err.contains("lisen"), "{err}");
    std::fs::write(file, text).unwrap();
    done(folder, "reload").await;

    let out = run(folder, "move default 2-3 --from alpha").await;
    assert!(out.out.starts_with("default: 2 vBuckets are active here, dead at alpha"), "{out:?}");
    let out = run(folder, "takeover default 2-4 --from alpha").await;
    assert_eq!(out.code, Some(0), "what is active here counts as done: {out:?}");
    let out = done(folder, "streams --vb 0-4 --json").await;
    assert!(!out.contains("\"vbucket\": 4"), "{out}");
    let out = done(folder, "drain default --yes --timeout 30").await;
    assert_eq!(out, "default: 0 streams are open\n");
}
