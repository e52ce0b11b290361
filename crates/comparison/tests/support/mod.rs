//! Two simulated nodes of one vBucket: A is written to, B gets its changes from A, in snapshots
//! that leave out what was replaced, a row at a time. Both purge deletions.

use std::collections::BTreeMap;

use comparison::{Change, Kind};
use mcbp::{Datatype, Seqno};
use proptest::prelude::*;

/// The newest change of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) seqno: u64,
    pub(crate) key: Vec<u8>,
    pub(crate) rev: u64,
    pub(crate) kind: Kind,
    pub(crate) value: Vec<u8>,
}

impl Row {
    pub(crate) fn change(&self) -> Change<'_> {
        Change {
            seqno: Seqno(self.seqno),
            collection: 0,
            key: &self.key,
            rev: self.rev,
            cas: self.seqno * 1000,
            datatype: Datatype::RAW,
            kind: self.kind,
            value: &self.value,
        }
    }

    fn is_deletion(&self) -> bool {
        !matches!(self.kind, Kind::Document { .. })
    }
}

/// One node. A clone is a snapshot.
#[derive(Clone, Default, Debug)]
pub(crate) struct Node {
    pub(crate) rows: BTreeMap<Vec<u8>, Row>,
    pub(crate) high: u64,
    pub(crate) purge: u64,
}

impl Node {
    fn put(&mut self, row: Row) {
        self.high = row.seqno;
        self.rows.insert(row.key.clone(), row);
    }

    /// Removes deletions up to this seqno.
    fn compact(&mut self, to: u64) {
        let gone = |row: &Row| row.is_deletion() && row.seqno <= to;
        self.purge = self.purge.max(
            self.rows.values().filter(|row| gone(row)).map(|row| row.seqno).max().unwrap_or(0),
        );
        self.rows.retain(|_, row| !gone(row));
    }

    /// The rows in the order of a stream.
    pub(crate) fn stream(&self) -> Vec<Row> {
        let mut rows: Vec<_> = self.rows.values().cloned().collect();
        rows.sort_by_key(|row| row.seqno);
        rows
    }
}

/// What happens to the nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Write(u8),
    Delete(u8),
    Expire(u8),
    /// B takes a snapshot of what it lacks.
    Snapshot,
    /// B applies this many rows of its snapshot.
    Apply(u8),
    /// A node purges the deletions of this part of its history.
    CompactA(u8),
    CompactB(u8),
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..24_u8).prop_map(Event::Write),
        3 => (0..24_u8).prop_map(Event::Delete),
        1 => (0..24_u8).prop_map(Event::Expire),
        3 => Just(Event::Snapshot),
        5 => (1..12_u8).prop_map(Event::Apply),
        1 => any::<u8>().prop_map(Event::CompactA),
        1 => any::<u8>().prop_map(Event::CompactB),
    ]
}

/// Both nodes, and what is on its way.
#[derive(Default, Debug)]
pub(crate) struct World {
    pub(crate) a: Node,
    pub(crate) b: Node,
    pending: Vec<Row>,
    pending_end: u64,
}

impl World {
    pub(crate) fn happen(&mut self, event: Event) {
        let document = Kind::Document { flags: 1, expiry: 0 };
        let key = |n: u8| format!("key-{n}").into_bytes();
        match event {
            Event::Write(n) => self.write(key(n), document),
            Event::Delete(n) => self.write(key(n), Kind::Deleted { at: Some(9) }),
            Event::Expire(n) => self.write(key(n), Kind::Expired { at: 9 }),
            Event::Snapshot => self.snapshot(),
            Event::Apply(rows) => self.apply(usize::from(rows)),
            // A consumer that lacks what was purged would be rolled back.
            Event::CompactA(part) => {
                let complete = if self.pending.is_empty() { self.b.high } else { 0 };
                self.a.compact(complete * u64::from(part) / 255);
            }
            Event::CompactB(part) => self.b.compact(self.b.high * u64::from(part) / 255),
        }
    }

    pub(crate) fn write(&mut self, key: Vec<u8>, kind: Kind) {
        let seqno = self.a.high + 1;
        let rev = self.a.rows.get(&key).map_or(1, |row| row.rev + 1);
        let value = if matches!(kind, Kind::Document { .. }) {
            format!("value {seqno}").into_bytes()
        } else {
            Vec::new()
        };
        self.a.put(Row { seqno, key, rev, kind, value });
    }

    fn snapshot(&mut self) {
        if self.pending.is_empty() {
            self.pending = self.a.stream();
            self.pending.retain(|row| row.seqno > self.b.high);
            self.pending_end = self.a.high;
        }
    }

    fn apply(&mut self, rows: usize) {
        for row in self.pending.drain(..rows.min(self.pending.len())) {
            self.b.put(row);
        }
        if self.pending.is_empty() {
            self.b.high = self.b.high.max(self.pending_end);
        }
    }

    /// B gets everything.
    pub(crate) fn catch_up(&mut self) {
        while self.b.high < self.a.high {
            self.snapshot();
            self.apply(usize::MAX);
        }
    }

    /// B has at least this, and may be within a later snapshot.
    pub(crate) fn reach(&mut self, pin: u64) {
        while self.b.high < pin {
            self.snapshot();
            self.apply(1);
        }
    }
}
