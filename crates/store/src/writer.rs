//! The one writer. It numbers commits, writes out-of-line values before the rows that name them
//! count, syncs, updates the state file, and stops for good after a failed write.

use logline::value;
use vbucket::store::Durability;
use vbucket::{Change, StoreError};

use crate::concurrent;
use crate::engine::{Due, FlushPolicy, Tables, WriteBatch, WriteError};
use crate::errors::io;
use crate::format::{CommitMark, Garbage, State, ValuePointer, value_file_key};
use crate::sidefile::StateFile;
use crate::steps::Steps;
use crate::values::Appender;

/// From so many bytes on, values are written by a thread of their own, during the commit.
const CONCURRENT_BYTES_MIN: u64 = 256 << 10;

/// The out-of-line values of a commit: where they are, and whether they are still to be written.
pub(crate) struct CommitValues<'a> {
    changes: &'a [Change],
    /// One for each change; `None` where its value is in the row.
    pub(crate) pointers: Vec<Option<ValuePointer>>,
    is_written: bool,
}

pub(crate) struct Writer {
    tables: Tables,
    flush_policy: FlushPolicy,
    state_file: StateFile,
    /// Where out-of-line values go.
    pub(crate) values: Appender,
    /// The newest value file that a commit has noted in `meta`.
    noted_file: u64,
    /// Why writing stopped, if it has.
    poison: Option<String>,
    /// Number of the last commit.
    number: u64,
    /// Every commit up to this number is on the disk.
    synced: u64,
    /// Where records on the disk are behind.
    pub(crate) steps: Steps,
    closed: bool,
}

impl Writer {
    /// A writer that continues after `last`, which is synced; notes that the store is in use.
    pub(crate) fn new(
        tables: Tables,
        flush_policy: FlushPolicy,
        state_file: StateFile,
        values: Appender,
        last: CommitMark,
        steps: Steps,
    ) -> Result<Self, StoreError> {
        let number = last.number;
        state_file.write_synced(State { clean: false, synced: number })?;
        Ok(Self {
            tables,
            flush_policy,
            state_file,
            values,
            noted_file: last.values.file,
            poison: None,
            number,
            synced: number,
            steps,
            closed: false,
        })
    }

    /// The number that the next commit gets; a generation is named by the commit that begins it.
    pub(crate) const fn next_number(&self) -> u64 {
        self.number + 1
    }

