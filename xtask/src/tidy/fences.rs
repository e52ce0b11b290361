//! Libraries that stay inside one folder, so that what depends on them can be read in one place.

use super::source::has_word;
use super::{Complaint, File};

/// A library, as its paths begin in Rust, and the folder whose files may name it.
const FENCES: &[(&str, &str)] = &[
    ("fjall", "crates/store/src/engine/"),
    ("lsm_tree", "crates/store/src/engine/"),
    ("sd_notify", "crates/lifecycle/src/"),
];

pub(super) fn check(file: &File) -> Vec<Complaint> {
    let outside = FENCES.iter().filter(|(_, folder)| !file.path.starts_with(folder));
    outside.flat_map(|(library, folder)| named(file, library, folder)).collect()
}

/// The lines of code that name `library`. Comments may.
fn named(file: &File, library: &str, folder: &str) -> Vec<Complaint> {
    let names = [format!("{library}::"), format!("use {library}")];
    let code = file.lines().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let named = code.filter(|(_, line)| names.iter().any(|name| has_word(line, name)));
    named
        .map(|(number, _)| file.fail(number, format!("`{library}` is for {folder} only")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_named_behind_its_fence_only() {
        let complaints = |path: &str, text: &str| {
            let file = File { path: path.to_owned(), text: text.to_owned() };
            check(&file).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let imported = concat!("//! On fjall.\nuse fj", "all::Slice;\n");
        let used = concat!("fn a(b: &lsm_", "tree::Tree) {}\n");
        let inside = "crates/store/src/engine/a.rs";
        assert!(complaints(inside, imported).is_empty() && complaints(inside, used).is_empty());
        let only = "is for crates/store/src/engine/ only";
        let want = [format!("crates/store/src/a.rs:2: `fjall` {only}")];
        assert_eq!(complaints("crates/store/src/a.rs", imported), want);
        assert_eq!(complaints("src/a.rs", used), [format!("src/a.rs:1: `lsm_tree` {only}")]);
        assert!(complaints("src/a.rs", "let fjall = \"fjall\"; FjallStore::open()").is_empty());
    }
}
