//! The durable writes that are prepared on one copy of a vBucket and not completed: on the active
//! copy it decides, on others it only knows them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcbp::Seqno;
use mcbp::framing::Level;

use super::topology::Topology;
use crate::{Kind, Row};

/// So many nodes may acknowledge that no topology names: one may come that does.
const NODES_MAX: usize = 16;

/// How far the prepare is on this node's disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Local {
    /// Its batch is not written yet.
    Queued,
    /// It survives a killed process.
    Stored,
    /// It survives a power cut.
    Synced,
}

/// One write that is prepared.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Prepared {
    row: Arc<Row>,
    level: Level,
    local: Local,
    /// When the write is given up, on the clock of [`Monitor::decide`]. A write that was prepared
    /// under another active copy, or before a restart, is never given up: its client may have been
    /// told that it is durable. Nor is one whose commit was decided.
    deadline: Option<Duration>,
    /// The client waits for the answer.
    waits: bool,
    /// The row of its commit or abort is queued, or that of a prepare that replaces it.
    completing: bool,
    /// The earlier prepare of the document that this one replaces: a stream from a disk leaves out
    /// an abort that was followed by another prepare.
    replaces: Option<Seqno>,
}

/// What became of a client's write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// It is committed.
    Committed,
    /// It was given up, or it is not known here what becomes of it.
    Ambiguous,
}

/// What is to be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Queue the row of the commit of this prepare.
    Commit(Arc<Row>),
    /// Queue the row of its abort.
    Abort(Arc<Row>),
    /// Answer the client whose write was prepared at this seqno.
    Answer(Seqno, Answer),
}

/// Why a key takes no other write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocked {
    /// A client's durable write waits for replicas. Readers get what was before it.
    InProgress,
    /// A write of another active copy, from before a restart, or whose commit could not be stored,
    /// is being committed again. Readers wait: it may have been seen as committed.
    Recommit,
}

/// See the module.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Monitor {
    /// The copy is active.
    active: bool,
    /// On the active copy, if it was told.
    topology: Option<Topology>,
    prepared: BTreeMap<Seqno, Prepared>,
    /// The writes that block their keys: those that are not being completed.
    blocked: BTreeMap<Bytes, Seqno>,
    /// What each node has acknowledged: every prepare up to this seqno.
    acknowledged: BTreeMap<String, Seqno>,
    bytes: usize,
}

impl Monitor {
    /// The writes that were found on the disk of a copy that is not active yet. All are synced.
    #[must_use]
    pub fn restored(rows: Vec<Row>) -> Self {
        let mut monitor = Self::default();
        for row in rows {
            monitor.track(Arc::new(row), Local::Synced, None);
        }
        monitor
    }