    /// An error where no commit can be made any more.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if let Some(cause) = &self.poison {
            return Err(StoreError::Poisoned(cause.clone()));
        }
        if self.closed {
            return Err(io("committing", "the store is closed"));
        }
        Ok(())
    }

    /// Commits rows that need no new out-of-line values, beyond those appended before. What they
    /// change of records in memory is the work of `publish`.
    pub(crate) fn commit(
        &mut self,
        rows: WriteBatch,
        durability: Durability,
        publish: impl FnOnce(),
    ) -> Result<(), StoreError> {
        let values = self.write_values(&[])?;
        self.commit_with(rows, &values, durability, publish)
    }

    /// Allocates space for the out-of-line values of `changes` and writes them. Where they are
    /// many, only reserves the disk space, and [`Writer::commit_with`] writes them. A full disk
    /// shows here, while nothing depends on the values.
    pub(crate) fn write_values<'a>(
        &mut self,
        changes: &'a [Change],
    ) -> Result<CommitValues<'a>, StoreError> {
        self.check()?;
        failpoint::reach("commit-begun");
        let values = &mut self.values;
        let written = values.allocate_all(changes).and_then(|pointers| {
            let bytes: u64 =
                pointers.iter().flatten().map(|pointer| u64::from(pointer.len())).sum();
            let is_written = bytes < CONCURRENT_BYTES_MIN;
            if is_written {
                values.write_all(changes, &pointers)?;
                values.flush()?;
            } else {
                values.reserve()?;
            }
            Ok(CommitValues { changes, pointers, is_written })
        });
        let written = written.map_err(|error| self.values.give_up(&error))?;
        failpoint::reach("commit-values-put");
        Ok(written)
    }

    /// Commits rows and the `values` that they name, all or nothing.
    ///
    /// Values and journal are written and synced at the same time. No snapshot has the commit
    /// before both are done. A crash in between leaves a commit without its values, which was not
    /// acknowledged: the next open undoes it.
    pub(crate) fn commit_with(
        &mut self,
        mut rows: WriteBatch,
        values: &CommitValues<'_>,
        durability: Durability,
        publish: impl FnOnce(),
    ) -> Result<(), StoreError> {
        let (number, synced) = (self.next_number(), self.synced);
        let end = self.values.allocated_end();
        if end.file != self.noted_file {
            // The first commit that uses a value file notes it: from then on the file must exist.
            let key = value_file_key(end.file);
            rows.insert(&self.tables.meta, key, Garbage(0).encode(&key));
        }
        let is_synced = durability == Durability::Synced;
        let sequence = self.tables.begin_commit();
        let mark = CommitMark { number, synced, sequence, values: end };
        let (appender, tables) = (&mut self.values, &self.tables);
        let (written, committed) = if values.is_written && !(is_synced && appender.is_unsynced()) {
            (Ok(()), tables.commit(rows, mark, durability))
        } else {
            concurrent::join(
                || finish_values(appender, values, is_synced),
                || tables.commit(rows, mark, durability),
            )
        };
        if committed.is_ok() {
            // Before a snapshot has the rows, and also where values fail below: the rows are there.
            publish();
        }
        self.tables.end_commit();
        committed.map_err(|error| self.stop(&error))?;
        written.map_err(|error| self.stop_values(&error))?;
        self.noted_file = end.file;
        failpoint::reach("commit-written");
        self.note_commit(number, is_synced);
        match self.flush_policy.due(&self.tables, is_synced) {
            Due::Nothing => {}
            due => self.seal_memtables(due)?,
        }
        self.values.close_full().map_err(|error| self.stop_values(&error))
    }

    /// Counts a commit, and writes the number of a synced one to the state file.
    fn note_commit(&mut self, number: u64, is_synced: bool) {
        self.number = number;
        if !is_synced {
            return;
        }
        self.synced = number;
        // The commit is safe without this note; only a later loss would go unnoticed.
        let noted = self.state_file.write(State { clean: false, synced: number });
        if let Err(error) = noted {
            log::warn!("could not note a synced commit, number={number} error={}", value(error));
        }
        failpoint::reach("commit-noted");
    }

    /// Seals memtables for the engine to flush, after syncing the values that their rows name.
    pub(crate) fn seal_memtables(&mut self, due: Due) -> Result<(), StoreError> {
        self.sync_values()?;
        let sealed = self.flush_policy.seal(&self.tables, due);
        sealed.map_err(|error| self.stop(&error))
    }

    /// Lets go of files that the engine has replaced and let go of.
    pub(crate) fn let_go(&mut self) {
        self.flush_policy.let_go(&self.tables);
    }

    /// Syncs the number of synced commits to the state file: none of them is undone after this.
    pub(crate) fn note_synced(&mut self) -> Result<(), StoreError> {
        self.state_file.write_synced(State { clean: false, synced: self.synced })
    }

    fn sync_values(&mut self) -> Result<(), StoreError> {
        self.values.sync().map_err(|error| self.stop_values(&error))
    }

    /// Syncs everything and notes that the store was closed.
    pub(crate) fn close(&mut self) -> Result<(), StoreError> {
        if self.closed {
            return Ok(());
        }
        self.check()?;
        self.sync_values()?;
        self.tables.sync().map_err(|error| self.stop(&error))?;
        failpoint::reach("close-synced");
        self.closed = true;
        self.synced = self.number;
        self.state_file.write_synced(State { clean: true, synced: self.synced })
    }

    fn stop(&mut self, error: &WriteError) -> StoreError {
        self.stop_for(error.to_string())
    }

    /// After a failed sync nobody knows what was lost, and a second sync would not tell.
    fn stop_values(&mut self, error: &std::io::Error) -> StoreError {
        self.stop_for(format!("large values could not be written or synced: {error}"))
    }

    fn stop_for(&mut self, cause: String) -> StoreError {
        log::error!("writing stopped until a restart, cause={}", value(format_args!("{cause:?}")));
        self.poison = Some(cause.clone());
        StoreError::Poisoned(cause)
    }
}

/// Writes the values of a commit that are not written yet, and syncs them where asked.
fn finish_values(
    appender: &mut Appender,
    values: &CommitValues<'_>,
    is_synced: bool,
) -> std::io::Result<()> {
    if !values.is_written {
        appender.write_all(values.changes, &values.pointers)?;
        appender.flush()?;
        failpoint::reach("commit-values-beside");
    }
    if is_synced { appender.sync() } else { Ok(()) }
}
