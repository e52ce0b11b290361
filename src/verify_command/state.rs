//! The file of `--state`: which vBuckets were compared, with their numbers.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use comparison::Class;
use mcbp::VbId;
use serde::{Deserialize, Serialize};

use crate::client::replace_file::{put, try_put};
use crate::verify::{VbVerified, Verified, Verify};

const VERSION: u32 = 1;

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    kept: Kept,
    /// Whether the file lacks something.
    pub(super) is_dirty: bool,
}

#[derive(Default, Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    routes: Vec<Route>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Route {
    bucket: String,
    a: String,
    b: String,
    vbuckets: BTreeMap<u16, Numbers>,
}

#[derive(Default, Debug, Serialize, Deserialize)]
struct Numbers {
    rows: u64,
    deletions: u64,
    differences: BTreeMap<String, u64>,
}

impl State {
    /// Reads the file; one that is not there has nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let wrong = |why: String| {
            format!(
                "{} is no file of --state: {why}: give another name, or remove it",
                path.display()
            )
        };
        let kept = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Kept { version: VERSION, routes: Vec::new() }
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        if kept.version != VERSION {
            return Err(wrong(format!("its version is {}, not {VERSION}", kept.version)));
        }
        let words = kept.routes.iter().flat_map(|route| route.vbuckets.values());
        let mut words = words.flat_map(|numbers| numbers.differences.keys());
        if let Some(word) = words.find(|word| Class::of(word).is_none()) {
            return Err(wrong(format!("{word:?} is no class of differences")));
        }
        let mut state = Self { path: path.to_owned(), kept, is_dirty: false };
        // Hours of comparing are not to be lost because of a wrong folder. The file of an earlier
        // run is left alone: its time is that of what it has.
        let writable = if path.exists() { try_put(path) } else { state.write() };
        writable.map_err(|error| wrong(format!("it cannot be written: {error}")))?;
        Ok(state)
    }

    /// Removes from `what` the vBuckets that were compared already. Returns their numbers.
    pub(super) fn resume(&self, what: &mut Verify) -> Verified {
        let mut verified = Verified::default();
        let Some(route) = self.kept.routes.iter().find(|route| route.is(what)) else {
            return verified;
        };
        what.vbs.retain(|vb| {
            let Some(numbers) = route.vbuckets.get(&vb.0) else { return true };
            verified.wanted += 1;
            verified.add(&numbers.verified(*vb));
            false
        });
        verified
    }

    /// Notes that a vBucket was compared.
    pub(super) fn note(&mut self, what: &Verify, done: &VbVerified) {
        let route = match self.kept.routes.iter_mut().position(|route| route.is(what)) {
            Some(index) => self.kept.routes.get_mut(index),
            None => {
                let (bucket, vbuckets) = (what.bucket.clone(), BTreeMap::new());
                let (a, b) = (what.producer.address.clone(), what.consumer.address.clone());
                self.kept.routes.push(Route { bucket, a, b, vbuckets });
                self.kept.routes.last_mut()
            }
        };
        if let Some(route) = route {
            route.vbuckets.insert(done.vb.0, Numbers::of(done));
        }
        self.is_dirty = true;
    }

    /// Writes the file at once: a reader sees the old one or the new one, also after a crash.
    ///
    /// # Errors
    /// The OS error.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let mut text = serde_json::to_string(&self.kept)?;
        text.push('\n');
        put(&self.path, &text)?;
        self.is_dirty = false;
        Ok(())
    }
}

impl Route {
    fn is(&self, what: &Verify) -> bool {
        let (a, b) = (&what.producer.address, &what.consumer.address);
        self.bucket == what.bucket && self.a == *a && self.b == *b
    }
}

impl Numbers {
    fn of(done: &VbVerified) -> Self {
        let word = |(class, count): (&Class, &u64)| (class.as_str().to_owned(), *count);
        let differences = done.by_class.iter().map(word).collect();
        Self { rows: done.rows, deletions: done.deletions, differences }
    }

    fn verified(&self, vb: VbId) -> VbVerified {
        let class = |(word, count): (&String, &u64)| Some((Class::of(word)?, *count));
        let by_class = self.differences.iter().filter_map(class).collect();
        VbVerified { vb, rows: self.rows, deletions: self.deletions, by_class }
    }
}

#[cfg(test)]
mod tests {
    use relay::{Endpoint, Secret};

    use super::*;

    fn what(vbs: &[u16]) -> Verify {
        let node = |name, address| Endpoint::new(name, address, "user", Secret::new("secret"));
        let vbs = vbs.iter().copied().map(VbId).collect();
        let (a, b) = (node("alpha", "127.0.0.1:1"), node("beta", "127.0.0.1:2"));
        Verify::new(a, b, "default".to_owned(), vbs, "1".to_owned())
    }

    #[test]
    fn a_run_goes_on_where_the_one_before_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut state = State::read(&path).unwrap();
        let by_class = BTreeMap::from([(Class::Missing, 2)]);
        let done = VbVerified { vb: VbId(1), rows: 10, deletions: 3, by_class };
        state.note(&what(&[1, 2]), &done);
        state.write().unwrap();
        assert!(!state.is_dirty);

        let mut left = what(&[1, 2]);
        let verified = State::read(&path).unwrap().resume(&mut left);
        assert_eq!(left.vbs, [VbId(2)]);
        assert_eq!((verified.wanted, verified.vbuckets, verified.rows), (1, 1, 10));
        assert_eq!((verified.differences(), verified.differing.to_string()), (2, "1".to_owned()));
        let mut other = Verify { bucket: "other".to_owned(), ..what(&[1]) };
        assert_eq!(State::read(&path).unwrap().resume(&mut other), Verified::default());
        assert_eq!(other.vbs, [VbId(1)]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn another_file_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        let newer = r#"{"version":1,"routes":[{"bucket":"default","a":"h:1","b":"h:2","vbuckets":
            {"1":{"rows":1,"deletions":0,"differences":{"newfangled":1}}}}]}"#;
        for text in ["my notes", "{\"version\":2,\"routes\":[]}", newer] {
            std::fs::write(&path, text).unwrap();
            let error = State::read(&path).unwrap_err();
            assert!(error.contains("is no file of --state"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_refused_at_the_start_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let error = State::read(&folder.path().join("none").join("state")).unwrap_err();
        assert!(error.contains("it cannot be written"), "{error}");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        State::read(&real).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        State::read(&link).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
