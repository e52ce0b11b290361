//! The initial state of a bucket's vBuckets is of its new folder only. Which one a folder began
//! with is recorded beside it, so that another one is refused instead of being ignored: the states
//! themselves change with takeovers, and do not tell.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::values::InitialState;

/// A bucket whose initial state is given on the command line or in the file.
pub(super) struct Given {
    pub(super) bucket: String,
    pub(super) state: InitialState,
}

/// Records the state where the folder of the bucket is new, `InitialState::Active` where none is
/// given. Must be called before the node starts.
///
/// # Errors
/// The folder began with another state, or the record cannot be read or written.
pub(super) fn check(data: &Path, bucket: &str, states: &[Given]) -> Result<(), String> {
    let given = states.iter().find(|given| given.bucket == bucket).map(|given| given.state);
    let (folder, record) = (data.join(bucket), record_of(data, bucket));
    let failed = |doing, error| format!("{doing} {}: {error}", record.display());
    if !folder.exists() {
        let state = given.unwrap_or(InitialState::Active);
        let made = fs::create_dir_all(data).and_then(|()| fs::write(&record, format!("{state}\n")));
        return made.map_err(|error| {
            let why = failed("cannot write", error);
            format!("{why}: give --data a folder that this user may write to, on a disk with room")
        });
    }
    let Some(state) = given else { return Ok(()) };
    let began = match fs::read_to_string(&record) {
        Ok(began) => began,
        // A folder of an earlier version.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("cannot read", error)),
    };
    let began = began.trim();
    if began == state.to_string() {
        return Ok(());
    }
    Err(format!(
        "state {state} of bucket {bucket:?} is for a new folder, and the data in {} began as \
         {began}: give --state {began}, or another folder, or change the vBuckets with kvnode \
         vbuckets --set-state",
        folder.display()
    ))
}

fn record_of(data: &Path, bucket: &str) -> PathBuf {
    data.join(format!("{bucket}.initial-state"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_the_state_that_it_began_with() {
        let data = tempfile::tempdir().unwrap();
        let given = |state| vec![Given { bucket: "default".to_owned(), state }];
        let check = |state| super::check(data.path(), "default", &given(state));
        super::check(data.path(), "default", &[]).unwrap();
        fs::create_dir(data.path().join("default")).unwrap();
        assert!(
            check(InitialState::Replica).unwrap_err().contains("began as active"),
            "by default"
        );
        super::check(data.path(), "default", &[]).unwrap();
        fs::remove_dir(data.path().join("default")).unwrap();
        check(InitialState::Replica).unwrap();
        fs::create_dir(data.path().join("default")).unwrap();
        check(InitialState::Replica).unwrap();
        let error = check(InitialState::Active).unwrap_err();
        let words = "state active of bucket \"default\" is for a new folder, and ";
        assert!(error.starts_with(words), "{error}");
        assert!(error.contains(" began as replica: give --state replica"), "{error}");
        fs::remove_file(record_of(data.path(), "default")).unwrap();
        check(InitialState::Active).unwrap();
    }
}
