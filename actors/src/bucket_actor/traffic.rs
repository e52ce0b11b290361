//! When each data node last sent anything, on any connection of one bucket.

use std::collections::BTreeMap;
use std::time::Duration;

/// Times are since any fixed start.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    heard: BTreeMap<String, Duration>,
}

impl Traffic {
    /// Records that a node sent something at `at`; an older time changes nothing.
    pub(crate) fn heard(&mut self, node: &str, at: Duration) {
        match self.heard.get_mut(node) {
            Some(known) => *known = at.max(*known),
            None => _ = self.heard.insert(node.to_owned(), at),
        }
    }

    /// Returns when a node last sent anything.
    pub(crate) fn last(&self, node: &str) -> Option<Duration> {
        self.heard.get(node).copied()
    }
}
