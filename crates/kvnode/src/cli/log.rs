//! The log of the program: its section of the file, and the command line, which takes precedence.

use log::LevelFilter;
use logger::{Format, Settings};
use serde::Deserialize;
use toml::Spanned;

/// `[log]` of the file as written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LogTable {
    pub(super) level: Option<Spanned<String>>,
    pub(super) format: Option<Spanned<String>>,
}

/// A level and a format, of the file or of the command line.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) level: Option<LevelFilter>,
    pub(super) format: Option<Format>,
}

impl Log {
    /// Starts the log with what the command line says.
    pub(super) fn start(self) -> std::io::Result<()> {
        let settings = Settings {
            level: self.level,
            format: self.format.unwrap_or_default(),
            own: &["kvnode", "store", "relay"],
            quiet: &[],
        };
        logger::start(settings, logger::standard_streams()?)
    }

    /// Applies the file where the command line, `self`, says nothing.
    pub(super) fn apply(self, file: Self) {
        logger::set_format(self.format.or(file.format).unwrap_or_default());
        if let (None, false) = (self.level, logger::is_filtered()) {
            logger::configure(file.level);
        }
    }
}

/// Parses the name of a level.
pub(super) fn level(name: &str) -> Result<LevelFilter, String> {
    let wrong = |_| format!("{name:?} is not a level: give off, error, warn, info, debug or trace");
    name.parse().map_err(wrong)
}
