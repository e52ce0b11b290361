//! When each data node last sent anything, on any connection of one bucket; and what earlier
//! incarnations of its links passed on.

use std::collections::BTreeMap;
use std::time::Duration;

use replica::plan::LinkKey;

use crate::link_actor::Gauges;

/// Times are since any fixed start.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    heard: BTreeMap<String, Duration>,
    /// Of links that are closed; bounded by the producers of the configuration.
    closed: BTreeMap<LinkKey, Passed>,
}

/// What passed from producer to consumer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
}

impl Traffic {
    /// Records that a node sent something at `at`; an older time changes nothing.
    pub(crate) fn heard(&mut self, node: &str, at: Duration) {
        match self.heard.get_mut(node) {
            Some(known) => *known = at.max(*known),
            None => _ = self.heard.insert(node.to_owned(), at),
        }
    }

    /// Adds what a link passed that is closed now.
    pub(crate) fn closed(&mut self, key: LinkKey, gauges: Option<&Gauges>) {
        let total = self.total(&key, gauges);
        self.closed.insert(key, total);
    }

    /// Returns what all incarnations of a link passed, with these counters of the present one.
    pub(crate) fn total(&self, key: &LinkKey, gauges: Option<&Gauges>) -> Passed {
        let closed = self.closed.get(key).copied().unwrap_or_default();
        let Some(Gauges { downstream, .. }) = gauges else { return closed };
        Passed {
            bytes: closed.bytes.saturating_add(downstream.bytes()),
            frames: closed.frames.saturating_add(downstream.frames()),
        }
    }

    /// Returns when a node last sent anything.
    pub(crate) fn last(&self, node: &str) -> Option<Duration> {
        self.heard.get(node).copied()
    }
}
