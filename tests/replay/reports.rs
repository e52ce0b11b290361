//! Every file of `tests/data/reports` is a test: a recording that somebody attached to a report.
//!
//! The rules of this program must do what the file shows, and so must a sidecar where one can play
//! it. Where the rules are changed on purpose, what they do instead stands in a file of the same
//! name with the ending `txt`, and a sidecar is not asked.

use super::{WAIT_S, data, ended, is_known, start};

#[tokio::test]
async fn every_report_is_replayed_against_the_machine_and_a_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(data("reports"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no report in {}", data("reports").display());
    for path in names {
        let (code, out) = ended(start(folder.path(), &path, &["--against", "machine"])).await;
        let expected = path.with_extension("txt");
        if expected.exists() {
            is_known(&expected, &out);
            continue;
        }
        assert_eq!(code, 0, "{}:\n{out}", path.display());
        let against = ["--against", "sidecar", "--wait", WAIT_S];
        let (code, out) = ended(start(folder.path(), &path, &against)).await;
        // 2: it has what nobody tells a sidecar, such as a takeover.
        assert!(code == 0 || code == 2, "{} against a sidecar:\n{out}", path.display());
    }
}
