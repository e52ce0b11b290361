//! The levels that are in force. They change at run time; the filters of RUST_LOG do not.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use log::{LevelFilter, Metadata};

use crate::filters::Filters;
use crate::settings::OWN;

static LEVELS: RwLock<Levels> = RwLock::new(Levels::none());

struct Levels {
    /// What the command line, the configuration file or the default says.
    configured: LevelFilter,
    /// What was set at run time instead.
    changed: Option<LevelFilter>,
    modules: BTreeMap<String, LevelFilter>,
}

/// What is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InForce {
    /// The level of the program's own packages.
    pub level: LevelFilter,
    /// The levels of modules that have their own.
    pub modules: BTreeMap<String, LevelFilter>,
    /// The level that [`reset_filters`] returns to.
    pub configured: LevelFilter,
}

impl Levels {
    const fn none() -> Self {
        Self { configured: LevelFilter::Off, changed: None, modules: BTreeMap::new() }
    }

    fn level(&self) -> LevelFilter {
        self.changed.unwrap_or(self.configured)
    }

    fn configure(&mut self, level: Option<LevelFilter>) {
        self.configured = level.unwrap_or(OWN);
        if level.is_some() {
            (self.changed, self.modules) = (None, BTreeMap::new());
        }
    }

    fn apply(&self) {
        let highest = self.modules.values().copied().max();
        log::set_max_level(highest.map_or(self.level(), |highest| highest.max(self.level())));
    }

    /// Whether a line is written. `base` is what the packages have without a change at run time. A
    /// module with a level of its own needs it only if it `is_bound`, which means RUST_LOG.
    fn allow(&self, line: &Metadata<'_>, is_bound: bool, base: impl FnOnce() -> bool) -> bool {
        let is_of = |module: &&str| is_within(line.target(), module);
        let modules = self.modules.keys().map(String::as_str);
        let module = modules.filter(is_of).max_by_key(|module| module.len());
        match module.and_then(|module| self.modules.get(module)) {
            Some(level) => line.level() <= *level && (!is_bound || base()),
            None => line.level() <= self.level() && base(),
        }
    }
}

/// Whether a target, the path of a module, is `module` or within it.
fn is_within(target: &str, module: &str) -> bool {
    let rest = target.strip_prefix(module);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Sets the configured level, and drops what was changed at run time.
pub(crate) fn set_level(level: LevelFilter) {
    change(|levels| levels.configure(Some(level)));
}

/// Sets the level that the configuration file names, and drops what was changed at run time; where
/// it names none, sets the default, and what was changed at run time stays.
pub fn configure(level: Option<LevelFilter>) {
    change(|levels| levels.configure(level));
}

/// Changes what is logged at run time; `filters` replaces all levels of modules.
pub fn set_filters(filters: Filters) {
    change(|levels| {
        levels.changed = filters.level.or(levels.changed);
        levels.modules = filters.modules;
    });
}

/// Drops what was changed at run time.
pub fn reset_filters() {
    change(|levels| (levels.changed, levels.modules) = (None, [].into()));
}

/// Returns what is in force.
#[must_use]
pub fn in_force() -> InForce {
    let levels = LEVELS.read().unwrap_or_else(PoisonError::into_inner);
    InForce {
        level: levels.level(),
        modules: levels.modules.clone(),
        configured: levels.configured,
    }
}

fn change(change: impl FnOnce(&mut Levels)) {
    let mut levels = LEVELS.write().unwrap_or_else(PoisonError::into_inner);
    change(&mut levels);
    levels.apply();
}

/// Whether a line is written, see [`Levels::allow`].
pub(crate) fn allow(line: &Metadata<'_>, is_bound: bool, base: impl FnOnce() -> bool) -> bool {
    LEVELS.read().unwrap_or_else(PoisonError::into_inner).allow(line, is_bound, base)
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    #[test]
    fn a_level_that_is_removed_from_the_file_is_not_in_force_any_more() {
        use LevelFilter::{Debug, Info, Trace, Warn};
        let mut levels = Levels::none();
        // What the file names, what is changed at run time then, and what is in force after both.
        for (file, changed, in_force) in [
            (Some(Debug), None, (Debug, Debug)),
            (None, None, (Info, Info)),
            (None, Some(Trace), (Info, Trace)),
            (None, None, (Info, Trace)),
            (Some(Warn), None, (Warn, Warn)),
            (Some(Warn), Some(Trace), (Warn, Trace)),
            (None, None, (Info, Trace)),
        ] {
            levels.configure(file);
            levels.changed = changed.or(levels.changed);
            assert_eq!((levels.configured, levels.level()), in_force, "{file:?} {changed:?}");
        }
    }

    #[test]
    fn the_longest_module_decides_and_rust_log_stays_a_bound() {
        let filters: Filters = "relay=warn,relay::pump=trace,kvnode=debug".parse().unwrap();
        let mut levels = Levels::none();
        (levels.configured, levels.modules) = (LevelFilter::Info, filters.modules);
        // Target, level, what the packages have, and whether it is written, without and with
        // RUST_LOG.
        let table = [
            ("relay", Level::Warn, true, (true, true)),
            ("relay", Level::Info, true, (false, false)),
            ("relay::pump", Level::Trace, true, (true, true)),
            ("relay::pump::write", Level::Trace, true, (true, true)),
            ("relay::pumps", Level::Trace, true, (false, false)),
            ("relayed", Level::Info, true, (true, true)),
            ("dcp_actors", Level::Info, true, (true, true)),
            ("dcp_actors", Level::Debug, true, (false, false)),
            ("store", Level::Info, false, (false, false)),
            ("kvnode::dcp", Level::Debug, false, (true, false)),
        ];
        for (target, level, base, (alone, bound)) in table {
            let line = Metadata::builder().target(target).level(level).build();
            assert_eq!(levels.allow(&line, false, || base), alone, "{target} {level}");
            assert_eq!(levels.allow(&line, true, || base), bound, "{target} {level}, RUST_LOG");
        }
    }
}
