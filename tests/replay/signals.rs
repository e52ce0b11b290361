//! A replay that is ended by a signal leaves nothing behind.

use std::path::Path;
use std::process::Command;

use super::common::{Process, until};
use super::wire;

/// A CLOSE_STREAM of vb:20 that no sidecar sends: the replay waits for it.
const NEVER: &str = concat!(
    r#"{"n": 9999, "t": 99.0, "from": "proxy", "to": "consumer", "what": "DCP_CLOSE_STREAM vb:20""#,
    r#", "hex": "805200000000001400000000000000630000000000000000"}"#
);

/// The processes whose command line names this folder.
fn processes_of(folder: &Path) -> usize {
    let name = folder.to_str().unwrap();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(name)).count()
}

#[tokio::test]
async fn a_signal_ends_the_sidecar_and_removes_its_folder() {
    for name in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("temporary");
        std::fs::create_dir(&temporary).unwrap();
        let file = folder.path().join("waits.jsonl");
        let text = std::fs::read_to_string(wire("03-rollback-to-zero")).unwrap();
        std::fs::write(&file, format!("{text}{NEVER}\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
        command.current_dir(folder.path()).env("TMPDIR", &temporary).arg("replay").arg(&file);
        command.args(["--against", "sidecar", "--wait", "600"]);
        let mut replay = Process::start("replay", folder.path(), &mut command);
        until("the sidecar runs", async || (processes_of(&temporary) == 1).then_some(())).await;
        replay.signal(name);
        assert_eq!(replay.exit_code().await, 2, "{}", replay.log());
        assert!(replay.log().contains(&format!("ended by SIG{name}")), "{}", replay.log());
        assert_eq!(processes_of(&temporary), 0, "the sidecar runs on");
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "its folder is left");
    }
}
