//! Finds the modules that a path goes through, past imports and re-exports.

use super::modules::{Module, ModulePath, Modules};

/// An import may lead to an import. More of them than this are a circle of imports.
const HOPS_MAX: usize = 16;

/// What a name stands for.
struct Found {
    /// The module that it is, or that it is defined in.
    module: ModulePath,
    /// Whether it is the module itself.
    is_module: bool,
}

impl Modules {
    /// Every module that `path`, written in `from`, goes through, up to the one where it ends. A
    /// path into another crate goes through none.
    pub(super) fn through(&self, from: &ModulePath, path: &[String]) -> Vec<ModulePath> {
        let mut passed = Vec::new();
        self.follow(from, path, &mut passed, 0);
        passed
    }

    fn follow(
        &self,
        from: &ModulePath,
        path: &[String],
        passed: &mut Vec<ModulePath>,
        hops: usize,
    ) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Found { module: ModulePath::new(), is_module: true },
            "self" => Found { module: from.clone(), is_module: true },
            "super" => parent(from)?,
            name => self.look_up(from, name, passed, hops)?,
        };
        passed.push(at.module.clone());
        for name in rest {
            if !at.is_module {
                break;
            }
            let next = match name.as_str() {
                "super" => parent(&at.module),
                name => self.look_up(&at.module, name, passed, hops),
            };
            // A name that is not found is made by a macro of that module.
            at = next.unwrap_or(Found { is_module: false, ..at });
            passed.push(at.module.clone());
        }
        Some(at)
    }

    /// What `name` stands for inside the module `at`.
    fn look_up(
        &self,
        at: &ModulePath,
        name: &str,
        passed: &mut Vec<ModulePath>,
        hops: usize,
    ) -> Option<Found> {
        let mut child = at.clone();
        child.push(name.to_owned());
        if self.all.contains_key(&child) {
            return Some(Found { module: child, is_module: true });
        }
        let module = self.all.get(at)?;
        if module.items.contains(name) {
            return Some(Found { module: at.clone(), is_module: false });
        }
        if hops == HOPS_MAX {
            return None;
        }
        if let Some(import) = module.imports.get(name) {
            return self.follow(at, import, passed, hops + 1);
        }
        self.look_into_globs(at, module, name, passed, hops)
    }

    fn look_into_globs(
        &self,
        at: &ModulePath,
        module: &Module,
        name: &str,
        passed: &mut Vec<ModulePath>,
        hops: usize,
    ) -> Option<Found> {
        module.globs.iter().find_map(|glob| {
            // Only the one that has the name is passed.
            let mut way = Vec::new();
            let open = self.follow(at, glob, &mut way, hops + 1).filter(|found| found.is_module)?;
            let found = self.look_up(&open.module, name, &mut way, hops + 1)?;
            passed.append(&mut way);
            Some(found)
        })
    }
}

fn parent(of: &ModulePath) -> Option<Found> {
    let (_, parent) = of.split_last()?;
    Some(Found { module: parent.to_vec(), is_module: true })
}
