//! Which lines are written: levels, and the filters of RUST_LOG.

use std::io::{self, IsTerminal as _};

use env_logger::{Builder, Logger, WriteStyle};
use log::LevelFilter;

use crate::format::Format;

/// The environment variable of log filters, such as `info,kvnode=debug`.
const FILTER_VARIABLE: &str = "RUST_LOG";
/// The level of everything that is not the program's own.
const OTHERS: LevelFilter = LevelFilter::Warn;
/// The level of the program's own packages where nothing says another one.
pub(crate) const OWN: LevelFilter = LevelFilter::Info;

/// How a program logs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The level; takes precedence over RUST_LOG, and RUST_LOG over the default, `info` for the
    /// program's own packages and `warn` for everything else.
    pub level: Option<LevelFilter>,
    /// The format.
    pub format: Format,
    /// The program's own packages, as crates are named in Rust.
    pub own: &'static [&'static str],
    /// Packages that log warnings only unless `level` is given.
    pub quiet: &'static [&'static str],
}

impl Settings {
    /// Returns the filter, the level, and the filters of RUST_LOG where they decide.
    pub(crate) fn filter(&self) -> (Logger, LevelFilter, Option<String>) {
        let mut builder = Builder::new();
        match (self.level, std::env::var(FILTER_VARIABLE)) {
            (None, Ok(filters)) => {
                builder.parse_filters(&filters);
                let filter = builder.build();
                let level = filter.filter();
                (filter, level, Some(filters))
            }
            (level, _) => {
                builder.filter_level(level.map_or(OTHERS, |level| level.min(OTHERS)));
                // It logs an error when a client sends something that is not HTTP.
                builder.filter_module("actix_http", LevelFilter::Off);
                // It warns of each watched file that is removed, which is how files are replaced.
                builder.filter_module("notify", LevelFilter::Error);
                for package in self.own {
                    builder.filter_module(package, LevelFilter::Trace);
                }
                for package in self.quiet {
                    builder.filter_module(package, level.unwrap_or(OTHERS));
                }
                (builder.build(), level.unwrap_or(OWN), None)
            }
        }
    }
}

/// Colors are for terminals, and for who has not turned them off.
pub(crate) fn style() -> WriteStyle {
    let in_color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if in_color { WriteStyle::Always } else { WriteStyle::Never }
}
