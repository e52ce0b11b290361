//! Opening a store: everything is looked at that the engine does not look at, before it cuts
//! anything off, and the number of the last commit is compared with what was synced.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use mcbp::VbId;
use vbucket::StoreError;

use crate::backlog::Backlog;
use crate::errors::{damaged, io, reading};
use crate::format::{CommitMark, Garbage};
use crate::keys;
use crate::options::Options;
use crate::record::VbRecord;
use crate::sidefile::{DirectoryLock, State, StateFile};
use crate::space::Space;
use crate::store::{Core, decode_record};
use crate::tables::{self, Tables};
use crate::values::{Appender, Values};
use crate::writer::Writer;

/// The folder of the engine.
pub(crate) const DATA: &str = "data";
/// The folder of the values that lie apart.
const VALUES: &str = "values";

/// An open store.
pub(crate) struct Opened {
    pub core: Core,
    pub was_clean: bool,
    pub lock: DirectoryLock,
}

/// Opens all files of the store in `dir`.
pub(crate) fn files(dir: &Path, options: Options) -> Result<Opened, StoreError> {
    let created = std::fs::create_dir_all(dir);
    created.map_err(|e| io("creating the store's directory", format!("{dir:?}: {e}")))?;
    let lock = DirectoryLock::take(dir)?;
    let data = dir.join(DATA);
    let (mut state_file, state) = StateFile::open(dir, tables::exist(&data))?;
    failpoint::reach("open-state-read");
    let values = Arc::new(Values::open(&dir.join(VALUES))?);
    let (tables, last) = checked(&data, &options, &mut state_file, state, &values)?;
    let records = load_meta(&tables, &values)?;
    let backlog = Backlog::new(&tables, options.memtable_bytes);
    let appender = Appender::new(Arc::clone(&values), options.value_file_bytes, last.values);
    let writer = Writer::new(tables.clone(), backlog, state_file, appender, last)?;
    failpoint::reach("open-state-noted");
    let core = Core {
        tables,
        space: Space::new(dir, options.disk_reserve_bytes),
        values,
        options,
        writer: Mutex::new(writer),
        records: RwLock::new(records),
        restores: 0.into(),
    };
    Ok(Opened { core, was_clean: state.clean, lock })
}

/// Opens the tables, and gives the mark of the last commit.
fn checked(
    data: &Path,
    options: &Options,
    state_file: &mut StateFile,
    state: State,
    values: &Values,
) -> Result<(Tables, CommitMark), StoreError> {
    let flawed = |flaw: String| damaged(data.display().to_string(), flaw);
    if !tables::exist(data) {
        if state.synced > 0 {
            return Err(flawed("it is gone or not whole, but commits were synced".to_owned()));
        }
        tables::remove_unfinished(data)?;
    }
    let whole = |from, to| values.are_whole(from, to);
    let journals = crate::journal::inspect(data, state.synced, &whole)?;
    if journals.synced > state.synced {
        // The engine may cut the journal that says so.
        state_file.write_synced(State { clean: false, synced: journals.synced })?;
    }
    crate::manifest::inspect(data)?;
    if !state.clean {
        values.sync_newest()?;
    }
    let fresh = state.synced == 0 && journals.last.is_none();
    failpoint::reach("open-inspected");
    let tables = Tables::open(data, options, fresh)?;
    failpoint::reach("open-tables");
    let last = tables.last_commit()?;
    let known = journals.synced.max(journals.last.unwrap_or(0));
    if last.number < known {
        let number = last.number;
        return Err(flawed(format!("the last commit is {number}, but there were {known}")));
    }
    Ok((tables, last))
}

/// The vBuckets' records. Compares the files of values with those that commits have used, on the
/// way: one that no commit has used is what a crash left.
fn load_meta(tables: &Tables, values: &Values) -> Result<HashMap<VbId, Arc<VbRecord>>, StoreError> {
    let (mut records, mut used) = (HashMap::new(), HashMap::new());
    for guard in tables.meta.iter() {
        let (key, bytes) =
            guard.into_inner().map_err(|e| reading(|| "the vBuckets' records".to_owned(), &e))?;
        if let Some(vb) = keys::record_vb(&key) {
            records.insert(vb, Arc::new(decode_record(vb, &bytes)?));
        } else if let Some(number) = keys::file_number(&key) {
            let garbage = Garbage::decode(&key, &bytes);
            let Garbage(bytes) =
                garbage.map_err(|flaw| damaged("the list of files of values", flaw))?;
            used.insert(number, bytes);
        }
    }
    values.take_over(&used)?;
    Ok(records)
}
