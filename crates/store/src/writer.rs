//! The one writer: numbers commits, syncs them, tells the state file, and stops for good after a
//! failed write.

use fjall::{OwnedWriteBatch, PersistMode};
use vbucket::StoreError;
use vbucket::engine::Durability;

use crate::errors::io;
use crate::sidefile::{State, StateFile};
use crate::tables::Tables;

pub(crate) struct Writer {
    tables: Tables,
    state_file: StateFile,
    /// Why writing stopped, if it has.
    poison: Option<String>,
    /// Number of the last commit.
    number: u64,
    /// Every commit up to this number is on the disk.
    synced: u64,
    closed: bool,
}

impl Writer {
    /// Goes on behind commit `number`, which is synced; notes that the store is in use.
    pub(crate) fn new(
        tables: Tables,
        mut state_file: StateFile,
        number: u64,
    ) -> Result<Self, StoreError> {
        state_file.write_synced(State { clean: false, synced: number })?;
        Ok(Self { tables, state_file, poison: None, number, synced: number, closed: false })
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
        batch: OwnedWriteBatch,
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
        let committed = self.tables.commit(batch, number, self.synced, mode);
        committed.map_err(|error| self.stop(&error))?;
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
        Ok(())
    }

    /// Syncs everything and notes that the store was closed.
    pub(crate) fn close(&mut self) -> Result<(), StoreError> {
        if self.closed {
            return Ok(());
        }
        self.check()?;
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
        log::error!("writing stopped until a restart, cause={cause:?}");
        self.poison = Some(cause.clone());
        StoreError::Poisoned(cause)
    }
}
