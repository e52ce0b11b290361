//! What a client knows of cluster maps, and is told of them.

use std::sync::Arc;

use mcbp::{FrameBuilder, Magic, MapRevision, Opcode};
use tokio::sync::watch;

use super::Client;
use crate::cluster::Map;
use crate::protocol::{Features, MapNews};

/// The opcode of the notification, among those of server requests.
const NOTIFICATION: Opcode = Opcode(0x01);

/// See the module.
#[derive(Default)]
pub(crate) struct KnownMaps {
    /// The changes of maps, if the client is told of them.
    changes: Option<watch::Receiver<u64>>,
    /// How many of them it has been told of, or need not be.
    seen: u64,
    /// The newest map of its bucket that it was sent.
    newest: Option<MapRevision>,
}

impl KnownMaps {
    /// Waits until a map has changed; for ever if it is not told of it. Safe to drop.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as the node.
        if let Some(changes) = &mut self.changes
            && changes.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

impl Client {
    /// The features are these from now on.
    pub(crate) fn negotiated(&mut self, features: Features) {
        self.features = features;
        self.maps.changes = features.map_news.map(|_| self.node.maps.changes());
        self.maps.seen = self.maps.changes.as_ref().map_or(0, |changes| *changes.borrow());
    }

    /// Another bucket is selected, or none.
    pub(crate) const fn forget_maps(&mut self) {
        self.maps.newest = None;
    }

    /// The map of the selected bucket, or else of the cluster.
    pub(crate) fn current_map(&self) -> Option<Arc<Map>> {
        match self.served() {
            Some(served) => self.node.maps.bucket(&served.bucket).map(|(map, _)| map),
            None => Some(self.node.maps.cluster().0),
        }
    }

    /// It was sent a map of its bucket.
    pub(crate) const fn knows_map(&mut self, revision: MapRevision) {
        self.maps.newest = Some(revision);
    }

    /// The map that an answer of `NOT_MY_VBUCKET` carries: with `DEDUPE_NOT_MY_VBUCKET` only if the
    /// client does not have it, and never more than it may take of the memory.
    pub(super) fn missing_map(&mut self) -> Option<Arc<Map>> {
        self.served()?;
        let map = self.current_map()?;
        let is_known = self.maps.newest.is_some_and(|known| known >= map.revision);
        let bytes = map.shown(&self.features).0.len();
        if (self.features.dedupe_maps && is_known) || bytes > self.answer_bytes_max() {
            return None;
        }
        self.knows_map(map.revision);
        Some(map)
    }

    /// Sends the maps that have changed since the last call: the cluster's, and that of the
    /// selected bucket.
    pub(crate) fn tell_of_maps(&mut self) {
        let Some((changes, news)) = self.maps.changes.as_mut().zip(self.features.map_news) else {
            return;
        };
        let now = *changes.borrow_and_update();
        let seen = std::mem::replace(&mut self.maps.seen, now);
        let maps = &self.node.maps;
        let of_bucket = self.served().and_then(|served| maps.bucket(&served.bucket));
        let name = self.served().map_or(String::new(), |it| it.bucket.name().to_owned());
        for (name, map) in [(String::new(), Some(maps.cluster())), (name, of_bucket)] {
            if let Some((map, _)) = map.filter(|(_, change)| *change > seen) {
                self.tell_of(&name, &map, news);
            }
        }
    }

    fn tell_of(&mut self, bucket: &str, map: &Map, news: MapNews) {
        let extras = map.revision.encode();
        let frame = FrameBuilder::new(Magic::ServerRequest, NOTIFICATION, 0);
        let frame = frame.extras(&extras).key(bucket.as_bytes());
        let (text, datatype) = map.shown(&self.features);
        // A map that there is no memory for is asked for.
        if news == MapNews::Brief || text.len() > self.answer_bytes_max() {
            return self.replies.send(&frame);
        }
        self.replies.send(&frame.datatype(datatype).value(text));
        if !bucket.is_empty() {
            self.knows_map(map.revision);
        }
    }
}
