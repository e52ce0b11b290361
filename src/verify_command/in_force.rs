//! What the running sidecar replicates of a bucket: the file says it only until somebody replicates
//! more or less, pauses or takes over, and not at all where etcd has it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use replica::plan::{Desired, VbSet};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{To, Unanswered, inquire, plain};
use crate::config::Config;

/// The deadline of its answer.
const WAIT: Duration = Duration::from_secs(10);

/// Which vBuckets come from which producer, and who says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct InForce {
    /// By producer.
    pub(super) from: BTreeMap<String, VbSet>,
    /// What it is according to, for people.
    pub(super) origin: String,
    /// What to tell before anything is compared.
    pub(super) remark: String,
}

/// `GET /config`, as far as it is used.
#[derive(Debug, Deserialize)]
struct Answer {
    node: Named,
    bucket: Vec<Bucket>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    name: String,
    #[serde(default)]
    replicate: Desired,
}

/// Asks the sidecar of `file`; without an answer, what `config` says of the bucket holds, which is
/// nothing where etcd has it.
pub(super) async fn in_force(
    config: &Config,
    file: &Path,
    is_named: bool,
    bucket: &str,
) -> InForce {
    let (path, to) = (file.to_owned(), To { admin: None, token: None, json: false });
    let asked = tokio::task::spawn_blocking(move || {
        inquire(&to, &path, is_named, WAIT).and_then(|inquiry| inquiry.get("/config"))
    });
    let answer = asked.await.unwrap_or_else(|error| Err(Unanswered::Unknown(error.to_string())));
    choose(config, bucket, answer)
}

fn choose(config: &Config, bucket: &str, answer: Result<Value, Unanswered>) -> InForce {
    let of_file = config.buckets.iter().find(|known| known.name == bucket);
    let path = config.path.display();
    let file = |why: &str| InForce {
        from: of_file.map(|known| known.desired.producers().clone()).unwrap_or_default(),
        origin: path.to_string(),
        remark: format!("The vBuckets are those of {path}: {}.", plain(why)),
    };
    let body = match answer {
        Ok(body) => body,
        Err(Unanswered::NotRunning(_)) => return file("its sidecar does not run"),
        Err(Unanswered::Unknown(why)) => {
            return file(&format!("its sidecar could not be asked what it replicates: {why}"));
        }
    };
    let Answer { node, bucket: buckets } = match Answer::deserialize(&body) {
        Ok(answer) => answer,
        Err(error) => return file(&format!("the answer of its sidecar is malformed: {error}")),
    };
    if node.name != config.node.name() {
        return file(&format!("the sidecar that answers is that of node {}", node.name));
    }
    match buckets.into_iter().find(|known| known.name == bucket) {
        Some(known) => InForce {
            from: known.replicate.producers().clone(),
            origin: "the running sidecar".to_owned(),
            remark: "The vBuckets are those that the running sidecar replicates.".to_owned(),
        },
        None => file("the running sidecar does not know the bucket"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "\
        [node]\nname = \"beta\"\naddress = \"127.0.0.1:1\"\nusername = \"u\"\npassword = \"p\"\n\
        [[producer]]\nname = \"alpha\"\naddress = \"127.0.0.1:2\"\nusername = \"u\"\n\
        password = \"p\"\n\
        [[bucket]]\nname = \"default\"\nreplicate = { alpha = \"0-3\" }\n";

    #[test]
    fn the_running_sidecar_is_believed_and_else_the_file_and_it_is_said_which() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        std::fs::write(&path, FILE).unwrap();
        let config = crate::config::load(&path).unwrap();
        let says = |node: &str, bucket: &str, map: Value| {
            let bucket = json!([{ "name": bucket, "connections": 1, "replicate": map }]);
            Ok(json!({ "node": { "name": node }, "bucket": bucket }))
        };
        let unknown = |why: &str| Err(Unanswered::Unknown(why.to_owned()));
        let table = [
            (says("beta", "default", json!({ "alpha": "1-2,7" })), "1-2,7", "running sidecar rep"),
            (says("beta", "default", json!({})), "", "the running sidecar replicates"),
            (says("beta", "other", json!({})), "0-3", "does not know the bucket"),
            (says("gamma", "default", json!({})), "0-3", "is that of node gamma"),
            (Ok(json!({ "bucket": 1 })), "0-3", "is malformed"),
            (unknown("timed out"), "0-3", "could not be asked what it replicates: timed out."),
            (Err(Unanswered::NotRunning(String::new())), "0-3", "its sidecar does not run."),
        ];
        for (answer, vbs, words) in table {
            let chosen = choose(&config, "default", answer);
            let from = chosen.from.get("alpha").map(ToString::to_string).unwrap_or_default();
            assert_eq!(from, vbs, "{chosen:?}");
            assert!(chosen.remark.contains(words), "{words:?}: {chosen:?}");
            let is_file = chosen.origin == path.display().to_string();
            assert_eq!(is_file, chosen.origin != "the running sidecar", "{chosen:?}");
            assert!(chosen.remark.contains(&chosen.origin), "{chosen:?}");
        }
    }
}
