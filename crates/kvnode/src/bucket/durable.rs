//! The durable writes of a vBucket: the machine that decides, and the clients that wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mcbp::Seqno;
use vbucket::Row;
use vbucket::durability::{Answer, Monitor};

use super::error::CommitError;
use super::pending_commit::PendingCommit;

/// See the module.
#[derive(Default)]
pub(super) struct DurableWrites {
    pub(super) monitor: Monitor,
    /// The clients that wait, by the seqno of their prepare.
    waiting: BTreeMap<Seqno, PendingCommit>,
    /// The bytes that are counted with those of the bucket.
    pub(super) counted_bytes: usize,
}

impl DurableWrites {
    /// With the prepares that are on disk.
    pub(super) fn restored(prepares: Vec<Row>) -> Self {
        Self { monitor: Monitor::restored(prepares), ..Self::default() }
    }

    /// A client's write is queued and waits.
    pub(super) fn prepare(&mut self, row: Arc<Row>, deadline: Duration, handle: PendingCommit) {
        self.waiting.insert(row.seqno, handle);
        self.monitor.prepare(row, Some(deadline));
    }

    /// The row of a commit is queued.
    pub(super) fn committing(&mut self, prepare: Seqno) {
        if let Some(answer) = self.monitor.committing(prepare) {
            self.answer(prepare, answer);
        }
    }

    /// The rows of completions are on disk.
    pub(super) fn completed(&mut self, prepares: &[Seqno]) {
        for &prepare in prepares {
            if let Some(answer) = self.monitor.completed(prepare) {
                self.answer(prepare, answer);
            }
        }
    }

    pub(super) fn answer(&mut self, prepare: Seqno, answer: Answer) {
        if let Some(handle) = self.waiting.remove(&prepare) {
            handle.complete(match answer {
                Answer::Committed => Ok(Vec::new()),
                Answer::Ambiguous => Err(CommitError::Ambiguous),
            });
        }
    }

    /// What was queued above `high` was dropped for this reason.
    pub(super) fn dropped(&mut self, high: Seqno, error: &CommitError) {
        for prepare in self.monitor.dropped(high) {
            if let Some(handle) = self.waiting.remove(&prepare) {
                handle.complete(Err(error.clone()));
            }
        }
    }

    /// Forgets the writes whose collection is gone.
    pub(super) fn discard(&mut self, is_gone: impl Fn(&Row) -> bool) {
        for prepare in self.monitor.discard(is_gone) {
            self.answer(prepare, Answer::Ambiguous);
        }
    }

    /// Has other prepares from now on: those that are on disk after a rollback.
    pub(super) fn replace(&mut self, prepares: Vec<Row>) {
        self.give_up();
        self.monitor = Monitor::restored(prepares);
    }

    /// The node stops: nobody waits any more. What is prepared is committed after the next start.
    pub(super) fn leave(&mut self) {
        for handle in std::mem::take(&mut self.waiting).into_values() {
            handle.complete(Err(CommitError::Ambiguous));
        }
    }

    /// Nobody knows here what becomes of the writes: another copy may commit them.
    pub(super) fn give_up(&mut self) {
        for prepare in self.monitor.deactivate() {
            self.answer(prepare, Answer::Ambiguous);
        }
    }
}
