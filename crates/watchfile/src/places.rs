//! Which folders and links lead to a file. A change to any of them may give the file's name another
//! content.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Links on the way to one file; the system itself follows at most 40.
const LINKS_MAX: usize = 40;

/// What leads to some files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Places {
    /// Folders to watch for names that come and go, and the files themselves, which may be written
    /// through a name in another folder. No path contains a link, so each is there once.
    pub(crate) watched: BTreeSet<PathBuf>,
    /// The names whose changes count. A folder has many others.
    pub(crate) names: BTreeSet<PathBuf>,
}

/// What the file system says about a name, without following a link.
pub(crate) enum Entry {
    Missing,
    Link(PathBuf),
    Other,
}

impl Places {
    /// Returns the places of `files`, which are absolute paths.
    pub(crate) fn of(files: &[PathBuf], look: &dyn Fn(&Path) -> Entry) -> Self {
        let mut places = Self::default();
        files.iter().for_each(|file| places.add(file, look));
        places
    }

    fn add(&mut self, file: &Path, look: &dyn Fn(&Path) -> Entry) {
        let mut rest = steps(file);
        let (mut at, mut links) = (PathBuf::from("/"), 0);
        while let Some(step) = rest.pop() {
            if step == ".." {
                at.pop();
                continue;
            }
            let folder = at.clone();
            at.push(step);
            self.names.insert(at.clone());
            match look(&at) {
                Entry::Other => {}
                Entry::Missing => {
                    // Where the rest will be is known once this name is there.
                    self.watched.insert(folder);
                    return;
                }
                Entry::Link(target) => {
                    links += 1;
                    self.watched.insert(folder.clone());
                    if links > LINKS_MAX {
                        return;
                    }
                    at = if target.is_absolute() { PathBuf::from("/") } else { folder };
                    rest.extend(steps(&target));
                }
            }
        }
        // The folder may be replaced as a whole.
        let folders = at.parent().into_iter().flat_map(|folder| [Some(folder), folder.parent()]);
        self.watched.extend(folders.flatten().map(Path::to_owned));
        self.watched.insert(at);
    }
}

/// The names of a path, the first one last.
fn steps(path: &Path) -> Vec<OsString> {
    let step = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The watched places of `file`, where `links` are links and every other name but `missing` is
    /// there.
    fn watched(file: &str, links: &[(&str, &str)], missing: &str) -> Vec<String> {
        let look = |path: &Path| match links.iter().find(|(name, _)| path == Path::new(name)) {
            Some((_, target)) => Entry::Link(PathBuf::from(target)),
            None if path == Path::new(missing) => Entry::Missing,
            None => Entry::Other,
        };
        let places = Places::of(&[PathBuf::from(file)], &look);
        places.watched.iter().map(|path| path.display().to_string()).collect()
    }

    /// A file, links and their targets, a name that is missing, what is watched.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);

    #[test]
    fn what_leads_to_a_file_is_watched() {
        const KUBERNETES: &[(&str, &str)] =
            &[("/etc/p/a.toml", "..data/a.toml"), ("/etc/p/..data", "..2026_01")];
        let cases: &[Case<'_>] = &[
            ("/etc/p/a.toml", &[], "", &["/etc", "/etc/p", "/etc/p/a.toml"]),
            ("/etc/p/../q/./a", &[], "", &["/etc", "/etc/q", "/etc/q/a"]),
            ("/etc/p/a.toml", &[], "/etc/p/a.toml", &["/etc/p"]),
            ("/etc/p/a.toml", &[], "/etc/p", &["/etc"]),
            ("/a", &[], "", &["/", "/a"]),
            (
                "/etc/p/a.toml",
                KUBERNETES,
                "",
                &["/etc/p", "/etc/p/..2026_01", "/etc/p/..2026_01/a.toml"],
            ),
            ("/etc/p/a.toml", KUBERNETES, "/etc/p/..2026_01", &["/etc/p"]),
            ("/b/a", &[("/b", "/c/d")], "", &["/", "/c", "/c/d", "/c/d/a"]),
            ("/b/a", &[("/b/a", "../../x")], "", &["/", "/b", "/x"]),
            ("/b/a", &[("/b/a", "a")], "", &["/b"]),
        ];
        for (file, links, missing, expected) in cases {
            assert_eq!(watched(file, links, missing), *expected, "{file} {links:?} {missing:?}");
        }
    }

    #[test]
    fn the_names_on_the_way_count_and_no_others() {
        let look = |path: &Path| match path.to_str() {
            Some("/p/a") => Entry::Link("..data/a".into()),
            Some("/p/..data") => Entry::Link("..1".into()),
            _ => Entry::Other,
        };
        let names = Places::of(&[PathBuf::from("/p/a")], &look).names;
        let expected = ["/p", "/p/..1", "/p/..1/a", "/p/..data", "/p/a"];
        assert_eq!(names, expected.iter().map(PathBuf::from).collect());
    }
}
