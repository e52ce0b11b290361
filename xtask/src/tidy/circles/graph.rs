//! Which siblings use which, and the circles among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::modules::{ModulePath, Modules};

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) line: usize,
}

/// One sibling uses another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) from: String,
    pub(super) to: String,
    /// One of the places at which it does.
    pub(super) place: Place,
}

/// Siblings that use each other, each of them every other in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Circle {
    /// The module that they are in.
    pub(super) within: ModulePath,
    pub(super) modules: Vec<String>,
    pub(super) uses: Vec<Used>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within: String = self.within.iter().map(|part| format!("::{part}")).collect();
        write!(f, "the modules {} of `crate{within}`", self.modules.join(", "))
    }
}

/// The uses among siblings, by the module that they are in: who uses whom, and where.
#[derive(Debug, Default)]
pub(super) struct Uses(BTreeMap<ModulePath, BTreeMap<(String, String), Place>>);

impl Uses {
    /// Lifts each path in the text to the two siblings that it connects.
    pub(super) fn of(modules: &Modules) -> Self {
        let mut uses = Self::default();
        for (from, module) in &modules.all {
            for (path, line) in &module.named {
                for to in modules.through(from, path) {
                    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                    // Where one is inside the other, they are no siblings.
                    if let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) {
                        let within = from.get(..shared).unwrap_or_default().to_vec();
                        let place = Place { path: module.file.clone(), line: *line };
                        let uses = uses.0.entry(within).or_default();
                        uses.entry((a.clone(), b.clone())).or_insert(place);
                    }
                }
            }
        }
        uses
    }

    /// The largest sets of siblings of which each uses each in the end.
    pub(super) fn circles(&self) -> Vec<Circle> {
        let mut circles = Vec::new();
        for (within, uses) in &self.0 {
            let reach = reach(uses.keys());
            let mut seen = BTreeSet::new();
            for (module, reached) in &reach {
                if !reached.contains(module) || seen.contains(module) {
                    continue;
                }
                let is_in = |other: &&&str| reach.get(*other).is_some_and(|r| r.contains(module));
                let modules: Vec<&str> = reached.iter().filter(is_in).copied().collect();
                seen.extend(modules.iter().copied());
                circles.push(circle(within, &modules, uses));
            }
        }
        circles
    }
}

/// What each module uses, also through others.
fn reach<'a>(
    uses: impl Iterator<Item = &'a (String, String)>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut direct: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in uses {
        direct.entry(from).or_default().push(to);
    }
    let mut reach = BTreeMap::new();
    for module in direct.keys() {
        let mut reached = BTreeSet::new();
        let mut next = vec![*module];
        while let Some(module) = next.pop() {
            let used = direct.get(module).into_iter().flatten();
            next.extend(used.filter(|used| reached.insert(**used)));
        }
        reach.insert(*module, reached);
    }
    reach
}

fn circle(
    within: &ModulePath,
    modules: &[&str],
    uses: &BTreeMap<(String, String), Place>,
) -> Circle {
    let is_in = |name: &String| modules.contains(&name.as_str());
    let uses = uses.iter().filter(|((from, to), _)| is_in(from) && is_in(to));
    let uses = uses.map(|((from, to), place)| Used {
        from: from.clone(),
        to: to.clone(),
        place: place.clone(),
    });
    Circle {
        within: within.clone(),
        modules: modules.iter().map(ToString::to_string).collect(),
        uses: uses.collect(),
    }
}
