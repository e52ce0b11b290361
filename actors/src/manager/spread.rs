//! Spreads what is wanted over links. Links that are missing are made; none is touched whose
//! streams stay (MB-28525).

use replica::link::Command;
use replica::plan::LinkKey;

use super::ReplicationManager;
use super::link::{Link, LinkState};
use crate::link::LinkSpec;

impl ReplicationManager {
    /// Tells every link what is wanted of it.
    pub(super) fn spread(&mut self) {
        let mut shares = self.desired.links(self.connections);
        for link in &mut self.links {
            link.wanted.want(&shares.remove(&link.key).unwrap_or_default());
        }
        for (key, share) in shares {
            let index = self.link_for(key);
            if let Some(link) = self.links.get_mut(index) {
                link.wanted.want(&share);
            }
        }
        self.end_unwanted_rollbacks();
        if let Some(lag) = &mut self.lag {
            lag.follow(&self.desired, &self.producers);
        }
    }

    /// A stream that rolls back cannot be closed, for its rollback would run all the same, under
    /// the next stream of its vBucket. Where it must go, all of its link goes, and the next one
    /// compares both nodes anew.
    fn end_unwanted_rollbacks(&mut self) {
        let must_end = |link: &Link| {
            let wanted = link.wanted.streams();
            link.rolling.iter().any(|vb| !wanted.contains_key(vb))
        };
        for index in 0..self.links.len() {
            let Some(link) = self.links.get_mut(index).filter(|link| must_end(link)) else {
                continue;
            };
            if let LinkState::Up { addr, .. } = &link.state {
                link.state = LinkState::Closing(addr.clone());
                self.run(index, Command::Shut);
            }
        }
    }

    /// The place of a link, which is made where there is none.
    pub(super) fn link_for(&mut self, key: LinkKey) -> usize {
        if let Some(index) = self.links.iter().position(|link| link.key == key) {
            return index;
        }
        // The name was checked with the command that brought it.
        if let Some(producer) = self.producers.get(&key.producer) {
            let spec = self.spec(producer, &key);
            self.links.push(Link::new(key, spec));
        }
        self.links.len().saturating_sub(1)
    }

    fn spec(&self, producer: &relay::Endpoint, key: &LinkKey) -> LinkSpec {
        let (from, to) = (&producer.name, &self.node.name);
        // At most 64 connections: see `Connections`.
        let number = u8::try_from(key.connection).unwrap_or(u8::MAX);
        LinkSpec {
            bucket: self.bucket.clone(),
            consumer: self.node.clone(),
            producer: producer.clone(),
            name: replica::names::connection_name(from, to, &self.bucket, number).into(),
            limits: self.limits.clone(),
        }
    }
}
