//! The one writer: numbers commits, puts values before the rows that name them, syncs, tells the
//! state file, and stops for good after a failed write.

use fjall::{OwnedWriteBatch, PersistMode};
use vbucket::store::Durability;
use vbucket::{Change, StoreError};

use crate::backlog::{Backlog, Due};
use crate::beside;
use crate::errors::io;
use crate::format::{CommitMark, Garbage};
use crate::keys;
use crate::sidefile::{State, StateFile};
use crate::tables::Tables;
use crate::values::{Appender, Place};

/// From so many bytes of large values on they are worth a thread.
const BESIDE_BYTES_MIN: u64 = 256 << 10;

/// The large values of a commit: where they are, and whether they are still to be written.
struct Values {
    places: Vec<Option<Place>>,
    beside: bool,
}

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
        batch: OwnedWriteBatch,
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.commit_with(&[], durability, |_| Ok(batch))
    }

    /// Writes `changes` as the batch that `make` makes of the places of their large values, all of
    /// it or nothing.
    ///
    /// Many large values are written while the batch is made and committed, and both files are
    /// synced at the same time. Nobody sees the commit before both are done, and a crash that
    /// leaves it without its values leaves one that was not acknowledged: the next open undoes it.
    pub(crate) fn commit_with(
        &mut self,
        changes: &[Change],
        durability: Durability,
        make: impl FnOnce(&[Option<Place>]) -> Result<OwnedWriteBatch, StoreError>,
    ) -> Result<(), StoreError> {
        self.check()?;
        let is_synced = durability == Durability::Synced;
        // The journal's length matters to no one: it is read up to its last intact batch.
        let mode = if is_synced { PersistMode::SyncData } else { PersistMode::Buffer };
        let number = self.next_number();
        failpoint::reach("commit-begun");
        let Values { places, beside } = self.put_values(changes)?;
        failpoint::reach("commit-values-put");
        let (synced, file, note) = (self.synced, self.values.placed().file, self.note_of_file());
        let (values, tables) = (&mut self.values, &self.tables);
        let mark = CommitMark { number, synced, sequence: tables.hide(), values: values.placed() };
        let (kept, committed) = beside::both(
            beside || is_synced && values.is_unsynced(),
            || {
                if beside {
                    values.write_all(changes, &places)?;
                    values.flush()?;
                    failpoint::reach("commit-values-beside");
                }
                if is_synced { values.sync() } else { Ok(()) }
            },
            || {
                let mut batch = make(&places)?;
                note.into_iter().for_each(|(key, note)| batch.insert(&tables.meta, key, note));
                Ok(tables.commit(batch, mark, mode))
            },
        );
        tables.show();
        match committed {
            // Of what was placed nothing was named.
            Err(error) => {
                self.values.discard();
                return Err(error);
            }
            Ok(committed) => committed.map_err(|error| self.stop(&error))?,
        }
        kept.map_err(|error| self.stop_keeping(&error))?;
        self.noted_file = file;
        failpoint::reach("commit-written");
        self.note_commit(number, is_synced);
        match self.backlog.due(&self.tables) {
            Due::Nothing => {}
            due => self.close_tables(due)?,
        }
        self.values.close_full().map_err(|error| self.stop_keeping(&error))
    }

    /// Counts a commit, and tells the state file of a synced one.
    fn note_commit(&mut self, number: u64, is_synced: bool) {
        self.number = number;
        if !is_synced {
            return;
        }
        self.synced = number;
        // The commit is safe without this note; only a later loss would go unnoticed.
        let noted = self.state_file.write(State { clean: false, synced: number });
        if let Err(error) = noted {
            log::warn!("could not note a synced commit, number={number} error={error}");
        }
        failpoint::reach("commit-noted");
    }

    /// Gives the large values of `changes` their places, and writes them unless they are many. What
    /// does not fit on the disk is refused here, while nothing depends on it.
    fn put_values(&mut self, changes: &[Change]) -> Result<Values, StoreError> {
        let values = &mut self.values;
        let put = values.place_all(changes).and_then(|places| {
            let bytes: u64 = places.iter().flatten().map(|place| u64::from(place.len)).sum();
            let beside = bytes >= BESIDE_BYTES_MIN;
            if beside {
                values.reserve()?;
            } else {
                values.write_all(changes, &places)?;
                values.flush()?;
            }
            Ok(Values { places, beside })
        });
        put.map_err(|error| self.values.give_up(&error))
    }

    /// What the first commit that uses a file of values says of it: from then on it must be there.
    fn note_of_file(&self) -> Option<([u8; 9], Vec<u8>)> {
        let file = self.values.placed().file;
        let key = keys::file(file);
        (file != self.noted_file).then(|| (key, Garbage(0).encode(&key)))
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
        self.values.sync().map_err(|error| self.stop_keeping(&error))
    }

    /// What a failed sync has lost is not known, and a second one would not tell.
    fn stop_keeping(&mut self, error: &std::io::Error) -> StoreError {
        self.stop_for(format!("large values could not be written or synced: {error}"))
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