    /// Whether nothing is prepared here.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.prepared.is_empty()
    }

    /// How many writes are prepared.
    #[must_use]
    pub fn len(&self) -> usize {
        self.prepared.len()
    }

    /// The memory of the prepares, in bytes, roughly.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The prepare of a document that is not being completed.
    #[must_use]
    pub fn prepared(&self, document: &[u8]) -> Option<&Arc<Row>> {
        let prepared = self.prepared.get(self.blocked.get(document)?)?;
        Some(&prepared.row)
    }

    /// The prepares, in their order.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.prepared.values().map(|prepared| &prepared.row)
    }

    /// The topology, of an active copy that was told one.
    #[must_use]
    pub const fn topology(&self) -> Option<&Topology> {
        self.topology.as_ref()
    }

    /// What a node has acknowledged; 0 for nothing.
    #[must_use]
    pub fn acknowledged(&self, node: &str) -> Seqno {
        self.acknowledged.get(node).copied().unwrap_or(Seqno::ZERO)
    }

    /// Whether a durable write can be committed with the nodes that are there.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.topology.as_ref().is_some_and(Topology::is_possible)
    }

    /// Why the document takes no other write.
    #[must_use]
    #[inline]
    pub fn blocked(&self, document: &[u8]) -> Option<Blocked> {
        if self.blocked.is_empty() {
            return None;
        }
        let prepared = self.prepared.get(self.blocked.get(document)?)?;
        Some(if prepared.deadline.is_some() { Blocked::InProgress } else { Blocked::Recommit })
    }

    /// A prepare is queued. Of a client's write `deadline` says when it is given up; one from a
    /// producer has none.
    pub fn prepare(&mut self, row: Arc<Row>, deadline: Option<Duration>) {
        self.track(row, Local::Queued, deadline);
    }

    fn track(&mut self, row: Arc<Row>, local: Local, deadline: Option<Duration>) {
        let Kind::Prepared { level, .. } = row.kind else { return };
        self.bytes += row.memory_bytes();
        let (seqno, waits, completing) = (row.seqno, deadline.is_some(), false);
        let replaces = self.blocked.insert(row.document(), seqno);
        if let Some(replaced) = replaces.and_then(|seqno| self.prepared.get_mut(&seqno)) {
            replaced.completing = true;
        }
        let prepared = Prepared { row, level, local, deadline, waits, completing, replaces };
        self.prepared.insert(seqno, prepared);
    }

    /// The producer has completed the write of a document. Returns the prepare, whose row goes
    /// with that of the completion; `None` where there is none.
    pub fn complete(&mut self, document: &[u8]) -> Option<Arc<Row>> {
        if self.blocked.is_empty() {
            return None;
        }
        let seqno = self.blocked.remove(document)?;
        let prepared = self.prepared.get_mut(&seqno)?;
        prepared.completing = true;
        Some(Arc::clone(&prepared.row))
    }

    /// The row of a commit is queued. A majority has the prepare, so the write is not given up any
    /// more, also where that row cannot be stored. Returns the answer of the client that waits.
    pub fn committing(&mut self, prepare: Seqno) -> Option<Answer> {
        let prepared = self.prepared.get_mut(&prepare)?;
        prepared.deadline = None;
        std::mem::take(&mut prepared.waits).then_some(Answer::Committed)
    }

    /// The row of a commit or abort is on disk. Returns the answer of the client that waits still,
    /// which [`Monitor::committing`] has given for a commit.
    pub fn completed(&mut self, prepare: Seqno) -> Option<Answer> {
        let prepared = self.prepared.remove(&prepare)?;
        self.bytes -= prepared.row.memory_bytes();
        if let Some(replaced) = prepared.replaces {
            // Of a replica: no client waits for it.
            self.completed(replaced);
        }
        prepared.waits.then_some(Answer::Ambiguous)
    }

    /// Every prepare up to `seqno` is on disk; `synced` says whether that is synced. Those that
    /// they replace are not pending any more.
    pub fn stored(&mut self, seqno: Seqno, synced: bool) {
        let local = if synced { Local::Synced } else { Local::Stored };
        let mut replaced = Vec::new();
        for prepared in self.prepared.range_mut(..=seqno).rev().map(|(_, prepared)| prepared) {
            if prepared.local >= local {
                // Those before it are as far.
                break;
            }
            prepared.local = local;
            replaced.extend(prepared.replaces.take());
        }
        for seqno in replaced {
            // Of a replica: no client waits for it.
            self.completed(seqno);
        }
    }

    /// What was queued above `high` was dropped, because its batch failed. Returns the writes that
    /// are gone and whose clients wait.
    pub fn dropped(&mut self, high: Seqno) -> Vec<Seqno> {
        let gone = self.prepared.split_off(&high.next());
        self.blocked.clear();
        for (seqno, prepared) in &mut self.prepared {
            prepared.completing = false;
            self.blocked.insert(prepared.row.document(), *seqno);
        }
        self.bytes = self.rows().map(|row| row.memory_bytes()).sum();
        gone.into_iter().filter(|(_, it)| it.waits).map(|(seqno, _)| seqno).collect()
    }

    /// The row of a commit or abort could not be queued: it is decided again.
    pub fn postpone(&mut self, prepare: Seqno) {
        if let Some(prepared) = self.prepared.get_mut(&prepare) {
            prepared.completing = false;
            self.blocked.insert(prepared.row.document(), prepare);
        }
    }

    /// Forgets the writes whose collection is gone. Returns those whose clients wait.
    pub fn discard(&mut self, is_gone: impl Fn(&Row) -> bool) -> Vec<Seqno> {
        let gone: Vec<Seqno> =
            self.rows().filter(|row| is_gone(row)).map(|row| row.seqno).collect();
        let mut waiting = Vec::new();
        for seqno in gone {
            if let Some(prepared) = self.prepared.get(&seqno) {
                let document = prepared.row.document_key();
                if self.blocked.get(document) == Some(&seqno) {
                    self.blocked.remove(document);
                }
            }
            waiting.extend(self.completed(seqno).map(|_| seqno));
        }
        waiting
    }

    /// A replica has every prepare up to `seqno`, as their levels ask for.
    pub fn acknowledge(&mut self, node: &str, seqno: Seqno) {
        if let Some(known) = self.acknowledged.get_mut(node) {
            *known = seqno.max(*known);
        } else if self.acknowledged.len() < NODES_MAX || self.names(node) {
            self.acknowledged.insert(node.to_owned(), seqno);
        }
    }

    /// A replica begins a stream: it may have lost what it had, and acknowledges again.
    pub fn forget(&mut self, node: &str) {
        self.acknowledged.remove(node);
    }

    fn names(&self, node: &str) -> bool {
        let chains = self.topology.iter().flat_map(Topology::chains).flatten().flatten();
        chains.into_iter().any(|name| name == node)
    }

    /// The copy is active from now on, or has another topology. That was synced together with
    /// every prepare up to `high`; what was queued since then is still on its way to the disk.
    pub fn activate(&mut self, topology: Option<Topology>, high: Seqno) {
        if !std::mem::replace(&mut self.active, true) {
            self.acknowledged.clear();
            self.prepared.values_mut().for_each(|prepared| {
                prepared.deadline = None;
                prepared.waits = false;
            });
        }
        self.stored(high, true);
        self.topology = topology;
    }

    /// The copy is not active any more. Returns the writes whose clients wait: another copy may
    /// commit them.
    pub fn deactivate(&mut self) -> Vec<Seqno> {
        self.active = false;
        self.topology = None;
        self.acknowledged.clear();
        let waiting = self.prepared.iter_mut().filter(|(_, prepared)| prepared.waits);
        let waiting = waiting.map(|(seqno, prepared)| {
            prepared.waits = false;
            *seqno
        });
        waiting.collect()
    }

    /// Decides what the active copy can decide at `now`. Whatever is to be queued counts as queued.
    pub fn decide(&mut self, now: Duration) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.active || self.prepared.is_empty() {
            return steps;
        }
        let is_possible = self.is_possible();
        let (topology, acknowledged) = (&self.topology, &self.acknowledged);
        for (seqno, prepared) in &mut self.prepared {
            if prepared.completing {
                continue;
            }
            let is_satisfied = prepared.local >= Local::Stored
                && topology.as_ref().is_some_and(|topology| {
                    let has = |node: &str| acknowledged.get(node) >= Some(seqno);
                    topology.is_satisfied(prepared.level, prepared.local == Local::Synced, has)
                });
            let is_late = prepared.deadline.is_some_and(|at| at <= now || !is_possible);
            let row = Arc::clone(&prepared.row);
            steps.push(match (is_satisfied, is_late) {
                (true, _) => Step::Commit(row),
                (false, true) => Step::Abort(row),
                // What follows waits for it.
                (false, false) => break,
            });
            prepared.completing = true;
            self.blocked.remove(prepared.row.document_key());
        }
        // A client does not wait for the writes before its own.
        for (seqno, prepared) in &mut self.prepared {
            if prepared.waits
                && !prepared.completing
                && prepared.deadline.is_some_and(|at| at <= now)
            {
                prepared.waits = false;
                steps.push(Step::Answer(*seqno, Answer::Ambiguous));
            }
        }
        steps
    }

    /// The next deadline of a write that is not decided and whose client waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let undecided = self.prepared.values().filter(|it| it.waits && !it.completing);
        undecided.filter_map(|it| it.deadline).min()
    }
}
