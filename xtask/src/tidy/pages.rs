//! Rules about pages of Markdown: links and their anchors lead somewhere, named source files exist,
//! a block of code says its language, and each document can be reached from `docs/README.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::{Complaint, File, Tree};

/// Where a reader begins.
const INDEX: &str = "docs/README.md";
/// The folder whose pages can be reached from there.
const FOLDER: &str = "docs/";

/// Folders of the tree: a name in back-ticks that begins with one is a path of the tree.
const FOLDERS: &[&str] =
    &["src/", "crates/", "actors/", "tests/", "benches/", "xtask/", "docs/", "fuzz/"];

/// What the rules need of a page.
#[derive(Default)]
struct Page {
    /// The links, with their line.
    links: Vec<(usize, String)>,
    /// What links may name after `#`.
    anchors: BTreeSet<String>,
    /// Paths of the tree that it names, with their line.
    paths: Vec<(usize, String)>,
    /// Lines of blocks of code without a language.
    bare_blocks: Vec<usize>,
}

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let pages: BTreeMap<&str, (&File, Page)> =
        tree.ending(".md").map(|file| (file.path.as_str(), (file, Page::read(file)))).collect();
    let mut complaints = Vec::new();
    for (file, page) in pages.values() {
        for line in &page.bare_blocks {
            let text = "a block of code without a language: write one, such as ```text";
            complaints.push(file.fail(*line, text));
        }
        for (line, path) in page.paths.iter().filter(|(_, path)| !is_in_tree(tree, path)) {
            complaints.push(file.fail(*line, format!("`{path}` is not in the tree")));
        }
        for (line, link) in &page.links {
            if let Some(text) = broken(tree, &pages, &file.path, link) {
                complaints.push(file.fail(*line, text));
            }
        }
    }
    complaints.extend(unreachable_pages(&pages));
    complaints
}

impl Page {
    fn read(file: &File) -> Self {
        let (mut page, mut heading) = (Self::default(), None::<String>);
        let mut seen = HashMap::new();
        let line_of =
            |at: usize| file.text.get(..at).map_or(1, |before| before.lines().count().max(1));
        for (event, range) in Parser::new_ext(&file.text, Options::ENABLE_TABLES).into_offset_iter()
        {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line_of(range.start + 1), dest_url.to_string()));
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language)))
                    if language.is_empty() =>
                {
                    page.bare_blocks.push(line_of(range.start + 1));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if file.text.get(range.clone()).is_some_and(|raw| raw.starts_with('`'))
                        && is_path(&text)
                    {
                        page.paths.push((line_of(range.start + 1), text.to_string()));
                    }
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let times = seen.entry(anchor.clone()).or_insert(0_u32);
                    page.anchors.insert(match *times {
                        0 => anchor,
                        again => format!("{anchor}-{again}"),
                    });
                    *times += 1;
                }
                _ => {}
            }
        }
        page
    }
}

/// Whether a name in back-ticks is a path of the tree.
fn is_path(name: &str) -> bool {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c));
    is_plain && FOLDERS.iter().any(|folder| name.starts_with(folder))
}

/// Whether a path is a file or a folder of the tree.
fn is_in_tree(tree: &Tree, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let folder = format!("{path}/");
    tree.paths.iter().any(|known| known == path || known.starts_with(&folder))
}

/// A heading as the end of a link: small letters, digits, dashes and underscores.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

/// What is wrong with a link; `None` for one that leads somewhere, or out of the tree.
fn broken(
    tree: &Tree,
    pages: &BTreeMap<&str, (&File, Page)>,
    from: &str,
    link: &str,
) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, end)| (path, Some(end)));
    let target = resolved(from, path);
    if !is_in_tree(tree, &target) {
        return Some(format!("`{link}` leads to {target}, which is not in the tree"));
    }
    let anchor = anchor?;
    let (_, page) = pages.get(target.as_str())?;
    (!page.anchors.contains(anchor)).then(|| format!("{target} has no heading `#{anchor}`"))
}

/// A path from the page `from`, as one from the top folder.
fn resolved(from: &str, path: &str) -> String {
    if path.is_empty() {
        return from.to_owned();
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Pages of the folder that no way leads to.
fn unreachable_pages(pages: &BTreeMap<&str, (&File, Page)>) -> Vec<Complaint> {
    let Some((index, _)) = pages.get(INDEX) else {
        let none = pages.values().find(|(file, _)| file.path.starts_with(FOLDER));
        return none
            .map(|(file, _)| file.fail(1, format!("{INDEX} is missing")))
            .into_iter()
            .collect();
    };
    let mut reached = BTreeSet::new();
    let mut left = vec![index.path.clone()];
    while let Some(path) = left.pop() {
        let Some((_, page)) = pages.get(path.as_str()) else { continue };
        if reached.insert(path.clone()) {
            let links = page.links.iter().filter(|(_, link)| !link.contains("://"));
            left.extend(
                links.map(|(_, link)| resolved(&path, link.split('#').next().unwrap_or_default())),
            );
        }
    }
    let of_folder = pages.values().filter(|(file, _)| file.path.starts_with(FOLDER));
    let lost = of_folder.filter(|(file, _)| !reached.contains(&file.path));
    let text = format!("no link leads from {INDEX} to this page: add it there");
    lost.map(|(file, _)| file.fail(1, text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        let files = files
            .iter()
            .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() });
        let files: Vec<_> = files.collect();
        let paths = files.iter().map(|file| file.path.clone()).collect();
        check(&Tree { files, paths }).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_and_anchors_lead_somewhere() {
        let index =
            "[a](a.md#of-it-too) [up](../README.md) [again](a.md#same-1) [x](https://x.y)\n";
        let page = "# A\n\n## Of `it`, too\n\n## Same\n\n## Same\n\n[here](#a) [folder](sub)\n";
        let good =
            [(INDEX, index), ("docs/a.md", page), ("README.md", "x"), ("docs/sub/b.md", "x")];
        let want =
            ["docs/sub/b.md:1: no link leads from docs/README.md to this page: add it there"];
        assert_eq!(complaints(&good), want);
        let index = "x\n\n[a](a.md#other) [b](b.md)\n[c](a.md)\n";
        let want = [
            "docs/README.md:3: docs/a.md has no heading `#other`",
            "docs/README.md:3: `b.md` leads to docs/b.md, which is not in the tree",
        ];
        assert_eq!(complaints(&[(INDEX, index), ("docs/a.md", "# A\n")]), want);
    }

    #[test]
    fn a_block_has_a_language_a_named_file_exists_and_there_is_an_index() {
        let bare = "`src/b.rs`\n\n```\na\n```\n\n```sh\nb\n```\n";
        let text = "a block of code without a language: write one, such as ```text";
        let want =
            [format!("README.md:3: {text}"), "README.md:1: `src/b.rs` is not in the tree".into()];
        assert_eq!(complaints(&[("README.md", bare), ("src/a.rs", "")]), want);
        let want = ["docs/a.md:1: docs/README.md is missing"];
        assert_eq!(complaints(&[("docs/a.md", "x")]), want);
    }
}
