//! Without `--node` the vBuckets are those that the running sidecar replicates.

use std::process::Command;

use super::common::{Cluster, Process};

async fn verify(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.args(["verify", "default"]).args(arguments).current_dir(cluster.folder.path());
    let mut run = Process::start("verify", cluster.folder.path(), &mut command);
    (run.exit_code().await, run.log())
}

#[tokio::test]
async fn what_the_running_sidecar_was_told_since_its_start_is_compared_and_else_the_file() {
    let mut cluster = Cluster::start().await;
    cluster.fill().await;
    cluster.converge().await;
    let mut paused = cluster.sidecar.ask(&["pause", "default", "0-2"]).await;
    assert_eq!(paused.exit_code().await, 0, "{}", paused.log());

    let (code, said) = verify(&cluster, &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("The vBuckets are those that the running sidecar replicates."), "{said}");
    assert!(said.contains("Comparing 5 vBuckets of default on alpha and beta."), "{said}");
    let (code, said) = verify(&cluster, &["--vb", "2-3"]).await;
    assert_eq!(code, 2, "{said}");
    let words = "vBuckets 2 of default come from no producer according to the running sidecar";
    assert!(said.contains(words), "{said}");

    cluster.sidecar.stop().await;
    let (code, said) = verify(&cluster, &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("those of proxy.toml: its sidecar "), "{said}");
    assert!(said.contains("Comparing 8 vBuckets of default on alpha and beta."), "{said}");
}
