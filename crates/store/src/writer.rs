//! The one writer: numbers commits, puts values before the rows that name them, syncs, tells the
//! state file, and stops for good after a failed write.

use fjall::{OwnedWriteBatch, PersistMode};
use vbucket::StoreError;
use vbucket::engine::Durability;

use crate::backlog::{Backlog, Due};
use crate::beside;
use crate::errors::io;
use crate::format::{CommitMark, Garbage};
use crate::keys;
use crate::sidefile::{State, StateFile};
use crate::tables::Tables;
use crate::values::Appender;

pub(crate) struct Writer {
    tables: Tables,
    backlog: Backlog,
    state_file: StateFile,
    /// Where a batch puts its large values before it is committed.
    pub(crate) values: Appender,
    /// The last file of values that commits have told of.
    noted_file: u64,
    /// Why writing stopped, if it has.
    poison: Option<String>,
    /// Number of the last commit.
    number: u64,
    /// Every commit up to this number is on the disk.
    synced: u64,
    closed: bool,
}

impl Writer {
    /// Goes on behind `last`, which is synced; notes that the store is in use.
    pub(crate) fn new(
        tables: Tables,
        backlog: Backlog,
        mut state_file: StateFile,
        values: Appender,
        last: CommitMark,
    ) -> Result<Self, StoreError> {
        let (number, noted_file) = (last.number, last.values.file);
        state_file.write_synced(State { clean: false, synced: number })?;
        let (poison, synced, closed) = (None, number, false);
        Ok(Self { tables, backlog, state_file, values, noted_file, poison, number, synced, closed })
    }

    /// The number that the next commit gets, for those who begin a generation.
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

    /// Writes a batch, all of it or nothing.
    pub(crate) fn commit(
        &mut self,
        mut batch: OwnedWriteBatch,
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.check()?;
        let mode = match durability {
            // The journal's length matters to no one: it is read up to its last intact batch.
            Durability::Synced => PersistMode::SyncData,
            Durability::Buffered => PersistMode::Buffer,
        };
        let number = self.next_number();
        failpoint::reach("commit-begun");
        let values = self.values.flush()?;
        failpoint::reach("commit-values-written");
        if values.file != self.noted_file {
            // From this commit on the file must be there.
            let key = keys::file(values.file);
            batch.insert(&self.tables.meta, key, Garbage(0).encode(&key));
            self.noted_file = values.file;
        }
        let mark = CommitMark { number, synced: self.synced, sequence: 0, values };
        // Two files, synced at the same time. A crash that leaves the commit without its values
        // leaves one that was not acknowledged, and the next open cuts it off.
        let is_synced = durability == Durability::Synced;
        let (values, tables) = (&mut self.values, &self.tables);
        let (synced, committed) = beside::both(
            is_synced && values.is_unsynced(),
            || if is_synced { values.sync() } else { Ok(()) },
            || tables.commit(batch, mark, mode),
        );
        committed.map_err(|error| self.stop(&error))?;
        synced.map_err(|error| self.stop_syncing(&error))?;
        failpoint::reach("commit-written");
        self.number = number;
        if durability == Durability::Synced {
            self.synced = self.number;
            // The commit is safe without this note; only a later loss would go unnoticed.
            let noted = self.state_file.write(State { clean: false, synced: self.synced });
            if let Err(error) = noted {
                log::warn!("could not note a synced commit, number={} error={error}", self.number);
            }
            failpoint::reach("commit-noted");
        }
        match self.backlog.due(&self.tables) {
            Due::Nothing => {}
            due => self.close_tables(due)?,
        }
        self.values.close_full().map_err(|error| self.stop_syncing(&error))
    }

    /// Hands what tables hold in memory to the engine's worker.
    pub(crate) fn close_tables(&mut self, due: Due) -> Result<(), StoreError> {
        self.sync_values()?;
        let closed = self.backlog.close(&self.tables, due);
        closed.map_err(|error| self.stop(&error))
    }

    /// Has the state file say on the disk what is synced: what follows is not to be undone.
    pub(crate) fn note_synced(&mut self) -> Result<(), StoreError> {
        self.state_file.write_synced(State { clean: false, synced: self.synced })
    }

    fn sync_values(&mut self) -> Result<(), StoreError> {
        self.values.sync().map_err(|error| self.stop_syncing(&error))
    }

    /// What a failed sync has lost is not known, and a second one would not tell.
    fn stop_syncing(&mut self, error: &std::io::Error) -> StoreError {
        self.stop_for(format!("large values could not be synced: {error}"))
    }

    /// Syncs everything and notes that the store was closed.
    pub(crate) fn close(&mut self) -> Result<(), StoreError> {
        if self.closed {
            return Ok(());
        }
        self.check()?;
        self.sync_values()?;
        self.tables.db.persist(PersistMode::SyncAll).map_err(|error| self.stop(&error))?;
        failpoint::reach("close-synced");
        self.closed = true;
        self.synced = self.number;
        self.state_file.write_synced(State { clean: true, synced: self.synced })
    }

    /// The engine takes no write after a failed one, whatever the cause was.
    fn stop(&mut self, error: &fjall::Error) -> StoreError {
        let cause = match error {
            fjall::Error::Poisoned => "a flush or a compaction failed".to_owned(),
            error => error.to_string(),
        };
        self.stop_for(cause)
    }

    fn stop_for(&mut self, cause: String) -> StoreError {
        log::error!("writing stopped until a restart, cause={cause:?}");
        self.poison = Some(cause.clone());
        StoreError::Poisoned(cause)
    }
}
