//! Tells what happens: the log lines of the machine, as lines and as events, and events that no
//! line tells: vBuckets whose copying begins, and vBuckets in a state that does not fit.

use events::{Event, Kind, Level};
use mcbp::VbId;
use replica::bucket::{LogLevel, LogLine};
use replica::plan::LinkKey;

use super::BucketActor;

impl BucketActor {
    /// Logs a line of the machine, and tells its event whatever the log level is.
    pub(super) fn tell(&self, line: &LogLine) {
        self.events.push(Event::of_line(line, &self.bucket));
        log::log!(log_level(line.level), "{}", line.text);
    }

    /// Tells that a vBucket is copied, to be taken over once little is missing.
    pub(super) fn note_copying(&self, key: &LinkKey, vb: VbId) {
        let text = format!("copying, to be taken over from {}", key.producer);
        let event = Event::new(Level::Info, Kind::MoveBegun, text).of_bucket(&self.bucket);
        self.events.push(event.of_node(&key.producer).of_vbuckets([vb].into_iter().collect()));
    }

    /// Tells which wanted vBuckets of a node are in a state that does not fit, if that changed.
    pub(super) fn note_misfits(&mut self, node: String) {
        let (level, kind, text) = match self.machine.misfit_warning(&node) {
            Some(text) if self.misfits.get(&node) == Some(&text) => return,
            Some(text) => {
                self.misfits.insert(node.clone(), text.clone());
                (Level::Warn, Kind::Misfit, text)
            }
            None if self.misfits.remove(&node).is_none() => return,
            None => (Level::Info, Kind::MisfitCleared, "no wanted vBucket is a misfit".to_owned()),
        };
        self.events.push(Event::new(level, kind, text).of_bucket(&self.bucket).of_node(node));
    }
}

const fn log_level(level: LogLevel) -> log::Level {
    match level {
        LogLevel::Error => log::Level::Error,
        LogLevel::Warn => log::Level::Warn,
        LogLevel::Info => log::Level::Info,
    }
}
