//! `vbuckets`: what a node has of each vBucket, and how its state is set.

use std::collections::BTreeMap;

use bytes::BytesMut;
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Status, VbId, VbState};
use replica::plan::VbSet;
use serde_json::json;

use super::answer::Answer;
use super::connect::Node;
use super::failure::Failure;
use super::refusal::Refusal;
use crate::client::table::{Cell, Table};

/// Unanswered requests that set a state.
const WINDOW: usize = 64;

/// A vBucket as the group `vbucket-details` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Row {
    state: String,
    items: Option<u64>,
    high_seqno: Option<u64>,
    purge_seqno: Option<u64>,
    uuid: Option<u64>,
}

/// Reads the lines of `vbucket-details`; those that are not known are left out.
fn rows(stats: &[(String, String)]) -> BTreeMap<u16, Row> {
    let mut rows: BTreeMap<u16, Row> = BTreeMap::new();
    for (name, value) in stats {
        let Some(name) = name.strip_prefix("vb_") else { continue };
        let (vb, field) = name.split_once(':').unwrap_or((name, ""));
        let Ok(vb) = vb.parse() else { continue };
        let row = rows.entry(vb).or_default();
        match field {
            "" => row.state.clone_from(value),
            "num_items" => row.items = value.parse().ok(),
            "high_seqno" => row.high_seqno = value.parse().ok(),
            "purge_seqno" => row.purge_seqno = value.parse().ok(),
            "uuid" => row.uuid = value.parse().ok(),
            _ => {}
        }
    }
    rows
}

pub(super) async fn show(node: &mut Node, set: Option<&VbSet>) -> Result<Answer, Failure> {
    let mut rows = rows(&node.client.stats("vbucket-details").await?);
    let wanted = |vb: &u16| set.is_none_or(|set| set.as_set().contains(&VbId(*vb)));
    rows.retain(|vb, _| wanted(vb));
    let absent = set.map(|set| set.iter().filter(|vb| !rows.contains_key(&vb.0)).collect());
    let absent: VbSet = absent.unwrap_or_default();
    let (address, bucket) = (&node.address, &node.bucket);
    let list = rows.iter().map(|(vb, row)| {
        json!({
            "vbucket": vb, "state": row.state, "items": row.items, "high_seqno": row.high_seqno,
            "purge_seqno": row.purge_seqno, "uuid": row.uuid.map(|uuid| uuid.to_string()),
        })
    });
    let json = json!({
        "node": address, "bucket": bucket, "vbuckets": list.collect::<Vec<_>>(),
        "absent": absent,
    });
    let mut text = format!("node {address}, bucket {bucket}: {}\n", summary(&rows));
    if !rows.is_empty() {
        text += &format!("\n{}", table(&rows));
    }
    if !absent.is_empty() {
        text += &format!("\nnot there: {absent}\n");
    }
    Ok(Answer::text(text.trim_end(), json))
}

/// How many there are in each state.
fn summary(rows: &BTreeMap<u16, Row>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.values() {
        *counts.entry(&row.state).or_default() += 1;
    }
    let things = if rows.len() == 1 { "vBucket" } else { "vBuckets" };
    let counts: Vec<_> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let items: u64 = rows.values().filter_map(|row| row.items).sum();
    if counts.is_empty() {
        return format!("0 {things}");
    }
    format!("{} {things}, {}, {items} documents", rows.len(), counts.join(", "))
}

fn table(rows: &BTreeMap<u16, Row>) -> String {
    let mut table = Table::new(["VB", "STATE", "ITEMS", "HIGH SEQNO", "PURGE SEQNO", "UUID"]);
    for (vb, row) in rows {
        table.push([
            Cell::from(u64::from(*vb)),
            Cell::from(row.state.as_str()),
            Cell::known(row.items),
            Cell::known(row.high_seqno),
            Cell::known(row.purge_seqno),
            Cell::known(row.uuid),
        ]);
    }
    table.text(None)
}

/// What was refused: status, text, vBuckets.
type Refused = BTreeMap<(u16, Vec<u8>), VbSet>;

/// Sets the state of vBuckets, and their topology if one is given.
pub(super) async fn set_state(
    node: &mut Node,
    set: &VbSet,
    state: VbState,
    topology: &[String],
) -> Result<Answer, Failure> {
    let vbs: Vec<VbId> = set.iter().collect();
    let (mut left, mut refused) = (vbs.iter(), Refused::new());
    let extras = [state as u8];
    let topology = match topology {
        [] => String::new(),
        names => json!({ "topology": [names] }).to_string(),
    };
    let next = |opaque: Opaque, out: &mut BytesMut| {
        let Some(&vb) = left.next() else { return false };
        let request = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(vb).opaque(opaque);
        request.extras(&extras).value(topology.as_bytes()).write(out);
        true
    };
    let each = |number: u64, answer: &Frame<'_>| {
        let status = answer.header.status();
        let vb = usize::try_from(number).ok().and_then(|number| vbs.get(number));
        if let Some(&vb) = vb.filter(|_| !status.is_success()) {
            refused.entry((status.0, answer.value.to_vec())).or_default().insert(vb);
        }
    };
    node.client.pipeline(WINDOW, next, each).await?;
    Ok(told(node, set, state, &refused))
}

fn told(node: &Node, set: &VbSet, state: VbState, refused: &Refused) -> Answer {
    let failed: VbSet = refused.values().flat_map(VbSet::iter).collect();
    let done: VbSet = set.iter().filter(|vb| !failed.as_set().contains(vb)).collect();
    let (address, bucket) = (&node.address, &node.bucket);
    let things = if done.len() == 1 { "vBucket is" } else { "vBuckets are" };
    let set_text = if done.is_empty() { String::new() } else { format!(": {done}") };
    let text =
        format!("node {address}, bucket {bucket}: {} {things} {state}{set_text}", done.len());
    let json = json!({
        "node": address, "bucket": bucket, "state": state.name(), "vbuckets": done,
        "failed": failed,
    });
    let mut answer = Answer::text(text, json);
    let first = refused.iter().min_by_key(|(_, vbs)| vbs.iter().next());
    answer.failure = first.and_then(|((status, context), vbs)| {
        let (vb, status) = (vbs.iter().next()?, Status(*status));
        let state = None;
        let refusal = Refusal { address, bucket, key: None, vb, status, context, state };
        let mut failure = refusal.failure();
        if failed.len() > 1 {
            failure.text += &format!(" (of {} that failed: {failed})", failed.len());
        }
        Some(failure)
    });
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(lines: &[(&str, &str)]) -> Vec<(String, String)> {
        lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn details_become_a_table() {
        let rows = rows(&stats(&[
            ("vb_7", "active"),
            ("vb_7:num_items", "3"),
            ("vb_7:high_seqno", "12"),
            ("vb_7:purge_seqno", "0"),
            ("vb_7:uuid", "18446744073709551615"),
            ("vb_7:anything", "else"),
            ("vb_1023", "replica"),
            ("vb_1023:num_items", "unknown"),
            ("vb_x", "active"),
            ("time", "1"),
        ]));
        insta::assert_snapshot!(format!("{}\n\n{}", summary(&rows), table(&rows)));
        assert_eq!(summary(&BTreeMap::new()), "0 vBuckets");
    }
}
