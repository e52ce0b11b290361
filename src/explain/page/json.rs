//! The story for programs. `docs/explain.md` describes it; keys are added, and none changes its
//! meaning.

use mcbp::VbState;
use serde_json::{Value, json};

use crate::explain::facts::{Answer, Dropped, Facts, Node, Sidecar, VbCopy, Wanted};
use crate::explain::history::{Parting, Request};
use crate::explain::rules;
use crate::explain::situation::{Situation, Story};

pub(in crate::explain) fn json(facts: &Facts, story: &Story) -> Value {
    let situation = |it: &Situation| {
        json!({
            "kind": it.kind,
            "wrong": it.kind.is_wrong(),
            "what": it.what,
            "next": it.next,
        })
    };
    let situations = std::iter::once(&story.first).chain(&story.others);
    json!({
        "sentence": story.first.sentence(),
        "kind": story.first.kind,
        "healthy": story.is_healthy(),
        "bucket": facts.bucket,
        "vbucket": facts.vb,
        "wanted": match &facts.wanted {
            Wanted::From(_) => Some(true),
            Wanted::Nobody => Some(false),
            Wanted::Unknown => None,
        },
        "wanted_from": match &facts.wanted {
            Wanted::From(producer) => Some(producer),
            Wanted::Nobody | Wanted::Unknown => None,
        },
        "situations": situations.map(situation).collect::<Vec<_>>(),
        "unasked": story.unasked,
        "nodes": facts.nodes().map(|one| node(one, facts)).collect::<Vec<_>>(),
        "history": rules::parting(facts).map(|parting| history(&parting, facts.dropped.as_ref())),
        "sidecar": sidecar(&facts.sidecar),
    })
}

fn sidecar(sidecar: &Sidecar) -> Value {
    let (answer, why, body) = match sidecar {
        Sidecar::Says(told) => ("known", None, Some(&told.body)),
        Sidecar::NotRunning(why) => ("not-running", Some(why), None),
        Sidecar::Elsewhere(why) => ("elsewhere", Some(why), None),
        Sidecar::Unknown(why) => ("unknown", Some(why), None),
    };
    json!({ "answer": answer, "why": why, "vbucket": body })
}

fn node(node: &Node, facts: &Facts) -> Value {
    let (answer, why) = match &node.answer {
        Answer::Copy(_) => ("known", None),
        Answer::Missing => ("missing", None),
        Answer::WarmingUp => ("warming-up", None),
        Answer::Failed(why) => ("failed", Some(why)),
        Answer::NotAsked(why) => ("not-asked", Some(why)),
    };
    json!({
        "node": node.name,
        "side": if node.name == facts.our_name { "consumer" } else { "producer" },
        "address": node.address,
        "answer": answer,
        "why": why,
        "copy": node.copy().map(copy),
    })
}

fn copy(copy: &VbCopy) -> Value {
    let entry = |it: &mcbp::dcp::FailoverEntry| json!({ "uuid": it.uuid.0, "seqno": it.seqno.0 });
    let log: Vec<_> = copy.log.iter().map(entry).collect();
    let has_read = |group: &str| !copy.unread.iter().any(|(unread, _)| unread == group);
    let unread = copy.unread.iter().map(|(group, why)| json!({ "group": group, "why": why }));
    json!({
        "version": copy.version,
        "state": copy.state.map(VbState::name),
        "uuid": copy.uuid,
        // That of a vBucket is never empty.
        "failover_log": (!copy.log.is_empty()).then_some(log),
        "high_seqno": copy.high,
        "high_seqno_later": copy.later.as_ref().and_then(|later| later.high),
        "persisted_seqno": copy.persisted,
        "snapshot_start": copy.snapshot.map(|(start, _)| start),
        "snapshot_end": copy.snapshot.map(|(_, end)| end),
        "purge_seqno": copy.purge,
        "max_cas": copy.max_cas,
        "documents": copy.documents,
        "deletions": copy.deletions,
        "high_prepared_seqno": copy.high_prepared,
        "high_completed_seqno": copy.high_completed,
        "pending_writes": copy.pending_prepares,
        "topology": copy.topology,
        "streams": has_read("dcp").then_some(&copy.streams),
        "unread": unread.collect::<Vec<_>>(),
    })
}

fn history(parting: &Parting, dropped: Option<&Dropped>) -> Value {
    let is_accepted = parting.request == Request::Accepted;
    let to = parting.rollback();
    let (rows, lost, keys, unknown) = match dropped {
        Some(Dropped::Rows { count, more, lost, keys }) => {
            ((!more).then_some(*count), *lost, Some(keys), None)
        }
        Some(Dropped::Unknown(why)) => (None, None, None, Some(why)),
        None => (None, None, None, None),
    };
    json!({
        "common_seqno": parting.common,
        "common_branch": parting.has_common_branch,
        "request": if is_accepted { "accepted" } else { "rollback" },
        "rollback_to": to,
        "dropped_seqnos": to.map(|to| parting.ours.saturating_sub(to)),
        "dropped_rows": rows,
        "lost_rows": lost,
        "dropped_keys": keys,
        "dropped_unknown": unknown,
    })
}
