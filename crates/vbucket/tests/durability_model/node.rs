//! One copy of the vBucket: its rows, and the machine that knows which durable writes are pending.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcbp::framing::Level;
use mcbp::{Datatype, Seqno};
use vbucket::durability::{Answer, Monitor};
use vbucket::row::prepared_key;
use vbucket::{Kind, Row};

/// A durable write of a client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Write {
    pub id: usize,
    pub document: &'static [u8],
    pub level: Level,
}

/// A step of a durable write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    Prepare,
    Commit,
    Abort,
    /// A row that this node never had: a later one of its key had replaced it on the leader's disk.
    Replaced,
}

/// One row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    pub stage: Stage,
    pub write: Write,
}

/// A node.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    /// Every row, in the order of the seqnos, from 1.
    pub log: Vec<Entry>,
    /// So many of them are on disk; the others are queued.
    pub stored: usize,
    /// The end of the last snapshot from a disk. It is stored with one batch.
    snapshot_end: usize,
    /// The prepares that queued rows complete, by the seqno of the row.
    completes: BTreeMap<usize, Seqno>,
    pub monitor: Monitor,
    pub is_down: bool,
}

pub fn seqno(rows: usize) -> Seqno {
    Seqno(rows as u64)
}

impl Node {
    pub fn has_queued(&self) -> bool {
        self.stored < self.log.len()
    }

    pub fn disk(&self) -> &[Entry] {
        &self.log[..self.stored]
    }

    /// The write of the row at a seqno.
    pub fn write_at(&self, seqno: Seqno) -> Write {
        self.log[usize::try_from(seqno.0).unwrap() - 1].write
    }

    fn queue(&mut self, stage: Stage, write: Write) {
        self.log.push(Entry { stage, write });
    }

    /// Queues the prepare of a write: of a client, or from the leader.
    pub fn prepare(&mut self, write: Write, deadline: Option<Duration>) {
        self.queue(Stage::Prepare, write);
        let row = prepare_row(write, seqno(self.log.len()));
        self.monitor.prepare(Arc::new(row), deadline);
    }

    /// The leader queues what it has decided.
    pub fn decided(&mut self, stage: Stage, row: &Row) {
        self.queue(stage, self.write_at(row.seqno));
        self.completes.insert(self.log.len(), row.seqno);
    }

    /// Queues the next row of the leader. The machine may not be told of a completion, by mistake.
    pub fn receive(&mut self, Entry { stage, write }: Entry, is_unheard: bool) {
        if stage == Stage::Prepare {
            return self.prepare(write, None);
        }
        self.queue(stage, write);
        if stage != Stage::Replaced
            && !is_unheard
            && let Some(prepare) = self.monitor.complete(write.document)
        {
            self.completes.insert(self.log.len(), prepare.seqno);
        }
    }

    /// Queues the rest of what is on the leader's disk.
    pub fn receive_snapshot(&mut self, disk: &[Entry]) {
        let has_seen = self.log.len();
        for (at, &entry) in disk.iter().enumerate().skip(has_seen) {
            let is_replaced = is_replaced(entry, &disk[at + 1..]);
            let stage = if is_replaced { Stage::Replaced } else { entry.stage };
            self.receive(Entry { stage, ..entry }, false);
        }
        self.snapshot_end = self.log.len();
    }

    /// The next queued row is stored, or the next snapshot. Returns the rows, each with the answer
    /// of the client that waits.
    pub fn store(&mut self) -> Vec<(Entry, Option<Answer>)> {
        let end = self.snapshot_end.max(self.stored + 1);
        (self.stored..end).map(|_| self.store_row()).collect()
    }

    fn store_row(&mut self) -> (Entry, Option<Answer>) {
        let entry = self.log[self.stored];
        self.stored += 1;
        if entry.stage == Stage::Prepare {
            self.monitor.stored(seqno(self.stored), entry.write.level != Level::Majority);
        }
        let prepare = self.completes.remove(&self.stored);
        (entry, prepare.and_then(|prepare| self.monitor.completed(prepare)))
    }

    /// What is queued is lost without the machine being told.
    pub fn truncate(&mut self) {
        self.log.truncate(self.stored);
        self.completes.clear();
        self.snapshot_end = 0;
    }

