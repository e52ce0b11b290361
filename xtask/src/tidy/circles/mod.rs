//! Refuses circles between the modules of a package.
//!
//! Two modules that use each other, directly or through others, can be understood, tested and
//! changed only together. Modules are compared with their siblings, in every folder: `a` uses `b`
//! where anything in the subtree of `a` names anything in the subtree of `b`.
//!
//! A module and its parent are no siblings: a child may use what its parent's file defines, and the
//! parent may use the child. Not seen is what is used by a method call alone, in a text such as
//! `#[serde(with = "...")]`, or by one single word inside a macro call. Tests are exempt:
//! `#[cfg(test)]`, files named `tests.rs` and folders named `tests`.

mod graph;
mod modules;
mod resolve;
#[cfg(test)]
mod tests;

use graph::{Circle, Uses};
use modules::Modules;

use super::{Complaint, File, Tree};

/// Complains about every circle, and about what cannot be read.
pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for root in tree.files.iter().filter(|file| is_root(file)) {
        match Modules::read(root, tree) {
            Ok(modules) => complaints.extend(Uses::of(&modules).circles().iter().map(complaint)),
            Err(complaint) => complaints.push(complaint),
        }
    }
    complaints
}

/// Whether a library or a program starts here.
fn is_root(file: &File) -> bool {
    let Some((folder, name)) = file.path.rsplit_once('/') else { return false };
    let in_source = folder == "src" || folder.starts_with("src/") || folder.contains("/src");
    in_source && (matches!(name, "lib.rs" | "main.rs") || folder.ends_with("src/bin"))
}

fn complaint(circle: &Circle) -> Complaint {
    let uses = circle.uses.iter().map(|used| {
        format!("\n    {} -> {} ({}:{})", used.from, used.to, used.place.path, used.place.line)
    });
    let uses: String = uses.collect();
    let text = format!("{circle} use each other in a circle{uses}");
    let first = circle.uses.first().map(|used| &used.place);
    let (path, line) = first.map_or((String::new(), 1), |place| (place.path.clone(), place.line));
    File { path, text: String::new() }.fail(line, text)
}
