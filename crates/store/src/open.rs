//! Opens a store. What the engine does not check is checked here, before the engine truncates
//! anything, and the number of the last commit is compared with what was synced.

use std::collections::{BTreeMap, HashMap};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use mcbp::VbId;
use vbucket::StoreError;

use crate::collections::{Collection, Gone};
use crate::core::Core;
use crate::engine::{self, FlushPolicy, Tables};
use crate::errors::{damaged, io};
use crate::format::{
    CommitMark, Garbage, Generation, MANIFEST, MetaKey, State, VbRecord, decode_steps, verified,
};
use crate::options::Options;
use crate::sidefile::{DirectoryLock, StateFile};
use crate::space::Space;
use crate::steps::{StepEntry, Steps};
use crate::values::{Appender, Values};
use crate::writer::Writer;

/// The folder of the engine.
const DATA: &str = "data";
/// The folder of the value files.
const VALUES: &str = "values";

/// The files of a store, open and checked.
pub(crate) struct OpenFiles {
    pub core: Core,
    /// Generations whose rows are still to be removed.
    pub ended: Vec<Generation>,
    /// Collections of which rows are still to be erased.
    pub gone: Vec<(Generation, Gone)>,
    pub was_clean: bool,
    pub lock: DirectoryLock,
}

/// Opens all files of the store in `dir`. An error about damage names the files, where they are
/// found.
pub(crate) fn open(dir: &Path, options: Options) -> Result<OpenFiles, StoreError> {
    let opened = files(dir, options);
    opened.map_err(|error| engine::name_damaged_files(error, &dir.join(DATA)))
}

fn files(dir: &Path, options: Options) -> Result<OpenFiles, StoreError> {
    // Documents are for the owner alone, whatever the umask is.
    let created = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    created.map_err(|e| io("creating the store's directory", format!("{dir:?}: {e}")))?;
    let lock = DirectoryLock::take(dir)?;
    let data = dir.join(DATA);
    let (state_file, state) = StateFile::open(dir, engine::exists(&data))?;
    failpoint::reach("open-state-read");
    let values = Arc::new(Values::open(&dir.join(VALUES))?);
    let (tables, last) = checked(&data, &options, &state_file, state, &values)?;
    let Meta { records, steps, ended, gone, value_files, manifest, .. } = Meta::load(&tables)?;
    values.keep_only(&value_files)?;
    let flush_policy = FlushPolicy::new(&tables, &data, options.memtable_bytes);
    let appender = Appender::new(Arc::clone(&values), options.value_file_bytes, last.values);
    let writer = Writer::new(tables.clone(), flush_policy, state_file, appender, last, steps)?;
    failpoint::reach("open-state-noted");
    let core = Core {
        tables,
        space: Space::new(dir, options.disk_reserve_bytes),
        values,
        options,
        writer: Mutex::new(writer),
        records: RwLock::new(records),
        manifest: Mutex::new(manifest),
        erasures: Default::default(),
        restores: 0.into(),
    };
    core.erasures.begin(&gone);
    Ok(OpenFiles { core, ended, gone, was_clean: state.clean, lock })
}

/// Opens the tables, and returns the mark of the last commit.
fn checked(
    data: &Path,
    options: &Options,
    state_file: &StateFile,
    state: State,
    values: &Values,
) -> Result<(Tables, CommitMark), StoreError> {
    let flawed = |flaw: String| damaged(data.display().to_string(), flaw);
    if !engine::exists(data) {
        if state.synced > 0 {
            return Err(flawed("it is missing or incomplete, but commits were synced".to_owned()));
        }
        engine::remove_unfinished(data)?;
    }
    let has_values = |from, to| values.has_values(from, to);
    let journals = engine::inspect_journals(data, state.synced, &has_values)?;
    if journals.synced > state.synced {
        // The engine may delete the journal that says so.
        state_file.write_synced(State { clean: false, synced: journals.synced })?;
    }
    engine::inspect_manifests(data)?;
    if !state.clean {
        values.sync_newest()?;
    }
    let fresh = state.synced == 0 && journals.last.is_none();
    failpoint::reach("open-inspected");
    let tables = Tables::open(data, options, fresh)?;
    failpoint::reach("open-tables");
    let last = tables.last_commit()?;
    let known = journals.last.map_or(journals.synced, |last| last.max(journals.synced));
    if last.number < known {
        let number = last.number;
        return Err(flawed(format!("the last commit is {number}, but there were {known}")));
    }
    Ok((tables, last))
}

/// What the table `meta` holds.
#[derive(Default)]
struct Meta {
    records: HashMap<VbId, Arc<VbRecord>>,
    steps: Steps,
    ended: Vec<Generation>,
    gone: Vec<(Generation, Gone)>,
    /// Named collections of any generation.
    named: HashMap<Generation, BTreeMap<u32, Collection>>,
    manifest: Option<Vec<u8>>,
    /// The value files that commits have used, and the garbage in each. Any other file was left by
    /// a crash.
    value_files: HashMap<u64, u64>,
}

impl Meta {
    fn load(tables: &Tables) -> Result<Self, StoreError> {
        let what = || "the table \"meta\"".to_owned();
        let (mut meta, mut records, mut steps) = (Self::default(), HashMap::new(), Vec::new());
        for entry in tables.meta.iter() {
            let (key, bytes) = entry.map_err(|e| e.of(what))?;
            let unknown = || damaged(what(), format!("it has the unknown key {key:?}"));
            match MetaKey::decode(&key).ok_or_else(unknown)? {
                MetaKey::CommitMark => {}
                MetaKey::Record(vb) => {
                    let record = VbRecord::decode(vb, &bytes);
                    let flawed = |flaw| damaged(format!("the record of {vb}"), flaw);
                    records.insert(vb, record.map_err(flawed)?);
                }
                MetaKey::Steps(slot) => {
                    let taken = decode_steps(&key, &bytes);
                    let flawed = |flaw| damaged(format!("the steps in slot {slot}"), flaw);
                    let (number, taken) = taken.map_err(flawed)?;
                    steps.push(StepEntry { slot, bytes: bytes.len(), number, taken });
                }
                MetaKey::Collection(generation, id) => {
                    let collection = Collection::decode(&key, &bytes);
                    let collection = collection.map_err(|flaw| damaged("a collection", flaw))?;
                    meta.named.entry(generation).or_default().insert(id, collection);
                }
                MetaKey::Gone(generation, id) => {
                    let gone = Gone::decode(&key, id, &bytes);
                    let gone = gone.map_err(|flaw| damaged("a dropped collection", flaw))?;
                    meta.gone.push((generation, gone));
                }
                MetaKey::Manifest => {
                    let text = verified(&bytes, MANIFEST);
                    let text = text.map_err(|flaw| damaged("the manifest", flaw))?;
                    meta.manifest = Some(text.to_vec());
                }
                MetaKey::Ended(generation) => meta.ended.push(generation),
                MetaKey::ValueFile(number) => {
                    let garbage = Garbage::decode(&key, &bytes);
                    let Garbage(bytes) =
                        garbage.map_err(|flaw| damaged("the list of value files", flaw))?;
                    meta.value_files.insert(number, bytes);
                }
            }
        }
        meta.steps = Steps::catch_up(steps, &mut records);
        for (vb, (mut record, _)) in records {
            if let Some(named) = meta.named.remove(&record.generation()) {
                record.collections.named = Arc::new(named);
            }
            meta.records.insert(vb, Arc::new(record));
        }
        Ok(meta)
    }
}
