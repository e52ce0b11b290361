//! Reads the modules of one crate: what each defines, imports and names. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ImplItem, Item, Meta, UseTree, VisRestricted};

use super::super::{Complaint, File, Tree};

/// The way to a module from the root of its crate, which is the empty one.
pub(super) type ModulePath = Vec<String>;

/// What is written in one module.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// The file that it is in.
    pub(super) file: String,
    /// The names of the items that are defined here.
    pub(super) items: BTreeSet<String>,
    /// What `use` makes of a name.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// What `use ...::*` names.
    pub(super) globs: Vec<Vec<String>>,
    /// Every path in the text, with its line.
    pub(super) named: Vec<(Vec<String>, usize)>,
}

/// The modules of one crate.
#[derive(Debug, Default)]
pub(super) struct Modules {
    pub(super) all: BTreeMap<ModulePath, Module>,
}

impl Modules {
    /// Reads the crate that starts in `root`.
    ///
    /// # Errors
    /// A file cannot be parsed.
    pub(super) fn read(root: &File, tree: &Tree) -> Result<Self, Complaint> {
        let folder = root.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut modules = Self::default();
        let mut to_read = vec![(ModulePath::new(), root)];
        while let Some((path, file)) = to_read.pop() {
            let parsed = syn::parse_file(&file.text).map_err(|error| {
                file.fail(error.span().start().line, format!("cannot be parsed: {error}"))
            })?;
            let mut reader = Reader { modules: &mut modules, file, path, declared: Vec::new() };
            reader.module(&parsed.items);
            for child in reader.declared {
                let stem = format!("{folder}/{}", child.join("/"));
                let beside = tree.file(&format!("{stem}.rs"));
                let inside = tree.file(&format!("{stem}/mod.rs"));
                to_read.extend(beside.or(inside).map(|file| (child, file)));
            }
        }
        Ok(modules)
    }
}

/// Walks through one file.
struct Reader<'a> {
    modules: &'a mut Modules,
    file: &'a File,
    /// The module that is being read.
    path: ModulePath,
    /// The modules that have files of their own.
    declared: Vec<ModulePath>,
}

impl Reader<'_> {
    fn module(&mut self, items: &[Item]) {
        let path = self.file.path.clone();
        self.here().file = path;
        for item in items {
            self.visit_item(item);
        }
    }

    fn here(&mut self) -> &mut Module {
        self.modules.all.entry(self.path.clone()).or_default()
    }

    fn names(&mut self, path: Vec<String>, line: usize) {
        self.here().named.push((path, line));
    }

    /// Goes down a `use`, whose first segments are in `before`.
    fn import(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &Ident| {
            let mut path = before.to_vec();
            path.extend((name != "self").then(|| name.to_string()));
            path
        };
        match tree {
            UseTree::Path(path) => {
                let mut longer = before.to_vec();
                longer.push(path.ident.to_string());
                self.import(&path.tree, &longer);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before)),
            UseTree::Name(name) => {
                let path = with(&name.ident);
                let Some(known_as) = path.last().cloned() else { return };
                self.names(path.clone(), name.ident.span().start().line);
                self.here().imports.insert(known_as, path);
            }
            UseTree::Rename(name) => {
                let path = with(&name.ident);
                self.names(path.clone(), name.ident.span().start().line);
                self.here().imports.insert(name.rename.to_string(), path);
            }
            UseTree::Glob(glob) => {
                self.names(before.to_vec(), glob.star_token.spans[0].start().line);
                self.here().globs.push(before.to_vec());
            }
        }
    }

    /// Finds the paths in what a macro is called with.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut line = 1;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path_of_tokens(&mut path, line);
                    }
                    line = ident.span().start().line;
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => {
                    let joins = colons == 1 || sign.spacing() == Spacing::Joint;
                    colons = if joins { colons + 1 } else { 0 };
                }
                TokenTree::Group(group) => {
                    self.path_of_tokens(&mut path, line);
                    self.tokens(group.stream());
                    colons = 0;
                }
                _ => {
                    self.path_of_tokens(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.path_of_tokens(&mut path, line);
    }

    /// One word alone may be anything.
    fn path_of_tokens(&mut self, path: &mut Vec<String>, line: usize) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.names(path, line);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = head(item);
        if attributes.iter().any(is_for_tests) {
            return;
        }
        match item {
            Item::Use(import) => return self.import(&import.tree, &[]),
            Item::Mod(module) if module.ident == "tests" => return,
            Item::Mod(module) => {
                let mut path = self.path.clone();
                path.push(module.ident.to_string());
                match &module.content {
                    Some((_, items)) => {
                        let outside = std::mem::replace(&mut self.path, path);
                        self.module(items);
                        self.path = outside;
                    }
                    None => self.declared.push(path),
                }
                return;
            }
            _ => {}
        }
        self.here().items.extend(name.map(Ident::to_string));
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_for_tests = match item {
            ImplItem::Fn(function) => function.attrs.iter().any(is_for_tests),
            _ => false,
        };
        if !is_for_tests {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // `::name` is of another crate.
        if path.leading_colon.is_none() {
            let line = path.segments.first().map_or(1, |first| first.ident.span().start().line);
            self.names(path.segments.iter().map(|part| part.ident.to_string()).collect(), line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    // Neither says what a module needs.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

/// The attributes of an item, and its name.
fn head(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Mod(item) => (&item.attrs, Some(&item.ident)),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}

/// `#[cfg(test)]` or `#[cfg(all(test, ...))]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    let condition = list.tokens.to_string();
    let is_test = condition == "test" || condition.replace(' ', "").starts_with("all(test,");
    list.path.is_ident("cfg") && is_test
}
