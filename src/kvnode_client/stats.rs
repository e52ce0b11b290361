//! `stats`: a group of statistics.

use mcbp::Status;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::connect::Node;
use super::failure::Failure;
use crate::client::table::{Cell, Table};

/// The groups of a node of this version.
const GROUPS: &str = "vbucket, vbucket-details, vbucket-seqno and failovers, each also with the \
                      number of a vBucket; dcp, warmup, dcp-vbtakeover VBUCKET NAME";

pub(super) async fn show(node: &mut Node, group: &[String]) -> Result<Answer, Failure> {
    let name = group.join(" ");
    let stats = node.client.stats(&name).await.map_err(|error| {
        let status = error.status();
        let mut failure = Failure::from(error);
        if status == Some(Status::KEY_ENOENT) {
            failure.text = format!("no statistics group {name:?}: give {GROUPS}, or none");
            failure.exit = 2;
        }
        failure
    })?;
    let mut table = Table::new(["NAME", "VALUE"]);
    let mut values = Map::new();
    for (name, value) in &stats {
        table.push([Cell::from(name.as_str()), Cell::from(value.as_str())]);
        values.insert(name.clone(), Value::from(value.as_str()));
    }
    let (address, bucket) = (&node.address, &node.bucket);
    let json = json!({ "node": address, "bucket": bucket, "group": name, "stats": values });
    Ok(Answer::text(table.text(None).trim_end(), json))
}
