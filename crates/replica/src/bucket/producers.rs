//! Producers that are added, changed or removed at run time.
//!
//! A link to a producer whose address or login has changed is opened anew. A move that runs on such
//! a link ends first. A producer that was removed is unknown to new commands; its links stay until
//! the desired map does not name it any more.

use std::collections::BTreeSet;

use super::effect::{BucketEffect, BucketEffects};
use super::link::Link;
use super::machine::BucketMachine;

impl BucketMachine {
    pub(super) fn producers_are(
        &mut self,
        known: BTreeSet<String>,
        changed: &BTreeSet<String>,
        fx: &mut BucketEffects,
    ) {
        self.settings.producers = known;
        for link in self.links.iter_mut().filter(|link| changed.contains(&link.key.producer)) {
            link.is_outdated = true;
        }
        if !changed.is_empty() {
            fx.push(BucketEffect::Poll(self.polled_map().cloned()));
        }
    }

    /// Restarts a link whose producer has changed, unless a move needs it.
    pub(super) fn renew(&mut self, index: usize, fx: &mut BucketEffects) {
        let key = self.queue.begun_move().map(|moving| moving.link_key(self.connections));
        let Some(link) = self.links.at_mut(index).filter(|link| link.is_outdated) else { return };
        if key.is_some_and(|key| key == link.key) {
            return;
        }
        link.is_outdated = false;
        self.failures.link_loops.reset(index);
        self.links.restart(index, fx);
    }

    /// Whether a link, a stream or a move needs the address of this producer.
    #[must_use]
    pub fn needs_producer(&self, name: &str) -> bool {
        let is_of = |link: &Link| link.key.producer == name && link.is_in_use();
        let is_from = |command: &super::queue::QueuedCommand| {
            command.job.as_move().is_some_and(|moving| moving.from() == name)
        };
        self.desired.producers().contains_key(name)
            || self.links.iter().any(is_of)
            || self.queue.iter().any(is_from)
    }
}
