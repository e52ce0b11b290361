//! Which levels are logged, as text (`info,relay=debug`) and as data, and what of it is in force.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use log::LevelFilter;

/// The most modules with a level of their own: more than there are packages.
pub const MODULES_MAX: usize = 32;
/// What is allowed where a level stands.
const LEVELS: &str = "give off, error, warn, info, debug or trace";
/// What else is allowed where the level of all modules stands.
const OF_MODULES: &str = ", or MODULE=LEVEL for one module, such as relay=debug";

/// A level, and levels of single modules.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filters {
    /// The level of the program's own packages; `None` leaves it as it is.
    pub level: Option<LevelFilter>,
    /// The levels of modules that have their own, by path, such as `relay` or `relay::pump`.
    pub modules: BTreeMap<String, LevelFilter>,
}

impl Filters {
    /// One level for all.
    #[must_use]
    pub const fn of_level(level: LevelFilter) -> Self {
        Self { level: Some(level), modules: BTreeMap::new() }
    }

    /// Refuses modules that are of none of the packages `known`, and too many.
    ///
    /// # Errors
    /// A text that names the module, and what is allowed.
    pub fn check(&self, known: &[&str]) -> Result<(), String> {
        if self.modules.len() > MODULES_MAX {
            let count = self.modules.len();
            return Err(format!("{count} modules with a level: give at most {MODULES_MAX}"));
        }
        let package = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
        let is_path = |module: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            module.split("::").all(|part| !part.is_empty() && part.bytes().all(good))
        };
        for module in self.modules.keys() {
            if !is_path(module) || !known.contains(&package(module).as_str()) {
                let known = known.join(", ");
                return Err(format!(
                    "unknown module {module:?}: give one of {known}, or a module within, such as \
                     relay::pump"
                ));
            }
        }
        Ok(())
    }
}

/// Parses the name of a level.
///
/// # Errors
/// A text that says which levels there are.
pub fn level(name: &str) -> Result<LevelFilter, String> {
    name.parse().map_err(|_| format!("unknown log level {name:?}: {LEVELS}"))
}

impl FromStr for Filters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut filters = Self::default();
        for part in text.split(',').map(str::trim) {
            let Some((module, name)) = part.split_once('=') else {
                if filters.level.replace(level(part).map_err(|error| error + OF_MODULES)?).is_some()
                {
                    return Err(format!("two levels for all modules in {text:?}: give one"));
                }
                continue;
            };
            let (module, level) = (module.trim(), level(name.trim())?);
            if filters.modules.insert(module.to_owned(), level).is_some() {
                return Err(format!("module {module:?} has two levels in {text:?}: give one"));
            }
        }
        Ok(filters)
    }
}

impl fmt::Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level.map(word);
        let modules =
            self.modules.iter().map(|(module, level)| format!("{module}={}", word(*level)));
        f.write_str(&level.into_iter().chain(modules).collect::<Vec<_>>().join(","))
    }
}

/// The name of a level, as it is written.
#[must_use]
pub fn word(level: LevelFilter) -> String {
    level.as_str().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_as_it_is_written() {
        for text in
            ["info", "info,relay=debug", "relay=trace", "off,dcp_actors=info,relay::pump=trace"]
        {
            assert_eq!(text.parse::<Filters>().unwrap().to_string(), text);
        }
        let filters: Filters = " relay = Trace , WARN".parse().unwrap();
        assert_eq!(filters.to_string(), "warn,relay=trace");
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        let allowed = "give off, error, warn, info, debug or trace";
        for (text, error) in [
            ("loud", format!("unknown log level \"loud\": {allowed}{OF_MODULES}")),
            ("", format!("unknown log level \"\": {allowed}{OF_MODULES}")),
            ("info,", format!("unknown log level \"\": {allowed}{OF_MODULES}")),
            ("relay=", format!("unknown log level \"\": {allowed}")),
            ("relay=loud", format!("unknown log level \"loud\": {allowed}")),
            ("info,warn", "two levels for all modules in \"info,warn\": give one".to_owned()),
            (
                "a=info,a=warn",
                "module \"a\" has two levels in \"a=info,a=warn\": give one".to_owned(),
            ),
        ] {
            assert_eq!(text.parse::<Filters>(), Err(error), "{text}");
        }
    }

    #[test]
    fn modules_are_those_of_the_program() {
        let check = |text: &str| text.parse::<Filters>().unwrap().check(&["relay", "kvnode"]);
        assert_eq!(check("info,relay=debug,kvnode::dcp=trace"), Ok(()));
        for wrong in ["rellay", "relay:", "relay::", "", "relay_x", "hyper"] {
            let error = check(&format!("{wrong}=info")).unwrap_err();
            let words = format!("unknown module {wrong:?}: give one of relay, kvnode, or a module");
            assert!(error.starts_with(&words), "{error}");
        }
        let many = (0..=MODULES_MAX).map(|at| format!("relay::m{at}=info")).collect::<Vec<_>>();
        assert_eq!(
            check(&many.join(",")),
            Err("33 modules with a level: give at most 32".to_owned())
        );
    }
}
