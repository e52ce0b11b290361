//! Starts `tail`, and reads its lines as a user of them does.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::common::{DataNode, Process};

/// The command for a node of the tests.
pub(crate) fn command(folder: &Path, node: &DataNode, arguments: &[&str]) -> Command {
    let mut command = at(&node.address().to_string(), arguments);
    command.args(["--username", "dcp-proxy", "--password-file"]);
    command.arg(folder.join(format!("{}.password", node.name)));
    command
}

/// The command for an address.
pub(crate) fn at(address: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.args(["tail", "default", "--node", address]).args(arguments);
    command
}

/// Runs it to its end, which must be good, and returns its lines.
pub(crate) async fn lines(folder: &Path, node: &DataNode, arguments: &[&str]) -> Vec<Value> {
    let mut process = Process::start("tail", folder, &mut command(folder, node, arguments));
    assert_eq!(process.exit_code().await, 0);
    parsed(&process.out())
}

/// Every line; one that was cut off by a kill is left out.
pub(crate) fn parsed(text: &str) -> Vec<Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let line = |line: &str| {
        let fields: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_ne!(fields.contains_key("op"), fields.contains_key("event"), "{line}");
        // A number may be too large for this library.
        let value = |raw: Box<RawValue>| serde_json::from_str(raw.get()).unwrap_or(Value::Null);
        fields.into_iter().map(|(name, raw)| (name, value(raw))).collect()
    };
    whole.lines().map(line).collect()
}

/// The seqno of each vBucket in a checkpoint.
pub(crate) fn checkpoint(path: &Path) -> BTreeMap<u64, u64> {
    let Ok(text) = std::fs::read_to_string(path) else { return BTreeMap::new() };
    let value: Value = serde_json::from_str(&text).unwrap();
    let vbuckets = value["vbuckets"].as_object().unwrap().iter();
    vbuckets.map(|(vb, it)| (vb.parse().unwrap(), it["seqno"].as_u64().unwrap())).collect()
}

/// What somebody has who reads the lines, of each vBucket in order: seqno, key, and the value of a
/// document.
#[derive(Default)]
pub(crate) struct Reader(BTreeMap<u64, Vec<(u64, String, Option<String>)>>);

impl Reader {
    /// Another run begins: what came after its checkpoint comes again, or is void.
    pub(crate) fn resume(&mut self, checkpoint: &BTreeMap<u64, u64>) {
        for (vb, changes) in &mut self.0 {
            let last = changes.last().map_or(0, |change| change.0);
            let seqno = checkpoint.get(vb).copied().unwrap_or_default();
            assert!(seqno <= last, "vb {vb}: the checkpoint has {seqno}, {last} was written");
            changes.retain(|change| change.0 <= seqno);
        }
    }

    /// Reads the lines of one run. Returns how many rollbacks there were.
    pub(crate) fn read(&mut self, lines: &[Value]) -> usize {
        let mut rollbacks = 0;
        for line in lines {
            let changes = self.0.entry(line["vb"].as_u64().unwrap_or_default()).or_default();
            if line["event"] == "rollback" {
                let to = line["to"].as_u64().unwrap();
                changes.retain(|change| change.0 <= to);
                rollbacks += 1;
            } else if let Some(op) = line["op"].as_str() {
                let (seqno, last) = (line["seqno"].as_u64().unwrap(), changes.last());
                let last = last.map_or(0, |change| change.0);
                assert!(seqno > last, "{line}: twice, or out of order after {last}");
                let key = line["key"].as_str().unwrap().to_owned();
                let value = (op == "mutation").then(|| line["value"].as_str().unwrap().to_owned());
                changes.push((seqno, key, value));
            }
        }
        rollbacks
    }

    /// The documents.
    pub(crate) fn documents(&self) -> BTreeMap<String, String> {
        let changes = self.0.values().flatten();
        let newest: BTreeMap<_, _> = changes.map(|(_, key, value)| (key, value)).collect();
        let document =
            |(key, value): (&String, &Option<String>)| Some((key.clone(), value.clone()?));
        newest.into_iter().filter_map(document).collect()
    }
}
