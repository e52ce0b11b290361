//! When each data node was last heard, on whatever connection of one bucket.

use std::collections::BTreeMap;
use std::time::Duration;

/// Times are since any fixed start.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    heard: BTreeMap<String, Duration>,
}

impl Traffic {
    /// A node was heard at that time; an older time than is known already changes nothing.
    pub(crate) fn heard(&mut self, node: &str, at: Duration) {
        match self.heard.get_mut(node) {
            Some(known) => *known = at.max(*known),
            None => _ = self.heard.insert(node.to_owned(), at),
        }
    }

    /// When a node was last heard.
    pub(crate) fn last(&self, node: &str) -> Option<Duration> {
        self.heard.get(node).copied()
    }
}
