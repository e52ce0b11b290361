//! Durable writes of Couchbase's SDKs: each command at each level, and each way in which one fails.

use std::process::Command;

use serde_json::json;

use crate::trio::Trio;
use crate::{node_modules, passes, python, script};

/// Runs a script against each state of three nodes that durable writes know.
async fn durable_writes(script: &str, command: impl Fn() -> Command) {
    let run = async |trio: &Trio, cases: &str| {
        passes(trio.folder(), script, trio.arguments(&mut command(), cases)).await;
    };
    let mut trio = Trio::start().await;
    trio.set_topology(json!([["alpha"]])).await;
    run(&trio, "alone").await;
    trio.set_topology(json!([["alpha", null, null]])).await;
    run(&trio, "impossible").await;
    trio.set_topology(json!([["alpha", "beta", "gamma", "delta"]])).await;
    run(&trio, "impossible").await;
    trio.set_map().await;
    trio.set_topology(json!([["alpha", "beta", "gamma"]])).await;
    run(&trio, "levels").await;
    trio.converge().await;
    run(&trio, "frozen").await;
    trio.converge().await;
    run(&trio, "leave").await;
    trio.restart_active().await;
    run(&trio, "recommit").await;
    trio.converge().await;
}

#[tokio::test]
async fn durable_writes_of_the_python_sdk_are_on_replicas_or_fail_as_they_should() {
    let Some(python) = python() else { return };
    durable_writes("durable.py", || {
        let mut command = Command::new(&python);
        // Without -B Python would leave what it compiled beside the sources.
        command.arg("-B").arg(script("durable.py"));
        command
    })
    .await;
}

#[tokio::test]
async fn durable_writes_of_the_node_sdk_are_on_replicas_or_fail_as_they_should() {
    let Some(modules) = node_modules() else { return };
    durable_writes("durable.mjs", || {
        let mut command = Command::new("node");
        command.arg(script("durable.mjs")).arg(&modules);
        command
    })
    .await;
}
