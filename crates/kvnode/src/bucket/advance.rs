//! How the durable writes of a vBucket go on: what the machine decides is queued.
//!
//! A commit or abort is queued in the critical section in which it is decided, so that queue order
//! is the order of decisions. Nothing is decided while the vBucket is moving.

use std::sync::Arc;

use mcbp::{VbId, VbState};
use vbucket::durability::{Step, Topology};
use vbucket::{Replaces, Row};

use super::batch::{Answered, NewRow, Room};
use super::cell::{Inner, VbCell};
use super::error::VbError;
use super::shared::Shared;
use crate::clock::unix_now;

/// Decides what the vBucket can decide now, and queues it.
pub(super) fn advance(shared: &Shared, cell: &Arc<VbCell>, inner: &mut Inner) {
    if inner.durable.monitor.is_empty() || inner.moving || inner.removed {
        return;
    }
    let mut is_refused = false;
    for step in inner.durable.monitor.decide(shared.tracking.now()) {
        let (prepare, is_commit) = match step {
            Step::Answer(prepare, answer) => {
                inner.durable.answer(prepare, answer);
                continue;
            }
            Step::Commit(prepare) => (prepare, true),
            Step::Abort(prepare) => (prepare, false),
        };
        if !inner.collections.shows(prepare.document_key(), prepare.seqno) {
            // The end of its collection is queued, and takes it along. Replicas would refuse a row
            // of that collection after it.
            inner.durable.monitor.postpone(prepare.seqno);
            continue;
        }
        // They are completed in their order.
        is_refused = is_refused || queue(shared, cell, inner, &prepare, is_commit).is_err();
        if is_refused {
            inner.durable.monitor.postpone(prepare.seqno);
        } else if is_commit {
            // Readers of the document wait for the queued row.
            inner.durable.committing(prepare.seqno);
        }
    }
}

/// Looks at the prepares of a vBucket after they have changed.
pub(super) fn note(shared: &Shared, vb: VbId, inner: &mut Inner) {
    let bytes = inner.durable.monitor.bytes();
    let before = std::mem::replace(&mut inner.durable.counted_bytes, bytes);
    shared.tracking.count(before, bytes);
    let is_active = inner.meta.state == VbState::Active && !inner.removed;
    if is_active && !inner.durable.monitor.is_empty() {
        shared.tracking.add(vb);
    }
}

/// Follows the state and topology that are on disk now.
pub(super) fn follow_state(shared: &Shared, vb: VbId, inner: &mut Inner) {
    if inner.meta.state == VbState::Active {
        // What is no topology was refused before, or is of another version: nothing durable.
        let topology = Topology::parse(&inner.meta.topology).ok();
        inner.durable.monitor.activate(topology, inner.meta.high_seqno);
    } else {
        inner.durable.give_up();
    }
    note(shared, vb, inner);
}

/// Queues the row of a commit or of an abort. Its number is bounded by that of the prepares, so it
/// needs no room.
fn queue(
    shared: &Shared,
    cell: &Arc<VbCell>,
    inner: &mut Inner,
    prepare: &Arc<Row>,
    is_commit: bool,
) -> Result<(), VbError> {
    let exhausted = || VbError::Exhausted { vb: cell.id(), counter: "seqno" };
    let seqno = inner.tail.seqno.successor().ok_or_else(exhausted)?;
    let document = prepare.document_key();
    let committed = prepare.committed_at(seqno).filter(|_| is_commit);
    let completes = committed.is_some().then(|| Arc::clone(prepare));
    let aborted = || Row::aborted(document, prepare.seqno, seqno, unix_now());
    let row = Arc::new(committed.unwrap_or_else(aborted));
    // An abort is told once it is stored.
    let answered = if completes.is_some() { Answered::Decided } else { Answered::Stored };
    let new = NewRow { row, replaces: Replaces::Unknown, completes, answered };
    shared.queue.push_row(cell, inner, new, Room::NONE)?;
    Ok(())
}
