//! Compares statistics: what this node has of a group is in the recorded group with the same value.

use std::collections::BTreeMap;

use mcbp::Status;

use super::known::same;
use crate::support::client::{Answer, Client};

/// The lines of a group. A real node sends some names twice, with the same value.
pub type Lines = BTreeMap<String, String>;

/// What this node does not count: memory and disk of a collection, and how it was used.
const MISSING: [&str; 7] = [
    "collections_mem_used",
    "data_size",
    "disk_size",
    "ops_store",
    "ops_delete",
    "ops_get",
    "default_legacy_max_dcp_seqno",
];

pub fn add(lines: &mut Lines, name: &[u8], value: &[u8]) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    lines.insert(text(name), text(value));
}

/// The lines from `first` on to the one without a name.
pub fn receive(client: &mut Client, first: Answer) -> Result<Lines, Status> {
    let (mut lines, mut answer) = (Lines::new(), first);
    while answer.status == Status::SUCCESS && !answer.key.is_empty() {
        add(&mut lines, &answer.key, &answer.value);
        answer = client.receive();
    }
    if answer.status == Status::SUCCESS { Ok(lines) } else { Err(answer.status) }
}

pub fn compare(theirs: &Lines, ours: &Result<Lines, Status>) -> Result<(), String> {
    let ours = ours.as_ref().map_err(|status| format!("{status} instead of statistics"))?;
    let is_missing = |name: &str| MISSING.iter().any(|missing| name.ends_with(missing));
    let mut theirs = theirs.clone();
    theirs.retain(|name, _| !is_missing(name));
    same("statistics", ours, &theirs)
}
