//! The memory log of one vBucket: its newest committed rows in seqno order, for streams.
//!
//! Pure. It may hold several rows of one key. What it no longer holds is read from disk.

use std::collections::VecDeque;
use std::sync::Arc;

use mcbp::Seqno;
use vbucket::Row;
use vbucket::producer::LogRead;

/// See the module.
#[derive(Debug)]
pub(super) struct MemoryLog {
    /// Every row above this seqno is here.
    floor: Seqno,
    rows: VecDeque<Arc<Row>>,
}

impl MemoryLog {
    /// A log without rows, for a vBucket that is at `floor`.
    pub(super) const fn starting_at(floor: Seqno) -> Self {
        Self { floor, rows: VecDeque::new() }
    }

    /// Appends a row that was committed.
    pub(super) fn push(&mut self, row: Arc<Row>) {
        self.rows.push_back(row);
    }

    /// Evicts the rows up to `seqno`.
    pub(super) fn trim(&mut self, seqno: Seqno) {
        // The oldest few: a search would touch rows that have left the processor's cache.
        while let Some(row) = self.rows.front()
            && row.seqno <= seqno
        {
            self.floor = row.seqno;
            self.rows.pop_front();
        }
    }

    /// Returns the rows after `after`, up to `bytes_max` but at least one.
    pub(super) fn read(&self, after: Seqno, bytes_max: usize) -> LogRead {
        if after < self.floor {
            return LogRead::Evicted;
        }
        let from = self.rows.partition_point(|row| row.seqno <= after);
        let mut bytes = 0;
        let fits = |row: &&Arc<Row>| {
            let first = bytes == 0;
            bytes += row.memory_bytes();
            first || bytes <= bytes_max
        };
        let rows: Vec<_> = self.rows.range(from..).take_while(fits).cloned().collect();
        if rows.is_empty() { LogRead::UpToDate } else { LogRead::Rows(rows) }
    }
}