    /// A batch fails. Returns the writes that are gone and whose clients wait.
    pub fn fail_batch(&mut self) -> Vec<Write> {
        let gone = self.monitor.dropped(seqno(self.stored));
        let gone = gone.into_iter().map(|seqno| self.write_at(seqno)).collect();
        self.truncate();
        gone
    }

    /// Returns the writes whose clients wait.
    pub fn deactivate(&mut self) -> Vec<Write> {
        let waiting = self.monitor.deactivate();
        waiting.into_iter().map(|seqno| self.write_at(seqno)).collect()
    }

    /// The process starts again with what is on disk.
    pub fn restart(&mut self) {
        self.truncate();
        let rows = self.pending().into_iter().map(|(seqno, write)| prepare_row(write, seqno));
        self.monitor = Monitor::restored(rows.collect());
    }

    /// Rolls back to where the history parts from that of the leader, if it does. A snapshot is not
    /// cut between a row and the one that has replaced it.
    pub fn roll_back(&mut self, leader: &[Entry]) {
        let is_common = |&rows: &usize| {
            let pairs = self.log.iter().zip(leader).take(rows).enumerate();
            pairs.into_iter().all(|(at, (here, there))| match here.stage {
                Stage::Replaced => is_replaced(*there, &leader[at + 1..rows]),
                _ => here == there || there.stage == Stage::Replaced,
            })
        };
        let rows_max = self.log.len().min(leader.len());
        let common = (0..=rows_max).rev().find(is_common).unwrap_or(0);
        if common < self.log.len() {
            self.stored = common;
            self.restart();
        }
    }

    /// The seqno of the newest prepare on disk; 0 for none.
    pub fn high_prepared(&self) -> usize {
        let newest = self.disk().iter().rposition(|entry| entry.stage == Stage::Prepare);
        newest.map_or(0, |at| at + 1)
    }

    /// The prepares in the log after which no row of their keys is stored, with their seqnos.
    pub fn pending(&self) -> Vec<(Seqno, Write)> {
        let is_over = |at: usize, write: Write| {
            let mut later = self.disk().iter().skip(at + 1);
            later.any(|row| row.stage != Stage::Replaced && row.write.document == write.document)
        };
        let prepares = self.log.iter().enumerate().filter(|(_, row)| row.stage == Stage::Prepare);
        let pending = prepares.filter(|(at, row)| !is_over(*at, row.write));
        pending.map(|(at, row)| (seqno(at + 1), row.write)).collect()
    }

    pub fn has(&self, stage: Stage, write: Write) -> bool {
        self.log.contains(&Entry { stage, write })
    }

    /// Whether the write is committed, or was replaced by another of its key that is.
    pub fn has_committed(&self, write: Write) -> bool {
        let mut commits = self.log.iter().filter(|row| row.stage == Stage::Commit);
        commits.any(|row| row.write.document == write.document && row.write.id >= write.id)
    }

    pub fn has_stored(&self, stage: Stage, write: Write) -> bool {
        self.disk().contains(&Entry { stage, write })
    }
}

/// Whether a row has left the disk with one of the later rows. The prepare and the abort of a key
/// are one row, and the commit takes away the prepare.
pub fn is_replaced(entry: Entry, later: &[Entry]) -> bool {
    let later = later.iter().filter(|row| row.stage != Stage::Replaced);
    let mut later = later.filter(|row| row.write.document == entry.write.document);
    later.any(|row| {
        let is_commit = row.stage == Stage::Commit;
        entry.stage == Stage::Prepare || is_commit == (entry.stage == Stage::Commit)
    }) || entry.stage == Stage::Replaced
}

fn prepare_row(write: Write, seqno: Seqno) -> Row {
    let does = vbucket::Write::Document { flags: 0, expiry: 0 };
    Row {
        key: prepared_key(write.document),
        seqno,
        rev: 1,
        cas: 1,
        datatype: Datatype::RAW,
        kind: Kind::Prepared { level: write.level, write: does },
        prepared: Seqno::ZERO,
        value: Bytes::new(),
    }
}
