//! The section `[log]`: level and format.

use log::LevelFilter;
use logger::Format;

use super::check::Checker;
use super::checked::Log;
use super::file;

impl Checker<'_, '_> {
    pub(super) fn log(&mut self, log: &file::Log) -> Log {
        let level = |name: &String| {
            let wrong =
                |_| format!("{name:?} is not a level: give off, error, warn, info, debug or trace");
            name.parse::<LevelFilter>().map_err(wrong)
        };
        let format = |name: &String| name.parse::<Format>();
        Log {
            level: log.level.as_ref().and_then(|it| self.value("log: level", it, level)),
            format: log.format.as_ref().and_then(|it| self.value("log: format", it, format)),
        }
    }
}
