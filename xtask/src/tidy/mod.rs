//! Rules that the compiler does not check, over the whole tree.
//!
//! Each rule is a function from text to complaints; only [`Tree::read`] touches the disk. The test
//! `the_tree_is_tidy` makes `cargo test` hold the rules.

mod circles;
mod fences;
mod packages;
mod pages;
mod papers;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::{fmt, fs, io};

/// Folders without hand-written files.
const SKIPPED_FOLDERS: &[&str] =
    &[".git", "target", "data", "fuzz/target", "fuzz/corpus", "fuzz/artifacts"];

/// Endings of the files that are read.
const ENDINGS: &[&str] = &[".rs", ".toml", ".md", ".sh", ".yml", ".html", ".js", ".css"];

/// One file, with its path from the top folder.
#[derive(Debug, Clone)]
pub(crate) struct File {
    path: String,
    text: String,
}

impl File {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    fn fail(&self, line: usize, text: impl Into<String>) -> Complaint {
        Complaint { path: self.path.clone(), line, level: Level::Fail, text: text.into() }
    }

    fn warn(&self, line: usize, text: impl Into<String>) -> Complaint {
        Complaint { level: Level::Warn, ..self.fail(line, text) }
    }
}

/// The files of the project.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The text files, which rules read.
    files: Vec<File>,
    /// The paths of all.
    paths: Vec<String>,
}

impl Tree {
    /// Reads every text file below `root`, except in [`SKIPPED_FOLDERS`].
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        let mut folders = vec![(root.to_path_buf(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = format!("{prefix}{name}");
                if entry.file_type()?.is_dir() {
                    if !SKIPPED_FOLDERS.contains(&path.as_str()) {
                        folders.push((entry.path(), format!("{path}/")));
                    }
                    continue;
                }
                tree.paths.push(path.clone());
                if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                    tree.files.push(File { text: fs::read_to_string(entry.path())?, path });
                }
            }
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    fn missing(&self, path: &str) -> Complaint {
        let file = File { path: path.to_owned(), text: String::new() };
        file.fail(1, "the file is missing")
    }

    fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Warn,
    Fail,
}

/// A violation of a rule, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    path: String,
    line: usize,
    level: Level,
    text: String,
}

impl Complaint {
    /// Whether it must be fixed; a warning should be considered.
    pub(crate) fn is_failure(&self) -> bool {
        self.level == Level::Fail
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = if self.is_failure() { "" } else { "warning: " };
        write!(f, "{}:{}: {warning}{}", self.path, self.line, self.text)
    }
}

/// Complaints about the documents alone.
pub(crate) fn check_pages(tree: &Tree) -> Vec<Complaint> {
    pages::check(tree)
}

/// Every complaint about `tree`, in the order of its files.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in &tree.files {
        complaints.extend(papers::machine_paths(file));
    }
    for file in tree.ending(".rs") {
        complaints.extend(source::check(file));
        complaints.extend(fences::check(file));
    }
    complaints.extend(circles::check(tree));
    complaints.extend(packages::check(tree));
    complaints.extend(papers::check(tree));
    complaints.extend(pages::check(tree));
    complaints.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    complaints
}
